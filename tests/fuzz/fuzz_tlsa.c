/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "policy/tlsa.h"
#include "tests/fuzz/fuzz.h"

#define RECORDS_MAX	16

/* An octet of length before each record, as of a whole answer. */
int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct arena *arena = arena_new();
	struct tlsa set[RECORDS_MAX], *usable;
	size_t at = 0, count = 0, selected;

	while (count < RECORDS_MAX && at < length) {
		size_t own = input[at++];

		if (own == 255 || own > length - at)	/* a whole certificate */
			own = length - at;
		tlsa_parse(input + at, own, &set[count]);
		if (own >= 3 && set[count].length != own - 3)
			abort();
		if (strlen(tlsa_text(arena, &set[count])) < 6 + 2 * set[count].length)
			abort();
		at += own;
		count++;
	}
	selected = tlsa_select(arena, set, count, &usable);
	for (size_t i = 0; i < selected; i++)
		if (!tlsa_is_usable(&usable[i]))
			abort();
	/* Digest agility never leaves a usable set empty. */
	for (size_t i = 0; i < count; i++)
		if (tlsa_is_usable(&set[i]) && selected == 0)
			abort();
	arena_free(arena);
	return 0;
}
