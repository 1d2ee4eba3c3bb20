/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/utf8.h"
#include "report/datagram.h"
#include "tests/fuzz/fuzz.h"

/* What is taken can be sent on, and is the same again where it arrives. */
int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	struct session_outcome session, again;
	struct buf text = { 0 }, twice = { 0 };
	const char *why = NULL;

	if (datagram_read(arena, (const char *)input, length, 1, &session, &why) != 0) {
		if (why == NULL)
			abort();
	} else {
		if (session.count == 0 || session.domain[0] == '\0')
			abort();
		datagram_write(&text, &session);
		if (!utf8_is_valid(buf_text(&text), text.length))
			abort();
		if (datagram_read(arena, text.data, text.length, 1, &again, &why) == 0)
			datagram_write(&twice, &again);
		else if (text.length <= LIMIT_DATAGRAM)
			abort();
		if (text.length <= LIMIT_DATAGRAM &&
		    (text.length != twice.length ||
			memcmp(text.data, twice.data, text.length) != 0))
			abort();
	}
	buf_free(&twice);
	buf_free(&text);
	arena_free(arena);
	return 0;
}
