/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "policy/sts.h"
#include "policy/sts_char.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/records.h"

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct sts_text records[RECORDS_MAX];
	size_t i, count = records_split(input, length, records);
	char id[LIMIT_STS_ID + 1];
	const char *why = NULL;

	switch (sts_txt_parse(records, count, id, &why)) {
	case STS_TXT_NONE:
		break;
	case STS_TXT_INVALID:
		if (why == NULL)
			abort();
		break;
	case STS_TXT_VALID:
		if (id[0] == '\0')
			abort();
		for (i = 0; id[i] != '\0'; i++)
			if (!sts_is_alnum(id[i]))
				abort();
		break;
	}
	return 0;
}
