/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/log.h"
#include "policy/dns_data.h"
#include "policy/gather.h"

#define FAMILIES 2	/* at most so many questions for one host: A and AAAA */

/* What is learned about one next-hop domain, while it is being asked for. */
struct gathering {
	const struct gatherer *gatherer;
	struct arena *arena;
	const struct conf_destination *destination;	/* NULL: none */
	struct deadline deadline;
	struct facts *facts;
	struct sts_inquiry *inquiry;	/* NULL: MTA-STS is not asked */
};

/* An override other than these is the administrator's last word, without any policy. */
static bool
leaves_policy(const struct conf_destination *destination)
{
	return destination == NULL || destination->tls == TLS_POLICY ||
	    destination->tls == TLS_AUDIT;
}

static bool
asks_sts(const struct gathering *gathering)
{
	const struct conf *conf = gathering->gatherer->conf;

	return gathering->facts->mx != MX_LITERAL && conf->sts.enforce != ENFORCE_OFF &&
	    leaves_policy(gathering->destination);
}

static struct host_facts *
add_host(struct gathering *gathering, const char *name, uint16_t preference)
{
	struct facts *facts = gathering->facts;
	struct host_facts *host = &facts->hosts[facts->host_count++];

	host->name = arena_strdup(gathering->arena, name);
	host->preference = preference;
	return host;
}

static void
make_hosts(struct gathering *gathering, size_t count)
{
	gathering->facts->hosts = arena_array(gathering->arena, count, sizeof(struct host_facts));
}

static void
set_literal(struct gathering *gathering, const struct ip *ip)
{
	struct host_facts *host;

	make_hosts(gathering, 1);
	gathering->facts->mx = MX_LITERAL;
	gathering->facts->mx_state = DNS_SECURE;
	host = add_host(gathering, "", 0);
	host->address_state = DNS_SECURE;
	host->addresses = arena_alloc(gathering->arena, sizeof(*ip));
	host->addresses[0] = *ip;
	host->address_count = 1;
}

/* RFC 8461 3.4: with a relay, its name is the policy domain. */
static void
set_relay(struct gathering *gathering)
{
	const struct conf_destination *destination = gathering->destination;
	struct facts *facts = gathering->facts;
	struct ip ip;

	facts->domain = arena_strdup(gathering->arena, destination->relay_host);
	if (destination->relay_literal && ip_parse(destination->relay_host, &ip) == 0) {
		set_literal(gathering, &ip);
		facts->relay_address = true;
		return;
	}
	make_hosts(gathering, 1);
	facts->mx = MX_RELAY;
	facts->mx_state = DNS_INSECURE;
	add_host(gathering, facts->domain, 0);
}

static int
compare_by_preference(const void *a, const void *b)
{
	const struct host_facts *left = a, *right = b;

	return (left->preference > right->preference) - (left->preference < right->preference);
}

static void
log_bad_name(const struct facts *facts, const char *name)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_WARNING, "mx");
	log_text(&line, "domain", facts->domain);
	log_text(&line, "mx", name);
	log_text(&line, "msg", "an MX record that names no host: dropped");
	log_end(&line);
}

/* RFC 7505 3: a null MX stands alone; beside others the root names no host. */
static void
take_mx_records(struct gathering *gathering, const struct dns_answer *answer)
{
	struct facts *facts = gathering->facts;
	char name[DOMAIN_MAX];
	uint16_t preference;

	make_hosts(gathering, answer->count);
	facts->mx = MX_LISTED;
	for (size_t i = 0; i < answer->count; i++) {
		const struct dns_record *record = &answer->records[i];
		bool parsed = dns_mx_parse(record->data, record->length, &preference, name,
		    sizeof(name)) == 0;

		if (parsed && name[0] == '\0' && answer->count == 1) {
			facts->mx = MX_NULL;
		} else if (parsed && domain_is_host(name)) {
			add_host(gathering, name, preference);
		} else {
			facts->bad_names++;
			log_bad_name(facts, parsed ? name : "malformed record");
		}
	}
	if (facts->host_count > LIMIT_MX_RECORDS) {
		qsort(facts->hosts, facts->host_count, sizeof(facts->hosts[0]),
		    compare_by_preference);
		facts->host_count = LIMIT_MX_RECORDS;
	}
}

