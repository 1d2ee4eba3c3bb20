/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is taken for a netstring is exactly what the writer makes of its payload, and one that asks
 * for more asks for more at every beginning.
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/netstring.h"
#include "tests/fuzz/fuzz.h"

#define LIMIT	300

static void
require(bool holds)
{
	if (!holds)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	const char *octets = (const char *)input, *payload = NULL, *other;
	size_t payload_length = 0, used = 0, i, other_length, other_used;
	struct buf again = { 0 };
	enum netstring_status status = netstring_parse(octets, length, LIMIT, &payload,
	    &payload_length, &used);

	if (status == NETSTRING_BAD)
		return 0;
	if (status == NETSTRING_OK) {
		require(payload_length <= LIMIT && used <= length);
		netstring_add(&again, payload, payload_length);
		require(again.length == used && memcmp(again.data, octets, used) == 0);
		buf_free(&again);
	}
	for (i = 0; i < (status == NETSTRING_OK ? used : length); i++)
		require(netstring_parse(octets, i, LIMIT, &other, &other_length, &other_used) ==
		    NETSTRING_MORE);
	return 0;
}
