/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "report/rua.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/records.h"

/* What stands in a header, a command or a URL must be able to end none of them. */
static void
check_target(const struct rua *rua)
{
	const char *c;

	if (rua->target[0] == '\0' ||
	    (rua->scheme == RUA_MAILTO &&
		(strchr(rua->target, '@') == NULL ||
		    strchr(rua->target, '@') != strrchr(rua->target, '@'))))
		abort();
	for (c = rua->target; *c != '\0'; c++)
		if (*c <= 0x20 || *c >= 0x7f || *c == '<' || *c == '>' || *c == '"')
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	struct sts_text records[RECORDS_MAX], again;
	struct rua_list list, same;

	if (rua_parse(arena, records, records_split(input, length, records), &list)) {
		if (list.count == 0 || list.count > LIMIT_RUAS)
			abort();
		for (size_t i = 0; i < list.count; i++)
			check_target(&list.at[i]);
		/* The report is made from the stored record alone. */
		again = (struct sts_text){ list.record, strlen(list.record) };
		if (!rua_parse(arena, &again, 1, &same) || same.count != list.count)
			abort();
	}
	arena_free(arena);
	return 0;
}