static void
take_mx_answer(struct gathering *gathering, const struct dns_answer *answer)
{
	struct facts *facts = gathering->facts;

	facts->mx_state = answer->state;
	if (answer->state == DNS_BOGUS || answer->state == DNS_FAILED) {
		facts->mx = MX_UNKNOWN;
		snprintf(facts->mx_why, sizeof(facts->mx_why), "%s", answer->why);
	} else if (!answer->exists) {
		facts->mx = MX_NO_DOMAIN;
	} else if (answer->count == 0) {
		facts->mx = MX_IMPLICIT;	/* RFC 5321 5.1 */
		make_hosts(gathering, 1);
		add_host(gathering, facts->domain, 0);
	} else {
		take_mx_records(gathering, answer);
	}
}

/* MX and TXT side by side. The fetch of a new policy starts as soon as TXT has been answered. */
static void
ask_domain(struct gathering *gathering)
{
	const struct gatherer *gatherer = gathering->gatherer;
	struct dns_question questions[2], *txt = NULL;
	size_t count = 0, mx = SIZE_MAX;

	if (gathering->facts->mx == MX_LISTED) {
		mx = count;
		questions[count++] = (struct dns_question){
			.name = gathering->facts->domain, .type = DNS_MX
		};
	}
	if (gathering->inquiry != NULL)
		txt = sts_inquiry_question(gathering->inquiry);
	if (txt != NULL)
		questions[count++] = *txt;
	resolver_ask(gatherer->resolver, gathering->arena, questions, count, gathering->deadline);
	if (mx != SIZE_MAX)
		take_mx_answer(gathering, &questions[mx].answer);
	if (txt != NULL)
		txt->answer = questions[count - 1].answer;
	if (gathering->inquiry != NULL)
		sts_cache_answered(gatherer->sts_cache, gathering->inquiry);
}

static size_t
add_question(struct dns_question *questions, size_t count, const char *name, enum dns_type type)
{
	questions[count] = (struct dns_question){ .name = name, .type = type };
	return count + 1;
}

/* Bogus is worse than failed, and both worse than what is known. */
static enum dns_state
worse(enum dns_state a, enum dns_state b)
{
	static const int badness[] = {
		[DNS_SECURE] = 0, [DNS_INSECURE] = 1, [DNS_FAILED] = 2, [DNS_BOGUS] = 3
	};

	return badness[a] >= badness[b] ? a : b;
}

static void
take_address_answer(struct host_facts *host, const struct dns_answer *answer)
{
	enum dns_state state = worse(host->address_state, answer->state);

	if (state != host->address_state && answer->why[0] != '\0')
		snprintf(host->why, sizeof(host->why), "%s", answer->why);
	host->address_state = state;
	if (answer->state == DNS_BOGUS || answer->state == DNS_FAILED)
		return;
	for (size_t i = 0; i < answer->count && i < LIMIT_ADDRESSES_PER_HOST; i++)
		if (dns_address_parse(answer->records[i].data, answer->records[i].length,
		    &host->addresses[host->address_count]) == 0)
			host->address_count++;
}

