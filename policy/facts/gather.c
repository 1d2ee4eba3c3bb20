/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/log.h"
#include "policy/dns/dns_addresses.h"
#include "policy/dns/dns_data.h"
#include "policy/facts/gather.h"
#include "policy/facts/gather_tlsa.h"
#include "policy/facts/gather_wait.h"

#define QUICK_MS	1000	/* a look-up that failed sooner was not a silent server's */

/* The facts about one next-hop domain during the gathering. */
struct gathering {
	const struct gatherer *gatherer;
	struct arena *arena;
	struct deadline deadline;
	const struct conf_destination *destination;	/* or NULL */
	struct facts *facts;
	struct sts_inquiry *inquiry;	/* NULL: no policy is looked up */
};

static enum conf_tls
tls_of(const struct conf_destination *destination)
{
	return destination != NULL ? destination->tls : TLS_POLICY;
}

static void
await(struct gathering *gathering, const char *what)
{
	if (!gather_wait_is_wanted(gathering->gatherer, what))
		gathering->deadline = deadline_in(0);
}

/* Does the policy that the domain publishes matter? */
static bool
wants_sts(const struct gathering *gathering)
{
	switch (tls_of(gathering->destination)) {
	case TLS_POLICY:
	case TLS_AUDIT:
		break;
	case TLS_NONE:
	case TLS_MAY:
	case TLS_ENCRYPT:
	case TLS_VERIFY:
	case TLS_DANE:
		return false;
	}
	return gathering->gatherer->conf->sts.enforce != ENFORCE_OFF;
}

/* Do the hosts' TLSA records matter? A destination that demands DANE does not hang on
 * dane.enforce. */
static bool
wants_tlsa(const struct gathering *gathering)
{
	switch (tls_of(gathering->destination)) {
	case TLS_DANE:
		return true;
	case TLS_POLICY:
	case TLS_AUDIT:
		break;
	case TLS_NONE:
	case TLS_MAY:
	case TLS_ENCRYPT:
	case TLS_VERIFY:
		return false;
	}
	return gathering->gatherer->conf->dane.enforce != ENFORCE_OFF;
}

static struct host_facts *
add_host(struct gathering *gathering, const char *name, uint16_t preference)
{
	struct facts *facts = gathering->facts;
	struct host_facts *host = &facts->hosts[facts->host_count++];

	host->name = arena_strdup(gathering->arena, name);
	host->preference = preference;
	host->address_state = DNS_SECURE;
	return host;
}

static bool
uses_family(const struct conf *conf, const struct ip *ip)
{
	return ip->v6 ? conf->smtp.use_ipv6 : conf->smtp.use_ipv4;
}

/* No name, no policy, one address. */
static void
take_literal(struct gathering *gathering, const struct ip *ip)
{
	struct facts *facts = gathering->facts;
	struct host_facts *host;

	facts->mx = MX_LITERAL;
	facts->mx_state = DNS_SECURE;
	host = add_host(gathering, "", 0);
	if (!uses_family(gathering->gatherer->conf, ip))
		return;
	host->addresses = arena_array(gathering->arena, 1, sizeof(*ip));
	host->addresses[0] = *ip;
	host->address_count = 1;
}

/* RFC 8461 3.4: with a relay, its name is the policy domain. */
static void
take_relay(struct gathering *gathering)
{
	const char *relay = gathering->destination->relay_host;
	struct facts *facts = gathering->facts;
	struct ip ip;

	facts->domain = relay;
	if (gathering->destination->relay_literal && ip_parse(relay, &ip) == 0) {
		facts->domain = arena_printf(gathering->arena, ip.v6 ? "[IPv6:%s]" : "[%s]", relay);
		facts->relay_address = true;
		take_literal(gathering, &ip);
		return;
	}
	facts->mx = MX_RELAY;
	facts->mx_state = DNS_SECURE;	/* the administrator's own word */
	add_host(gathering, relay, 0);
}

/* Which host is to go when there are too many: the least preferred. */
static struct host_facts *
least_preferred(struct facts *facts)
{
	struct host_facts *worst = &facts->hosts[0];

	for (size_t i = 1; i < facts->host_count; i++)
		if (facts->hosts[i].preference > worst->preference)
			worst = &facts->hosts[i];
	return worst;
}

