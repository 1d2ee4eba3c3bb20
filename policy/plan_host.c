/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/domain.h"
#include "base/limits.h"
#include "policy/plan_make.h"

#define DEMANDS_MAX 3	/* of one host: a policy's or a destination's, and the sender's */

static bool
may_dial(const struct planning *planning, const struct ip *ip)
{
	return planning->rules->allow_private || planning->plan->relay || ip_is_public(ip);
}

/* Appends up to most addresses of one family, in the order of the answer. */
static void
take_family(const struct planning *planning, const struct host_facts *facts, bool v6, size_t most,
    struct plan_host *host)
{
	size_t i;

	for (i = 0; i < facts->address_count && most > 0; i++)
		if (facts->addresses[i].v6 == v6 && may_dial(planning, &facts->addresses[i])) {
			host->addresses[host->address_count++] = facts->addresses[i];
			most--;
		}
}

/* The preferred family first. Where both are many, each gets half of what is tried: one that has
 * no route from here must not hide the other. */
static void
take_addresses(const struct planning *planning, const struct host_facts *facts,
    struct plan_host *host)
{
	bool first = planning->rules->ipv6_first;
	size_t i, second = 0;

	host->addresses = arena_array(planning->arena, LIMIT_ADDRESSES_PER_HOST, sizeof(struct ip));
	for (i = 0; i < facts->address_count && second < LIMIT_ADDRESSES_PER_HOST / 2; i++)
		second += facts->addresses[i].v6 != first &&
		    may_dial(planning, &facts->addresses[i]);
	take_family(planning, facts, first, LIMIT_ADDRESSES_PER_HOST - second, host);
	take_family(planning, facts, !first, LIMIT_ADDRESSES_PER_HOST - host->address_count, host);
}

static enum reach
reach_of(const struct host_facts *facts, const struct plan_host *host)
{
	if (facts->address_state == DNS_BOGUS)
		return REACH_BOGUS;
	/* One family unknown is no reason to leave the other's addresses unused. */
	if (host->address_count > 0)
		return REACH_OK;
	if (facts->address_state == DNS_FAILED)
		return REACH_FAILED;
	return facts->address_count > 0 ? REACH_PRIVATE : REACH_NOTHING;
}

static void
set_one_name(const struct planning *planning, struct plan_host *host)
{
	if (host->name[0] == '\0')
		return;
	host->names = arena_array(planning->arena, 1, sizeof(char *));
	host->names[0] = host->name;
	host->name_count = 1;
}

/* tls = verify: the administrator's names, the relay's, or an MX name that DNSSEC vouches for. */
static void
set_verify_names(const struct planning *planning, struct plan_host *host)
{
	const struct conf_strings *match = planning->rules->match;
	const struct facts *facts = planning->facts;
	size_t i;

	if (match == NULL || match->count == 0) {
		if (facts->mx == MX_RELAY || facts->mx_state == DNS_SECURE)
			set_one_name(planning, host);
		return;
	}
	host->names = arena_array(planning->arena, match->count, sizeof(char *));
	for (i = 0; i < match->count; i++)
		host->names[i] = arena_strdup(planning->arena, match->at[i]);
	host->name_count = match->count;
}

static void
add_demand(const struct planning *planning, struct plan_host *host, enum policy_source source,
    enum tls_need need, bool enforce)
{
	if (host->demands == NULL)
		host->demands = arena_array(planning->arena, DEMANDS_MAX, sizeof(struct demand));
	host->demands[host->demand_count++] =
	    (struct demand){ .source = source, .need = need, .enforce = enforce };
}

static void
set_demands(const struct planning *planning, struct plan_host *host)
{
	switch (planning->rules->tls) {
	case TLS_POLICY:
	case TLS_AUDIT:
		/* RFC 8461 4, 5: testing and audit look as hard, and let the message go. */
		if (planning->policy != NULL)
			add_demand(planning, host, SOURCE_STS, NEED_CERTIFICATE,
			    planning->enforced);
		break;
	case TLS_ENCRYPT:
		add_demand(planning, host, SOURCE_DESTINATION, NEED_ENCRYPTION, true);
		break;
	case TLS_VERIFY:
	case TLS_DANE:
		add_demand(planning, host, SOURCE_DESTINATION, NEED_CERTIFICATE, true);
		break;
	case TLS_MAY:
		break;
	}
	if (plan_wish_raises(planning->rules))
		add_demand(planning, host, SOURCE_SENDER, NEED_ANY_CERTIFICATE, true);
}

