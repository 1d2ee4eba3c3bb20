/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/gzip.h"
#include "base/limits.h"
#include "report/received.h"
#include "cmd/received_mail.h"
#include "tests/fuzz/fuzz.h"

#define UNPACKED_MAX	(1024 * 1024)

static void
add(void *received, const char *octets, size_t length)
{
	struct buf unpacked = { 0 };
	const char *why = NULL;

	if (gzip_is(octets, length) && gzip_unpack(octets, length, UNPACKED_MAX, &unpacked) == 0) {
		octets = buf_text(&unpacked);
		length = unpacked.length;
	}
	if (received_add(received, octets, length, &why) != 0 && why == NULL)
		abort();
	buf_free(&unpacked);
}

/* Rows can be printed as they are: no control characters, bounded. */
static void
check_row(json_t *row)
{
	json_t *value;
	const char *key;

	json_object_foreach (row, key, value) {
		const char *text = json_string_value(value);

		for (size_t i = 0; text != NULL && text[i] != '\0'; i++)
			if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f ||
			    i >= LIMIT_RECEIVED_TEXT)
				abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct received *received = received_new();
	json_t *rows, *row;
	size_t i;

	add(received, (const char *)input, length);
	received_mail_read((const char *)input, length, add, received);
	rows = received_rows(received);
	json_array_foreach (json_object_get(rows, "rows"), i, row)
		check_row(row);
	json_decref(rows);
	received_free(received);
	return 0;
}