static void
add_mx(struct gathering *gathering, const char *name, uint16_t preference)
{
	struct facts *facts = gathering->facts;
	struct host_facts *host;

	for (size_t i = 0; i < facts->host_count; i++) {
		host = &facts->hosts[i];
		if (strcmp(host->name, name) == 0) {	/* listed twice */
			if (preference < host->preference)
				host->preference = preference;
			return;
		}
	}
	if (facts->host_count < LIMIT_MX_RECORDS) {
		add_host(gathering, name, preference);
		return;
	}
	host = least_preferred(facts);
	if (preference < host->preference) {
		host->name = arena_strdup(gathering->arena, name);
		host->preference = preference;
	}
}

static void
log_bad_names(const struct facts *facts, const char *name)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_WARNING, "mx");
	log_text(&line, "domain", facts->domain);
	log_text(&line, "mx", name);
	log_number(&line, "dropped", (int64_t)facts->bad_names);
	log_text(&line, "msg", "MX records that do not hold a host name are not used");
	log_end(&line);
}

static void
read_mx(struct gathering *gathering, const struct dns_answer *answer)
{
	struct facts *facts = gathering->facts;
	char name[1024], bad[1024] = "";
	size_t dots = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *record = &answer->records[i];
		uint16_t preference = 0;

		if (dns_mx_parse(record->data, record->length, &preference, name, sizeof(name)) !=
		    0)
			strcpy(name, "(malformed)");
		if (name[0] == '\0') {
			dots++;
		} else if (domain_is_host(name)) {
			add_mx(gathering, name, preference);
		} else {
			facts->bad_names++;
			strcpy(bad, name);
		}
	}
	/* RFC 7505 3: a null MX is the only record; together with others it has no meaning. */
	facts->mx = dots == answer->count ? MX_NULL : MX_LISTED;
	if (facts->bad_names > 0)
		log_bad_names(facts, bad);
}

/* Where the CNAMEs of an answer end; NULL: at the name in the question, or at an invalid host
 * name. */
static const char *
other_name(struct gathering *gathering, const struct dns_answer *answer, const char *name)
{
	if (!domain_is_host(answer->canonical) || domain_equal(answer->canonical, name))
		return NULL;
	return arena_strdup(gathering->arena, answer->canonical);
}

static void
take_mx(struct gathering *gathering, const struct dns_answer *answer)
{
	struct facts *facts = gathering->facts;

	facts->mx_state = answer->state;
	if (answer->state == DNS_SECURE)
		facts->mx_canonical = other_name(gathering, answer, facts->domain);
	if (answer->state == DNS_BOGUS || answer->state == DNS_FAILED) {
		facts->mx = MX_UNKNOWN;
		memcpy(facts->mx_why, answer->why, sizeof(facts->mx_why));
	} else if (!answer->exists) {
		facts->mx = MX_NO_DOMAIN;
	} else if (answer->count > 0) {
		read_mx(gathering, answer);
	} else {	/* RFC 5321 5.1 */
		facts->mx = MX_IMPLICIT;
		add_host(gathering, facts->domain, 0);
	}
}

/* The first round: MX and TXT side by side. A fetch that TXT calls for begins at once. */
static void
ask_domain(struct gathering *gathering, bool wants_mx)
{
	const struct gatherer *gatherer = gathering->gatherer;
	struct dns_question questions[2] = { 0 }, *txt = NULL;
	size_t count = 0;

	if (wants_mx)
		questions[count++] = (struct dns_question){ .name = gathering->facts->domain,
			.type = DNS_MX };
	if (wants_sts(gathering)) {
		gathering->inquiry = sts_cache_begin(gatherer->sts_cache, gathering->arena,
		    gathering->facts->domain);
		txt = sts_inquiry_question(gathering->inquiry);
	}
	if (txt != NULL)
		questions[count++] = *txt;
	if (count > 0)
		await(gathering, txt == NULL ? "mx" : wants_mx ? "dns" : "txt");
	if (count > 0)
		resolver_ask(gatherer->resolver, gathering->arena, questions, count,
		    gathering->deadline);
	gather_note_ttl(gathering->facts, questions, count);
	if (txt != NULL)
		*txt = questions[count - 1];
	if (gathering->inquiry != NULL)
		sts_cache_answered(gatherer->sts_cache, gathering->inquiry);
	if (wants_mx)
		take_mx(gathering, &questions[0].answer);
}

