/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>

#include "policy/dns/dns_addresses.h"
#include "policy/dns/dns_data.h"

size_t
dns_addresses_questions(const struct conf *conf, const char *name,
    struct dns_question questions[DNS_ADDRESSES_QUESTIONS])
{
	const struct dns_question a = { .name = name, .type = DNS_A };
	const struct dns_question aaaa = { .name = name, .type = DNS_AAAA };
	size_t count = 0;

	if (conf->smtp.use_ipv6 && conf->smtp.ipv6_first)
		questions[count++] = aaaa;
	if (conf->smtp.use_ipv4)
		questions[count++] = a;
	if (conf->smtp.use_ipv6 && !conf->smtp.ipv6_first)
		questions[count++] = aaaa;
	return count;
}

/* Is there an i-th record that counts? */
static bool
has(const struct dns_answer *answer, size_t i)
{
	return answer->state != DNS_BOGUS && answer->state != DNS_FAILED && i < answer->count;
}

size_t
dns_addresses_read(const struct dns_question *questions, size_t count,
    struct ip addresses[LIMIT_ADDRESSES_PER_HOST])
{
	size_t found = 0;

	for (size_t i = 0; i < LIMIT_ADDRESSES_PER_HOST; i++)
		for (size_t j = 0; j < count && found < LIMIT_ADDRESSES_PER_HOST; j++)
			if (has(&questions[j].answer, i) &&
			    dns_address_parse(questions[j].answer.records[i].data,
				questions[j].answer.records[i].length, &addresses[found]) == 0)
				found++;
	return found;
}