static enum host_out
out_of(const struct planning *planning, const struct candidate *candidate)
{
	const struct plan_host *host = &candidate->host;

	if (host->preference >= planning->own_preference)
		return OUT_LOOP;
	if (planning->facts->mx != MX_LITERAL && !domain_is_host(host->name))
		return OUT_BAD_NAME;
	if (!host->mx_match && planning->enforced)
		return OUT_UNLISTED;
	if (plan_wish_raises(planning->rules) && !plan_wish_vouched(planning, host->name))
		return OUT_UNVOUCHED;
	if (planning->rules->tls == TLS_DANE)
		return OUT_NO_TLSA;
	if (planning->rules->tls == TLS_VERIFY && host->name_count == 0)
		return OUT_UNNAMED;
	return candidate->reach == REACH_OK ? OUT_NOT : OUT_UNREACHABLE;
}

static const char *
why_unreachable(const struct planning *planning, const struct host_facts *facts, enum reach reach)
{
	const char *colon = facts->why[0] != '\0' ? ": " : "";

	switch (reach) {
	case REACH_FAILED:
		return arena_printf(planning->arena, "address look-up failed%s%s", colon,
		    facts->why);
	case REACH_BOGUS:
		return arena_printf(planning->arena, "address look-up is bogus%s%s", colon,
		    facts->why);
	case REACH_PRIVATE:
		return "all its addresses are private";
	case REACH_NOTHING:
		return "it has no address";
	case REACH_OK:
		break;
	}
	return NULL;
}

static const char *
why_out(const struct planning *planning, const struct host_facts *facts,
    const struct candidate *candidate)
{
	switch (candidate->out) {
	case OUT_LOOP:
		return "this site itself, or no more preferred than it";
	case OUT_BAD_NAME:
		return "its name is no host name";
	case OUT_UNLISTED:
		return arena_printf(planning->arena, "not listed by mta-sts policy %s",
		    planning->policy->id);
	case OUT_UNVOUCHED:
		return "neither a DNSSEC-secure MX answer nor an mta-sts policy in mode enforce "
		    "vouches for its name";
	case OUT_UNNAMED:
		return "tls = \"verify\", and no name that a certificate could be verified for";
	case OUT_NO_TLSA:
		return "tls = \"dane\", and no secure TLSA record is known";
	case OUT_UNREACHABLE:
		return why_unreachable(planning, facts, candidate->reach);
	case OUT_NOT:
	case OUT_LATE:
		break;
	}
	return NULL;
}

void
plan_host_fill(const struct planning *planning, const struct host_facts *facts,
    struct candidate *candidate)
{
	struct plan_host *host = &candidate->host;

	host->name = arena_strdup(planning->arena, facts->name);
	host->preference = facts->preference;
	host->address_state = facts->address_state;
	host->sni = host->name[0] != '\0' ? host->name : NULL;	/* RFC 8461 7.1: the MX name */
	host->mx_match = planning->policy == NULL || sts_mx_match(planning->policy, host->name);
	take_addresses(planning, facts, host);
	candidate->reach = reach_of(facts, host);
	if (planning->rules->tls == TLS_VERIFY)
		set_verify_names(planning, host);
	else
		set_one_name(planning, host);
	set_demands(planning, host);
	candidate->out = out_of(planning, candidate);
	host->use = candidate->out == OUT_NOT;
	/* A host that is out for another reason is no policy failure that anyone could see. */
	if (!host->mx_match && (host->use || candidate->out == OUT_UNLISTED))
		finding_set(&host->finding, RESULT_VALIDATION_FAILURE, "mtasts-policy-mx-mismatch");
	host->reason = why_out(planning, facts, candidate);
}
