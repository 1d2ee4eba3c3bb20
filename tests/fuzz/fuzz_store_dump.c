/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>

#include "base/store/store_record.h"
#include "tests/fuzz/fuzz.h"

static bool
look(void *context, const char *key, const struct buf *record)
{
	unsigned *sum = context;
	size_t i;

	for (i = 0; i < record->length; i++)
		*sum += (unsigned char)record->data[i];
	for (i = 0; key[i] != '\0'; i++)
		*sum += (unsigned char)key[i];
	*sum += store_record_is_due(record->data, record->length, 1000);
	return *sum % 1000 != 999;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		const uint8_t *in;
		void *out;
	} octets = { .in = data };
	unsigned sum = 0;
	FILE *dump;

	if (size == 0)
		return 0;
	dump = fmemopen(octets.out, size, "r");
	if (dump == NULL)
		return 0;
	(void)store_record_read_dump(dump, look, &sum);
	(void)fclose(dump);
	return 0;
}
