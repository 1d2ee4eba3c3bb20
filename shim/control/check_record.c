/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/dns/dns_data.h"
#include "shim/control/check_record.h"

/* The name's records, each as one text. */
static struct sts_text *
texts_of(struct arena *arena, const struct dns_answer *answer, size_t *count)
{
	struct sts_text *texts = arena_array(arena, answer->count, sizeof(texts[0]));

	*count = 0;
	for (size_t i = 0; i < answer->count; i++)
		if (dns_txt_join(arena, answer->records[i].data, answer->records[i].length,
			&texts[*count].octets, &texts[*count].length) == 0)
			(*count)++;
	return texts;
}

void
check_record_ask(struct resolver *resolver, struct arena *arena, const char *domain,
    struct deadline deadline, struct check_record *record)
{
	struct dns_question question = { .name = arena_printf(arena, "_mta-sts.%s", domain),
		.type = DNS_TXT };
	const struct sts_text *texts;
	size_t count;

	*record = (struct check_record){ .state = STS_TXT_NONE };
	resolver_ask_afresh(resolver, arena, &question, 0, deadline);
	if (question.answer.state == DNS_BOGUS || question.answer.state == DNS_FAILED) {
		record->fault = arena_printf(arena, "the look-up of %s failed: %s", question.name,
		    question.answer.why);
		return;
	}
	texts = texts_of(arena, &question.answer, &count);
	record->state = sts_txt_parse(texts, count, record->id, &record->fault);
	if (record->state == STS_TXT_VALID)
		record->fault = NULL;
	else if (record->state == STS_TXT_NONE)
		record->fault = sts_txt_near_miss(texts, count);
}
