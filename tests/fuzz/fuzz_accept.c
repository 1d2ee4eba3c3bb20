/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/metrics.h"
#include "tests/fuzz/fuzz.h"

/* An Accept header that a client of /metrics sends: what does not name a format, even by "*", gets
 * the default. */
int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	const char *accept = arena_strndup(arena, (const char *)input, length);

	if (metrics_format_for(accept) == METRICS_PLAIN && strcasestr(accept, "text/") == NULL &&
	    strcasestr(accept, "application/") == NULL)
		abort();
	arena_free(arena);
	return 0;
}
