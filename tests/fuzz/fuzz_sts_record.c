/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "policy/facts/sts_record.h"
#include "tests/fuzz/fuzz.h"

/* What can be read is written again octet by octet the same. */
static void
check(const void *octets, size_t length)
{
	struct arena *arena = arena_new();
	struct buf again = { 0 };
	struct sts_entry entry;

	if (sts_record_read(arena, "example.com", octets, length, &entry) == 0) {
		sts_record_write(&entry, &again);
		if (again.length != length || memcmp(again.data, octets, length) != 0)
			abort();
	}
	buf_free(&again);
	arena_free(arena);
}

/* The checksum would keep a fuzzer at the door, so the input is tried with its own as well. */
static void
add_checksum(struct buf *octets)
{
	uint64_t sum = 0xcbf29ce484222325U;
	size_t i;

	for (i = 0; i < octets->length; i++)
		sum = (sum ^ (unsigned char)octets->data[i]) * 0x100000001b3U;
	for (i = 0; i < 8; i++)
		buf_add_char(octets, (char)(unsigned char)(sum >> (56 - 8 * i)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct buf sealed = { 0 };

	check(input, length);
	if (length == 0)
		return 0;
	buf_add(&sealed, input, length);
	add_checksum(&sealed);
	check(sealed.data, sealed.length);
	buf_free(&sealed);
	return 0;
}
