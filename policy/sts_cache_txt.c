/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "policy/dns_data.h"
#include "policy/sts_cache_inside.h"

/* A record too large to be read whole is no valid policy record, even where it begins like one. */
static bool
read_record(struct arena *arena, const struct dns_record *record, struct sts_text *text)
{
	static const char version[] = "v=STSv1";
	size_t length = sizeof(version) - 1;

	if (dns_txt_join(arena, record->data, record->length, &text->octets, &text->length) == 0)
		return true;
	if (record->length <= length || memcmp(record->data + 1, version, length) != 0)
		return false;
	*text = (struct sts_text){ version, length };
	return true;
}

static enum txt_answer
read_records(struct arena *arena, const struct dns_answer *answer, char id[LIMIT_STS_ID + 1],
    const char **why)
{
	struct sts_text *texts = arena_array(arena, answer->count, sizeof(texts[0]));
	const char *invalid = "";
	size_t count = 0;

	for (size_t i = 0; i < answer->count; i++)
		count += read_record(arena, &answer->records[i], &texts[count]);
	switch (sts_txt_parse(texts, count, id, &invalid)) {
	case STS_TXT_NONE:
		return TXT_NONE;
	case STS_TXT_VALID:
		return TXT_VALID;
	case STS_TXT_INVALID:
		break;
	}
	*why = invalid;
	return TXT_INVALID;
}

enum txt_answer
sts_cache_read_txt(struct arena *arena, const struct dns_answer *answer,
    char id[LIMIT_STS_ID + 1], const char **why)
{
	switch (answer->state) {
	case DNS_FAILED:
		*why = answer->why;
		return TXT_FAILED;
	case DNS_BOGUS:
		*why = answer->why;
		return TXT_BOGUS;
	case DNS_SECURE:
	case DNS_INSECURE:
		break;
	}
	if (answer->count > LIMIT_TXT_RECORDS) {
		*why = "too many TXT records";
		return TXT_INVALID;
	}
	return read_records(arena, answer, id, why);
}
