/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/limits.h"
#include "policy/facts/gather_tlsa.h"

#define NAMES_MAX	2	/* of one host: where its CNAMEs end, and the name itself */

/* Where the records of one host may lie. */
struct search {
	struct host_facts *host;
	const char *bases[NAMES_MAX];	/* in the order in which they count */
	struct dns_question *questions[NAMES_MAX];
	size_t count;
};

struct searches {
	struct resolver *resolver;
	struct arena *arena;
	struct deadline deadline;
	struct facts *facts;
	uint16_t port;
	struct search *at;
	size_t count;
};

static void
set_unknown(struct host_facts *host, const char *base, const struct dns_answer *answer)
{
	host->tlsa_state = TLSA_UNKNOWN;
	host->tlsa_answer = answer->state;
	host->tlsa_base = base;
	memcpy(host->tlsa_why, answer->why, sizeof(host->tlsa_why));
}

static bool
is_unknown(const struct dns_answer *answer)
{
	return answer->state == DNS_BOGUS || answer->state == DNS_FAILED;
}

/* An alias in a signed zone may point to an unsigned one: then the alias alone counts, and whether
 * it is signed the state of the addresses does not tell. */
static bool
is_insecure_alias(const struct host_facts *host)
{
	return host->address_count > 0 && host->dane_state == DNS_INSECURE &&
	    host->canonical != NULL;
}

void
gather_note_ttl(struct facts *facts, const struct dns_question *questions, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct dns_answer *answer = &questions[i].answer;

		if (answer->ttl < facts->ttl)
			facts->ttl = answer->ttl;
		if (answer->not_asked)
			memcpy(facts->not_asked, answer->why, sizeof(facts->not_asked));
	}
}

static void
take_alias(struct search *search, const struct dns_answer *answer)
{
	if (is_unknown(answer))
		set_unknown(search->host, search->host->name, answer);
	else if (answer->state == DNS_SECURE && answer->count > 0)
		search->bases[search->count++] = search->host->name;
}

static void
ask_aliases(struct searches *searches)
{
	struct dns_question *questions = arena_array(searches->arena, searches->count,
	    sizeof(questions[0]));
	size_t i, count = 0;

	for (i = 0; i < searches->count; i++)
		if (is_insecure_alias(searches->at[i].host))
			questions[count++] = (struct dns_question){ .type = DNS_CNAME,
				.name = searches->at[i].host->name };
	if (count == 0)
		return;
	/* Answered from what came with the addresses, without another round trip. */
	resolver_ask(searches->resolver, searches->arena, questions, count, searches->deadline);
	gather_note_ttl(searches->facts, questions, count);
	count = 0;
	for (i = 0; i < searches->count; i++)
		if (is_insecure_alias(searches->at[i].host))
			take_alias(&searches->at[i], &questions[count++].answer);
}

/* RFC 7672 2.2.2, 2.2.3: where secure CNAMEs end, else the name itself. Insecure addresses: no
 * question at all, which some old servers never answer. */
static void
list_bases(struct search *search)
{
	const struct host_facts *host = search->host;

	if (host->address_count == 0 || host->dane_state != DNS_SECURE)
		return;
	if (host->canonical != NULL)
		search->bases[search->count++] = host->canonical;
	search->bases[search->count++] = host->name;
}

/* The names for one host go out together, so that none waits for another. A name too long for the
 * DNS has no records. */
static size_t
add_questions(const struct searches *searches, struct search *search,
    struct dns_question *questions)
{
	const char *name;
	size_t i, count = 0;

	for (i = 0; i < search->count; i++) {
		name = arena_printf(searches->arena, "_%u._tcp.%s", (unsigned)searches->port,
		    search->bases[i]);
		if (strlen(name) >= DOMAIN_MAX)
			continue;
		questions[count] = (struct dns_question){ .name = name, .type = DNS_TLSA };
		search->questions[i] = &questions[count++];
	}
	return count;
}

static void
take_records(struct arena *arena, struct host_facts *host, const struct dns_answer *answer)
{
	struct tlsa *usable;
	size_t i;

	host->tlsa_count = answer->count < LIMIT_TLSA_RECORDS ? answer->count : LIMIT_TLSA_RECORDS;
	host->tlsa = arena_array(arena, host->tlsa_count, sizeof(host->tlsa[0]));
	for (i = 0; i < host->tlsa_count; i++)
		tlsa_parse(answer->records[i].data, answer->records[i].length, &host->tlsa[i]);
	host->tlsa_state = tlsa_select(arena, host->tlsa, host->tlsa_count, &usable) > 0
	    ? TLSA_USABLE
	    : TLSA_UNUSABLE;
}

/* The first base with records decides; one that is not known could have them. */
static void
conclude(struct arena *arena, const struct search *search)
{
	struct host_facts *host = search->host;
	const struct dns_answer *answer;
	size_t i;

	for (i = 0; i < search->count; i++) {
		host->tlsa_state = TLSA_NONE;
		host->tlsa_base = search->bases[i];
		if (search->questions[i] == NULL)
			continue;
		answer = &search->questions[i]->answer;
		host->tlsa_answer = answer->state;
		if (is_unknown(answer)) {
			set_unknown(host, search->bases[i], answer);
			return;
		}
		if (answer->state == DNS_SECURE && answer->count > 0) {
			take_records(arena, host, answer);
			return;
		}
	}
}

static void
ask_records(struct searches *searches)
{
	struct dns_question *questions = arena_array(searches->arena, NAMES_MAX * searches->count,
	    sizeof(questions[0]));
	size_t i, count = 0;

	for (i = 0; i < searches->count; i++)
		count += add_questions(searches, &searches->at[i], questions + count);
	if (count > 0)
		resolver_ask(searches->resolver, searches->arena, questions, count,
		    searches->deadline);
	gather_note_ttl(searches->facts, questions, count);
	for (i = 0; i < searches->count; i++)
		conclude(searches->arena, &searches->at[i]);
}

void
gather_tlsa(struct resolver *resolver, struct arena *arena, uint16_t port, struct deadline deadline,
    struct facts *facts)
{
	struct searches searches = { .resolver = resolver,
		.arena = arena,
		.deadline = deadline,
		.port = port,
		.facts = facts,
		.count = facts->host_count };
	size_t i;

	searches.at = arena_array(arena, facts->host_count, sizeof(searches.at[0]));
	for (i = 0; i < facts->host_count; i++)
		searches.at[i].host = &facts->hosts[i];
	ask_aliases(&searches);
	for (i = 0; i < facts->host_count; i++)
		list_bases(&searches.at[i]);
	ask_records(&searches);
}