/* Bogus is worse than failed, and both worse than what is known. */
static enum dns_state
worse_state(enum dns_state a, enum dns_state b)
{
	static const int badness[] = {
		[DNS_SECURE] = 0, [DNS_INSECURE] = 1, [DNS_FAILED] = 2, [DNS_BOGUS] = 3
	};

	return badness[a] >= badness[b] ? a : b;
}

/* The parts of an answer that DANE needs: how far it is proven, and where its CNAMEs end. */
static void
note_for_dane(struct gathering *gathering, struct host_facts *host, const struct dns_answer *answer)
{
	if (answer->state == DNS_BOGUS || answer->state == DNS_FAILED)
		return;
	host->dane_state = host->dane_state == DNS_FAILED
	    ? answer->state
	    : worse_state(host->dane_state, answer->state);
	if (host->canonical == NULL)
		host->canonical = other_name(gathering, answer, host->name);
}

static void
take_addresses(struct gathering *gathering, struct host_facts *host,
    const struct dns_question *questions, size_t count)
{
	host->addresses = arena_array(gathering->arena, LIMIT_ADDRESSES_PER_HOST,
	    sizeof(host->addresses[0]));
	host->address_count = dns_addresses_read(questions, count, host->addresses);
	host->dane_state = DNS_FAILED;
	for (size_t j = 0; j < count; j++) {
		const struct dns_answer *answer = &questions[j].answer;

		note_for_dane(gathering, host, answer);
		host->address_state = worse_state(host->address_state, answer->state);
		if (answer->why[0] != '\0' && host->address_state == answer->state)
			memcpy(host->why, answer->why, sizeof(host->why));
	}
}

/* The second round: the addresses of all hosts side by side, while a policy is being fetched. */
static void
ask_addresses(struct gathering *gathering)
{
	const struct conf *conf = gathering->gatherer->conf;
	struct facts *facts = gathering->facts;
	struct dns_question *questions = arena_array(gathering->arena,
	    DNS_ADDRESSES_QUESTIONS * facts->host_count, sizeof(questions[0]));
	size_t each, count = 0;

	for (size_t i = 0; i < facts->host_count; i++)
		count += dns_addresses_questions(conf, facts->hosts[i].name, &questions[count]);
	if (count == 0)
		return;
	await(gathering, "address");
	resolver_ask(gathering->gatherer->resolver, gathering->arena, questions, count,
	    gathering->deadline);
	gather_note_ttl(facts, questions, count);
	each = count / facts->host_count;
	for (size_t i = 0; i < facts->host_count; i++)
		take_addresses(gathering, &facts->hosts[i], &questions[i * each], each);
}

/* The third round. */
static void
ask_tlsa(struct gathering *gathering)
{
	const struct gatherer *gatherer = gathering->gatherer;
	const struct conf_destination *destination = gathering->destination;
	uint16_t port = gatherer->conf->smtp.port;

	if (gathering->facts->mx == MX_RELAY && destination->relay_port != 0)
		port = destination->relay_port;
	await(gathering, "tlsa");
	gather_tlsa(gatherer->resolver, gathering->arena, port, gathering->deadline,
	    gathering->facts);
}

/* The known cause of our unanswered questions. */
static void
blame_ourselves(const struct gatherer *gatherer, struct facts *facts)
{
	facts->resolver = resolver_fault(gatherer->resolver, facts->resolver_fault);
	if (facts->not_asked[0] == '\0' || facts->resolver_fault[0] != '\0')
		return;
	facts->resolver = RESOLVER_SILENT;
	snprintf(facts->resolver_fault, sizeof(facts->resolver_fault), "%s", facts->not_asked);
}

