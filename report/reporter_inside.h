/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Shared by report/reporter.c, the schedule, and report/reporter_send.c, sending by hand.
 */
#ifndef REPORT_REPORTER_INSIDE_H
#define REPORT_REPORTER_INSIDE_H

#include "report/bundle.h"
#include "report/jobs.h"
#include "report/reporter.h"
#include "report/sender.h"

const struct reporter_plan *reporter_plan_of(const struct reporter *reporter);
struct jobs *reporter_jobs(const struct reporter *reporter);
/* bundle_scanned() by the configuration in force. */
enum store_result reporter_bundles(const struct reporter *reporter, struct arena *arena,
    const struct tally_report *report, struct bundles *bundles);

/* The entry that a report has for a rua, as it is before it is taken up. */
void reporter_entry(const struct tally_report *report, const struct rua *rua,
    struct outbox_entry *entry);
/* Of the running day, which has no entries, it is only counted. beyond: its receiver has as many
 * reports of that day as one may get, and a warning says so. */
enum store_result reporter_take_up(struct reporter *reporter, const struct tally_report *report,
    const struct rua *rua, bool running, bool *beyond);
/* A copy on the heap, and its end; NULL is allowed. */
struct outbox_entry *reporter_entry_copy(const struct outbox_entry *entry);
void reporter_entry_free(struct outbox_entry *entry);

#endif
