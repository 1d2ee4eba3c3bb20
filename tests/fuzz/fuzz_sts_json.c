/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "policy/facts/sts_json.h"
#include "tests/fuzz/fuzz.h"

static void
check_equal(const struct sts_entry *one, const struct sts_entry *other)
{
	if (strcmp(one->domain, other->domain) != 0 || one->fetched != other->fetched ||
	    one->expires != other->expires || one->policy.mode != other->policy.mode ||
	    one->policy.mx_count != other->policy.mx_count ||
	    strcmp(one->policy.id, other->policy.id) != 0)
		abort();
}

/* What can be read can be written, and says the same when it is read again. */
int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	struct sts_entry entry, again;
	char why[STS_JSON_WHY_MAX], *text;

	if (sts_json_read(arena, (const char *)input, length, &entry, why) == 0) {
		text = sts_json_write(&entry);
		if (sts_json_read(arena, text, strlen(text), &again, why) != 0)
			abort();
		check_equal(&entry, &again);
		free(text);
	}
	arena_free(arena);
	return 0;
}
