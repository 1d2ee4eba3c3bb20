/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/dns/dns_data.h"
#include "policy/facts/sts_cache_inside.h"

static enum txt_answer
read_records(struct arena *arena, const struct dns_answer *answer, char id[LIMIT_STS_ID + 1],
    const char **why)
{
	struct sts_text *texts = arena_array(arena, answer->count, sizeof(texts[0]));
	const char *invalid = "";
	size_t count = 0;

	for (size_t i = 0; i < answer->count; i++)
		if (dns_txt_join(arena, answer->records[i].data, answer->records[i].length,
			&texts[count].octets, &texts[count].length) == 0)
			count++;
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
sts_cache_read_txt(struct arena *arena, const struct dns_answer *answer, char id[LIMIT_STS_ID + 1],
    const char **why)
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
