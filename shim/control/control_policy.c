/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/arena.h"
#include "base/domain.h"
#include "policy/plan_text.h"
#include "shim/control/control_policy.h"

#define ANSWER_TIME_MS	(60 * 1000)	/* for one request's look-ups and fetch */

void
control_show_policy(const struct gatherer *gatherer, const char *text,
    struct control_answer *answer)
{
	struct domain domain;
	struct arena *arena;
	struct facts *facts;
	const struct plan *plan;

	if (control_domain(text, &domain, answer) != 0)
		return;
	arena = arena_new();
	plan = gather_plan(gatherer, arena, domain.name, NULL, deadline_in(ANSWER_TIME_MS), &facts);
	answer->status = 200;
	answer->text = plan_text_json(domain.name, facts, plan);
	arena_free(arena);
}
