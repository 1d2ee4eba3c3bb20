/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which reports are due to whom? A report is taken up by an entry in the outbox for each of its
 * receivers, which is bounded (tlsrpt.max-per-receiver). Any thread.
 */
#ifndef REPORT_TAKE_UP_H
#define REPORT_TAKE_UP_H

#include <stdbool.h>

#include "base/arena.h"
#include "report/bundle.h"
#include "report/outbox.h"
#include "report/reporter_plan.h"
#include "report/rua.h"

/* bundle_scanned() by the configuration in force. */
enum store_result take_up_bundles(const struct reporter_plan *plan, struct arena *arena,
    const struct tally_report *report, struct bundles *bundles);

/* The entry that a report has for a rua, as it is before it is taken up. */
void take_up_entry(const struct tally_report *report, const struct rua *rua,
    struct outbox_entry *entry);
/* Of the running day, which has no entries, it is only counted. beyond: its receiver has as many
 * reports of that day as one may get, and a warning says so. */
enum store_result take_up_report(const struct reporter_plan *plan,
    const struct tally_report *report, const struct rua *rua, bool running, bool *beyond);
/* A copy on the heap, and its end; NULL is allowed. */
struct outbox_entry *take_up_entry_copy(const struct outbox_entry *entry);
void take_up_entry_free(struct outbox_entry *entry);

#endif