/* The addresses of all hosts, side by side. */
static void
ask_addresses(struct gathering *gathering)
{
	const struct conf *conf = gathering->gatherer->conf;
	struct facts *facts = gathering->facts;
	struct dns_question *questions;
	size_t families = (size_t)conf->smtp.use_ipv4 + (size_t)conf->smtp.use_ipv6, count = 0;

	if (facts->mx == MX_LITERAL || facts->host_count == 0)
		return;
	questions = arena_array(gathering->arena, facts->host_count * FAMILIES,
	    sizeof(*questions));
	for (size_t i = 0; i < facts->host_count; i++) {
		if (conf->smtp.use_ipv4)
			count = add_question(questions, count, facts->hosts[i].name, DNS_A);
		if (conf->smtp.use_ipv6)
			count = add_question(questions, count, facts->hosts[i].name, DNS_AAAA);
	}
	resolver_ask(gathering->gatherer->resolver, gathering->arena, questions, count,
	    gathering->deadline);
	for (size_t i = 0; i < facts->host_count; i++)
		facts->hosts[i].addresses = arena_array(gathering->arena,
		    FAMILIES * LIMIT_ADDRESSES_PER_HOST, sizeof(struct ip));
	for (size_t i = 0; i < count; i++)
		take_address_answer(&facts->hosts[i / families], &questions[i].answer);
}

struct facts *
gather_facts(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, struct deadline deadline)
{
	struct gathering gathering = {
		.gatherer = gatherer,
		.arena = arena,
		.destination = conf_destination_find(gatherer->conf, domain),
		.deadline = deadline,
		.facts = arena_alloc(arena, sizeof(struct facts)),
	};
	struct facts *facts = gathering.facts;

	facts->domain = arena_strdup(arena, domain);
	facts->mx = MX_LISTED;
	if (gathering.destination != NULL && gathering.destination->relay_host != NULL)
		set_relay(&gathering);
	else if (literal != NULL)
		set_literal(&gathering, literal);
	if (asks_sts(&gathering))
		gathering.inquiry = sts_cache_begin(gatherer->sts_cache, arena, facts->domain);
	ask_domain(&gathering);
	ask_addresses(&gathering);
	if (gathering.inquiry != NULL)
		sts_cache_finish(gatherer->sts_cache, gathering.inquiry, deadline, &facts->sts);
	return facts;
}

void
gather_rules(const struct gatherer *gatherer, const char *domain, struct plan_rules *rules)
{
	const struct conf *conf = gatherer->conf;
	const struct conf_destination *destination = conf_destination_find(conf, domain);

	*rules = (struct plan_rules){
		.sts_enforce = conf->sts.enforce,
		.tls = destination == NULL ? TLS_POLICY : destination->tls,
		.match = destination == NULL ? NULL : &destination->match,
		.hostname = conf->hostname,
		.own_names = &conf->smtp.own_names,
		.allow_private = conf->dns.private_addresses,
		.ipv6_first = conf->smtp.ipv6_first,
		.plaintext_retry = conf->tls.plaintext_retry,
		.min_protocol = conf->tls.min_protocol,
	};
	if (getrandom(&rules->seed, sizeof(rules->seed), 0) != (ssize_t)sizeof(rules->seed))
		rules->seed = (uint64_t)clock_monotonic_ms();
}

/* A refusal on a policy that has been replaced meanwhile would be wrong: TXT is asked once more. */
static bool
must_recheck(const struct plan *plan, const struct facts *facts)
{
	if (plan->verdict != PLAN_DEFER)
		return false;
	switch (facts->sts.state) {
	case STS_VALID:
		return facts->sts.policy->mode == STS_MODE_ENFORCE && facts->mx != MX_UNKNOWN;
	case STS_TXT_FAILED:
	case STS_TXT_BOGUS:
		return true;
	case STS_NOT_ASKED:
	case STS_NONE:
	case STS_FETCH_FAILED:
	case STS_TXT_GIVEN_UP:
	case STS_STORE_FAILED:
		break;
	}
	return false;
}

struct plan *
gather_plan(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, struct deadline deadline, struct facts **facts)
{
	struct facts *gathered = gather_facts(gatherer, arena, domain, literal, deadline);
	struct plan_rules rules;
	struct plan *plan;

	gather_rules(gatherer, domain, &rules);
	plan = plan_make(arena, gathered, &rules);
	if (must_recheck(plan, gathered) && sts_cache_recheck(gatherer->sts_cache, arena,
	    gathered->domain, deadline, &gathered->sts))
		plan = plan_make(arena, gathered, &rules);
	if (facts != NULL)
		*facts = gathered;
	return plan;
}
