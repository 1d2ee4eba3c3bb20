/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is to be reported of one group of recipients? From the plan, the facts behind it and the
 * connections that were made: the sessions of RFC 8460 4, each with a verdict for every policy that
 * spoke about its host, and the failures that kept a connection from being made. Pure; any thread.
 */
#ifndef REPORT_OUTCOMES_H
#define REPORT_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/facts.h"
#include "policy/plan.h"
#include "report/outcome.h"
#include "report/reported_session.h"

/* What became of the group. */
struct outcomes_of {
	const struct plan *plan;
	const struct facts *facts;	/* that the plan was made from */
	const struct reported_session *attempts;	/* in the order in which they were made */
	size_t attempt_count;
	bool reused;	/* a kept connection carried recipients: its session is counted already */
	bool exhausted;	/* every host that could be tried was, and recipients are left over */
	int64_t at_s;	/* wall clock, when the plan was made */
};

struct outcomes {
	struct session_outcome *at;
	size_t count;
};

/* Everything is copied to the arena but record, which is not looked at; NULL is allowed and can be
 * filled in later. */
void outcomes_from(struct arena *arena, const struct outcomes_of *of, const char *record,
    struct outcomes *outcomes);

#endif
