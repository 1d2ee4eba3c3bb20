/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A plan for people and programs: the JSON of /v1/policy, stsgated(8). Pure.
 */
#ifndef POLICY_PLAN_TEXT_H
#define POLICY_PLAN_TEXT_H

#include <stddef.h>

#include "policy/facts.h"
#include "policy/plan.h"

/* {"domain", "verdict", "reply", "sts": {...}, "hosts": [...]}, freed with free(). domain is the
 * one that was asked about: where it has a relay the plan's own is the relay's. */
char *plan_text_json(const char *domain, const struct facts *facts, const struct plan *plan);
/* The sts object alone. */
char *plan_text_sts(const struct sts_facts *sts);

#endif