struct facts *
gather_facts(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, struct deadline deadline)
{
	struct gathering gathering = { .gatherer = gatherer, .arena = arena, .deadline = deadline };
	struct facts *facts = arena_alloc(arena, sizeof(*facts));
	bool wants_mx = false;

	gathering.facts = facts;
	facts->ttl = UINT32_MAX;
	gathering.destination = conf_destination_find(gatherer->conf, domain);
	facts->next_hop = facts->domain = arena_strdup(arena, domain);
	facts->hosts = arena_array(arena, LIMIT_MX_RECORDS, sizeof(facts->hosts[0]));
	if (!gatherer->skip_relay && gathering.destination != NULL &&
	    gathering.destination->relay_host != NULL)
		take_relay(&gathering);
	else if (literal != NULL)
		take_literal(&gathering, literal);
	else
		wants_mx = true;
	if (facts->mx == MX_LITERAL)
		return facts;
	ask_domain(&gathering, wants_mx);
	ask_addresses(&gathering);
	if (wants_tlsa(&gathering))
		ask_tlsa(&gathering);
	if (gathering.inquiry != NULL) {
		deadline = gather_wait_policy(gatherer, gathering.inquiry, gathering.deadline);
		sts_cache_finish(gatherer->sts_cache, gathering.inquiry, deadline, &facts->sts);
	}
	blame_ourselves(gatherer, facts);
	return facts;
}

int
gather_refresh(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    struct deadline deadline, struct sts_facts *sts)
{
	struct sts_cache *cache = gatherer->sts_cache;
	struct sts_inquiry *inquiry = sts_cache_refresh_begin(cache, arena, domain);

	deadline = gather_wait_policy(gatherer, inquiry, deadline);
	return sts_cache_refresh_end(cache, inquiry, deadline, sts);
}

struct gatherer
gatherer_take(const struct gatherer *gatherer)
{
	struct gatherer taken = *gatherer;

	if (taken.now != NULL)
		taken.conf = conf_now_take(taken.now);
	return taken;
}

void
gatherer_give(const struct gatherer *taken)
{
	if (taken->now != NULL)
		conf_now_give(taken->now, taken->conf);
}

/* REQUIRETLS bounces for want of a policy that might have been published since. */
static bool
wants_voucher(const struct plan *plan)
{
	return plan->wish == WISH_REQUIRETLS && plan->verdict == PLAN_REFUSE;
}

/* Would another TXT record, or an answer to it at last, make another plan? */
static bool
hangs_on_txt(const struct facts *facts, const struct plan *plan, int64_t began_ms)
{
	if (plan->verdict == PLAN_USE)
		return false;
	switch (facts->sts.state) {
	case STS_TXT_BOGUS:
		return true;
	case STS_TXT_FAILED:
		return clock_monotonic_ms() - began_ms < QUICK_MS;
	case STS_VALID:
		for (size_t i = 0; i < plan->host_count; i++)
			if (!plan->hosts[i].mx_match)
				return true;
		return wants_voucher(plan);
	case STS_NONE:
		return wants_voucher(plan);
	case STS_NOT_ASKED:
	case STS_FETCH_FAILED:
	case STS_TXT_GIVEN_UP:
	case STS_HOST_FAILED:
	case STS_HOST_BOGUS:
	case STS_UNKNOWN:
	case STS_STORE_FAILED:
		break;
	}
	return false;
}

struct plan *
gather_plan_for(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, enum sender_wish wish, struct deadline deadline, struct facts **facts)
{
	int64_t began_ms = clock_monotonic_ms();
	struct facts *gathered = gather_facts(gatherer, arena, domain, literal, deadline);
	struct plan *plan = gather_plan_of(gatherer, arena, wish, gathered), *again = NULL;

	if (hangs_on_txt(gathered, plan, began_ms) && gather_wait_is_wanted(gatherer, "txt"))
		again = gather_plan_again(gatherer, arena, wish, deadline, gathered);
	if (facts != NULL)
		*facts = gathered;
	return again != NULL ? again : plan;
}

struct plan *
gather_plan(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, struct deadline deadline, struct facts **facts)
{
	return gather_plan_for(gatherer, arena, domain, literal, WISH_NONE, deadline, facts);
}
