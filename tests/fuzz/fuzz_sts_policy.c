/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "policy/sts.h"
#include "tests/fuzz/fuzz.h"

static void
check_policy(const struct sts_policy *policy, const uint8_t *input, size_t length)
{
	if (policy->max_age > LIMIT_STS_MAX_AGE || policy->mx_count > LIMIT_STS_MX_PATTERNS)
		abort();
	if (policy->mx_count == 0 && policy->mode != STS_MODE_NONE)
		abort();
	if (policy->body_length != length || memcmp(policy->body, input, length) != 0)
		abort();
	/* RFC 8461 4.1: one label more or less, or none at all, is no match for any pattern. */
	if (sts_mx_match(policy, "") || sts_mx_match(policy, ".") ||
	    sts_mx_match(policy, "192.0.2.1") || sts_mx_match(policy, "[192.0.2.1]"))
		abort();
}

/* What a pattern matches in a name drawn from the input itself. */
static void
check_match(const struct sts_policy *policy, struct arena *arena)
{
	size_t i;
	const char *rest;

	for (i = 0; i < policy->mx_count && i < 50; i++) {
		rest = strchr(policy->mx[i], '.');
		if (strncmp(policy->mx[i], "*.", 2) == 0 &&
		    sts_pattern_match(policy->mx[i], rest + 1))
			abort();
		if (sts_pattern_match(policy->mx[i], arena_printf(arena, "a.b.%s", policy->mx[i])))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	struct sts_policy policy;
	struct finding why = { .type = RESULT_OK };

	if (sts_policy_parse(arena, (const char *)input, length, &policy, &why) == 0) {
		check_policy(&policy, input, length);
		check_match(&policy, arena);
	} else if (why.type == RESULT_OK || why.reason[0] == '\0') {
		abort();
	}
	arena_free(arena);
	return 0;
}
