/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* How the targets that read TXT records take several from one input. */
#ifndef TESTS_FUZZ_RECORDS_H
#define TESTS_FUZZ_RECORDS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "policy/sts.h"

#define RECORDS_MAX	8

/* Records are separated by LF. */
static inline size_t
records_split(const uint8_t *input, size_t length, struct sts_text records[RECORDS_MAX])
{
	const char *at = (const char *)input, *end = at + length, *next;
	size_t count = 0;

	while (count < RECORDS_MAX && at < end) {
		next = memchr(at, '\n', (size_t)(end - at));
		if (next == NULL)
			next = end;
		records[count++] = (struct sts_text){ at, (size_t)(next - at) };
		at = next + 1;
	}
	return count;
}

#endif
