/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answers about the history: what was refused, what would have been, and alarms. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_HISTORY_H
#define SHIM_CONTROL_CONTROL_HISTORY_H

#include "report/history.h"
#include "shim/control/control_answer.h"

/* As in the query of the request; NULL: not given. */
struct control_history_query {
	const char *kind, *domain, *since, *after, *limit;
	const char *chains;	/* "no": chains are left out */
};

/* {"entries": [...], "next": KEY} */
void control_history(struct history *history, const struct control_history_query *query,
    struct control_answer *answer);

/* One entry, as a json_t that the caller owns. */
void *control_history_entry(const struct history_entry *entry);

#endif
