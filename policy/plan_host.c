/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/domain.h"
#include "base/limits.h"
#include "policy/plan_inside.h"

#define DANE_NAMES_MAX	3
#define DEMANDS_MAX	3	/* DANE's, MTA-STS's or the destination's, and the sender's */

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

static enum plan_reach
reach_of(const struct planning *planning, const struct host_facts *facts,
    const struct plan_host *host)
{
	/* One family unknown or forged is no reason to leave the other's addresses unused: some
	 * resolvers make AAAA records up (DNS64), some servers sign their absence badly. */
	if (host->address_count > 0)
		return REACH_OK;
	if (facts->address_state == DNS_BOGUS)
		return REACH_BOGUS;
	if (facts->address_state == DNS_FAILED)
		return REACH_FAILED;
	if (facts->address_count == 0)
		return REACH_NOTHING;
	for (size_t i = 0; i < facts->address_count; i++)
		if (!ip_is_self(&facts->addresses[i]))
			return REACH_PRIVATE;
	return planning->facts->mx == MX_LITERAL ? REACH_PRIVATE : REACH_SELF;
}

/* How far the addresses in use are proven, or why there are none. */
static enum dns_state
address_state_of(const struct host_facts *facts)
{
	if (facts->address_count > 0 && facts->address_state == DNS_BOGUS)
		return facts->dane_state;
	return facts->address_state;
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

/* DANE decides for this host, and nothing else does. */
static bool
dane_decides(const struct planning *planning, const struct plan_host *host)
{
	return planning->dane_enforced && host->tlsa_state == TLSA_USABLE;
}

static void
add_dane_name(struct plan_host *host, const char *name)
{
	size_t i;

	for (i = 0; i < host->dane_name_count; i++)
		if (domain_equal(host->dane_names[i], name))
			return;
	host->dane_names[host->dane_name_count++] = name;
}

/* RFC 7672 3.2.2: the next-hop domain counts only where DNSSEC, or the administrator, leads from it
 * to the host. */
static void
set_dane_names(const struct planning *planning, struct plan_host *host)
{
	const struct facts *facts = planning->facts;

	host->dane_names = arena_array(planning->arena, DANE_NAMES_MAX, sizeof(char *));
	add_dane_name(host, host->tlsa_base);
	if (facts->mx_state != DNS_SECURE) {
		add_dane_name(host, host->name);
		return;
	}
	add_dane_name(host, planning->plan->domain);
	if (facts->mx_canonical != NULL)
		add_dane_name(host, facts->mx_canonical);
}

static void
set_tlsa(const struct planning *planning, const struct host_facts *facts, struct plan_host *host)
{
	struct tlsa *usable;

	host->tlsa_state = planning->dane ? facts->tlsa_state : TLSA_NOT_ASKED;
	if (host->tlsa_state == TLSA_NOT_ASKED)
		return;
	host->tlsa_base = facts->tlsa_base;
	host->tlsa = facts->tlsa;
	host->tlsa_count = facts->tlsa_count;
	if (host->tlsa_state != TLSA_USABLE)
		return;
	host->usable_count = tlsa_select(planning->arena, facts->tlsa, facts->tlsa_count, &usable);
	host->usable = usable;
	set_dane_names(planning, host);
}

/* RFC 8461 7.1: the MX name; RFC 7672 8.1: the TLSA base domain. Where DANE only looks on, the name
 * is the one that MTA-STS wants. */
static void
set_sni(const struct planning *planning, struct plan_host *host)
{
	bool by_dane = dane_decides(planning, host) ||
	    (host->tlsa_state == TLSA_USABLE && planning->policy == NULL);

	host->sni = by_dane ? host->tlsa_base : host->name;
	if (host->sni[0] == '\0')
		host->sni = NULL;
}

static struct demand *
add_demand(struct plan_host *host, enum policy_source source, enum tls_need need, bool enforce)
{
	struct demand *demand = &host->demands[host->demand_count++];

	*demand = (struct demand){ .source = source, .need = need, .enforce = enforce };
	return demand;
}

static void
demand_dane(const struct planning *planning, const struct host_facts *facts, struct plan_host *host)
{
	struct demand *demand;

	switch (host->tlsa_state) {
	case TLSA_USABLE:
		add_demand(host, SOURCE_DANE, NEED_TLSA, planning->dane_enforced);
		break;
	case TLSA_UNUSABLE:	/* RFC 7672 2.2 */
		demand = add_demand(host, SOURCE_DANE, NEED_ENCRYPTION, planning->dane_enforced);
		finding_set(&demand->finding, RESULT_TLSA_INVALID, "all-TLSA-records-unusable");
		break;
	case TLSA_UNKNOWN:	/* where DANE is enforced the host is out */
		demand = add_demand(host, SOURCE_DANE, NEED_ENCRYPTION, false);
		finding_set(&demand->finding, RESULT_DNSSEC_INVALID, "%s", facts->tlsa_why);
		break;
	case TLSA_NOT_ASKED:
	case TLSA_NONE:
		break;
	}
}

/* RFC 8461 4, 5: testing and audit check the same, and let the message pass; so does MTA-STS where
 * DANE decides. */
static void
demand_sts(const struct planning *planning, struct plan_host *host)
{
	struct demand *demand;

	if (planning->policy == NULL)
		return;
	demand = add_demand(host, SOURCE_STS, NEED_CERTIFICATE,
	    planning->enforced && !dane_decides(planning, host));
	if (!host->mx_match)
		finding_set(&demand->finding, RESULT_VALIDATION_FAILURE,
		    "mtasts-policy-mx-mismatch");
}

static void
set_demands(const struct planning *planning, const struct host_facts *facts, struct plan_host *host)
{
	host->demands = arena_array(planning->arena, DEMANDS_MAX, sizeof(struct demand));
	switch (planning->rules->tls) {
	case TLS_POLICY:
	case TLS_AUDIT:
	case TLS_DANE:	/* which excludes hosts without usable records */
		demand_dane(planning, facts, host);
		demand_sts(planning, host);
		break;
	case TLS_ENCRYPT:
		add_demand(host, SOURCE_DESTINATION, NEED_ENCRYPTION, true);
		break;
	case TLS_VERIFY:
		add_demand(host, SOURCE_DESTINATION, NEED_CERTIFICATE, true);
		break;
	case TLS_NONE:
	case TLS_MAY:
		break;
	}
	if (plan_wish_raises(planning->rules))
		add_demand(host, SOURCE_SENDER, NEED_ANY_CERTIFICATE, true);
}

/* RFC 7672 2.2.1: behind an insecure MX answer DANE protects against passive attackers. */
static bool
satisfies_dane(const struct planning *planning, const struct plan_host *host)
{
	return host->tlsa_state == TLSA_USABLE && planning->facts->mx_state == DNS_SECURE;
}

/* DANE proves the host, not the MX answer: a forged MX answer may name a host of the attacker, with
 * matching TLSA records. There an enforced list of hosts applies. */
static bool
may_be_unlisted(const struct planning *planning, const struct plan_host *host)
{
	return dane_decides(planning, host) && planning->facts->mx_state == DNS_SECURE;
}

static enum plan_host_out
out_of(const struct planning *planning, const struct plan_candidate *candidate)
{
	const struct plan_host *host = &candidate->host;

	if (host->preference >= planning->own_preference)
		return OUT_LOOP;
	if (planning->facts->mx != MX_LITERAL && !domain_is_host(host->name))
		return OUT_BAD_NAME;
	if (planning->dane_enforced && host->tlsa_state == TLSA_UNKNOWN)
		return OUT_TLSA_UNKNOWN;
	if (!host->mx_match && planning->enforced && !may_be_unlisted(planning, host))
		return OUT_UNLISTED;
	if (plan_wish_raises(planning->rules) && !plan_wish_vouched(planning, host->name))
		return OUT_UNVOUCHED;
	if (planning->rules->tls == TLS_DANE && candidate->reach == REACH_OK &&
	    !satisfies_dane(planning, host))
		return OUT_NO_TLSA;
	if (planning->rules->tls == TLS_VERIFY && host->name_count == 0)
		return OUT_UNNAMED;
	return candidate->reach == REACH_OK ? OUT_NOT : OUT_UNREACHABLE;
}

static const char *
why_unreachable(const struct planning *planning, const struct host_facts *facts,
    enum plan_reach reach)
{
	const char *colon = facts->why[0] != '\0' ? ": " : "";

	switch (reach) {
	case REACH_FAILED:
		return arena_printf(planning->arena, "address look-up failed%s%s%s", colon,
		    facts->why, plan_own_fault(planning->arena, planning->facts, DNS_FAILED));
	case REACH_BOGUS:
		return arena_printf(planning->arena, "address look-up is bogus%s%s%s", colon,
		    facts->why, plan_own_fault(planning->arena, planning->facts, DNS_BOGUS));
	case REACH_PRIVATE:
		return "all its addresses are private";
	case REACH_SELF:
		return "all its addresses are loopback or unspecified";
	case REACH_NOTHING:
		return "it has no address";
	case REACH_OK:
		break;
	}
	return NULL;
}

static const char *
why_unknown_tlsa(const struct planning *planning, const struct host_facts *facts)
{
	return arena_printf(planning->arena, "TLSA look-up %s%s%s%s",
	    facts->tlsa_answer == DNS_BOGUS ? "is bogus" : "failed",
	    facts->tlsa_why[0] != '\0' ? ": " : "", facts->tlsa_why,
	    plan_own_fault(planning->arena, planning->facts, facts->tlsa_answer));
}

static const char *
why_no_tlsa(const struct planning *planning, const struct plan_host *host)
{
	if (host->tlsa_state == TLSA_UNUSABLE)
		return "tls = \"dane\", and none of its TLSA records can be used";
	if (host->tlsa_state == TLSA_USABLE && planning->facts->mx_state != DNS_SECURE)
		return "tls = \"dane\", and the MX answer is not DNSSEC-secure";
	return "tls = \"dane\", and no secure TLSA record is known";
}

/* Of a host that is used: what an administrator might wonder about. */
static const char *
what_is_odd(const struct planning *planning, const struct host_facts *facts,
    const struct plan_host *host)
{
	if (host->tlsa_state == TLSA_UNUSABLE)
		return "none of its TLSA records can be used: TLS without a match";
	if (host->tlsa_state == TLSA_UNKNOWN)
		return why_unknown_tlsa(planning, facts);
	if (facts->address_state == DNS_BOGUS)
		return arena_printf(planning->arena,
		    "one address look-up is bogus%s%s: the other "
		    "addresses are used",
		    facts->why[0] != '\0' ? ": " : "", facts->why);
	if (!host->mx_match && dane_decides(planning, host))
		return arena_printf(planning->arena,
		    "not listed by mta-sts policy %s, and used "
		    "since DANE decides",
		    planning->policy->id);
	return NULL;
}

static const char *
why_out(const struct planning *planning, const struct host_facts *facts,
    const struct plan_candidate *candidate)
{
	switch (candidate->out) {
	case OUT_LOOP:
		return "this site itself, or no more preferred than it";
	case OUT_BAD_NAME:
		return "its name is not a valid host name";
	case OUT_UNLISTED:
		return arena_printf(planning->arena, "not listed by mta-sts policy %s",
		    planning->policy->id);
	case OUT_UNVOUCHED:
		return "neither a DNSSEC-secure MX answer nor an mta-sts policy in mode enforce "
		       "authenticates its name";
	case OUT_UNNAMED:
		return "tls = \"verify\", and there is no name to verify";
	case OUT_TLSA_UNKNOWN:
		return why_unknown_tlsa(planning, facts);
	case OUT_NO_TLSA:
		return why_no_tlsa(planning, &candidate->host);
	case OUT_UNREACHABLE:
		return why_unreachable(planning, facts, candidate->reach);
	case OUT_NOT:
		return what_is_odd(planning, facts, &candidate->host);
	case OUT_LATE:
		break;
	}
	return NULL;
}

/* A host that is out for another reason is no policy failure that anyone could see. */
static void
set_finding(const struct host_facts *facts, struct plan_candidate *candidate)
{
	struct plan_host *host = &candidate->host;

	if (candidate->out == OUT_TLSA_UNKNOWN) {
		host->finding_source = SOURCE_DANE;
		finding_set(&host->finding, RESULT_DNSSEC_INVALID, "%s", facts->tlsa_why);
	} else if (candidate->out == OUT_NO_TLSA) {
		host->finding_source = SOURCE_DANE;
		finding_set(&host->finding, RESULT_DANE_REQUIRED, "%s", "");
	} else if (!host->mx_match && (host->use || candidate->out == OUT_UNLISTED)) {
		host->finding_source = SOURCE_STS;
		finding_set(&host->finding, RESULT_VALIDATION_FAILURE, "mtasts-policy-mx-mismatch");
	}
}

void
plan_host_fill(const struct planning *planning, const struct host_facts *facts,
    struct plan_candidate *candidate)
{
	struct plan_host *host = &candidate->host;

	host->name = arena_strdup(planning->arena, facts->name);
	host->preference = facts->preference;
	host->address_state = address_state_of(facts);
	host->mx_match = planning->policy == NULL || sts_mx_match(planning->policy, host->name);
	take_addresses(planning, facts, host);
	candidate->reach = reach_of(planning, facts, host);
	if (planning->rules->tls == TLS_VERIFY)
		set_verify_names(planning, host);
	else
		set_one_name(planning, host);
	set_tlsa(planning, facts, host);
	set_sni(planning, host);
	set_demands(planning, facts, host);
	candidate->out = out_of(planning, candidate);
	host->use = candidate->out == OUT_NOT;
	set_finding(facts, candidate);
	host->reason = why_out(planning, facts, candidate);
}
