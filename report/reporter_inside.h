/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What report/reporter.c, the schedule, and report/reporter_send.c, by hand, share.
 */
#ifndef REPORT_REPORTER_INSIDE_H
#define REPORT_REPORTER_INSIDE_H

#include "report/jobs.h"
#include "report/reporter.h"
#include "report/sender.h"

const struct reporter_plan *reporter_plan_of(const struct reporter *reporter);
struct jobs *reporter_jobs(const struct reporter *reporter);
/* Who is to get a report, by the configuration that is in force now. */
void reporter_ruas(const struct reporter *reporter, struct arena *arena,
    const struct tally_report *report, struct rua_list *list);

/* The entry that a report has for a rua, as it is before it is taken up. */
void reporter_entry(const struct tally_report *report, const struct rua *rua,
    struct outbox_entry *entry);
enum store_result reporter_take_up(struct reporter *reporter, const struct tally_report *report,
    const struct rua *rua);
/* A copy on the heap, and its end; NULL is allowed. */
struct outbox_entry *reporter_entry_copy(const struct outbox_entry *entry);
void reporter_entry_free(struct outbox_entry *entry);

#endif
