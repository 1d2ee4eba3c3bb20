/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "integration/policymap/plan_map.h"

static void
wait_for(struct arena *arena, struct plan_map_policy *policy, enum plan_map_need need,
    const char *what, const char *why)
{
	policy->need = need;
	policy->why = arena_printf(arena, "%s: %s%s%s", policy->domain, what,
	    why[0] != '\0' ? ": " : "", why);
}

static int
compare_hosts(const void *a, const void *b)
{
	const struct host_facts *const *left = a, *const *right = b;

	if ((*left)->preference != (*right)->preference)
		return (*left)->preference < (*right)->preference ? -1 : 1;
	return strcmp((*left)->name, (*right)->name);
}

static void
add_name(struct plan_map_policy *policy, const char *name)
{
	for (size_t i = 0; i < policy->name_count; i++)
		if (domain_equal(policy->names[i], name))
			return;
	policy->names[policy->name_count++] = name;
}

/* TLSA records were not looked up, as no address was known; but the MTA may find one. */
static bool
lacks_addresses(const struct host_facts *host)
{
	return host->tlsa_state == TLSA_NOT_ASKED && host->address_count == 0 &&
	    (host->address_state == DNS_FAILED || host->address_state == DNS_BOGUS);
}

bool
plan_map_hides_tlsa(const struct host_facts *host)
{
	return host->tlsa_state == TLSA_UNKNOWN || lacks_addresses(host);
}

/* RFC 8461 4.1, in an order that is the same for every answer. A listed host that cannot be reached
 * now may be by the time it is tried. Returns how many were left out, being unsure: named here,
 * they would be tried without their TLSA records. */
static size_t
name_listed(struct arena *arena, const struct facts *facts, bool sure,
    struct plan_map_policy *policy)
{
	const struct host_facts **hosts = arena_array(arena, facts->host_count + 1, sizeof(*hosts));
	size_t i, count = 0, unsure = 0;

	for (i = 0; i < facts->host_count; i++) {
		if (!domain_is_host(facts->hosts[i].name) ||
		    !sts_mx_match(policy->policy, facts->hosts[i].name))
			continue;
		if (sure && lacks_addresses(&facts->hosts[i]))
			unsure++;
		else
			hosts[count++] = &facts->hosts[i];
	}
	qsort(hosts, count, sizeof(*hosts), compare_hosts);
	policy->names = arena_array(arena, count + 1, sizeof(char *));
	for (i = 0; i < count; i++)
		add_name(policy, hosts[i]->name);
	return unsure;
}

static void
weigh_enforced(struct arena *arena, const struct facts *facts, struct plan_map_policy *policy)
{
	size_t unsure;

	if (facts->mx == MX_UNKNOWN) {
		wait_for(arena, policy, MAP_NEED_UNKNOWN, "the look-up of its MX records failed",
		    facts->mx_why);
		return;
	}
	unsure = name_listed(arena, facts, policy->facts != NULL, policy);
	if (policy->name_count > 0)
		policy->need = MAP_NEED_NAMES;
	else if (unsure > 0)
		wait_for(arena, policy, MAP_NEED_UNKNOWN,
		    "the look-up of its MX hosts' addresses"
		    " failed, so that DANE may apply",
		    "");
	else
		wait_for(arena, policy, MAP_NEED_ANOTHER_MX,
		    arena_printf(arena,
			"mta-sts policy %s (mode enforce) lists none of its MX hosts",
			policy->policy->id),
		    "");
}

static void
weigh_policy(struct arena *arena, const struct facts *facts, const struct plan_map_rules *rules,
    struct plan_map_policy *policy)
{
	if (rules->sts_enforce == ENFORCE_OFF)
		return;
	policy->policy = facts->sts.policy;
	policy->mode = sts_mode_name(policy->policy->mode);
	switch (policy->policy->mode) {
	case STS_MODE_NONE:
		return;
	case STS_MODE_TESTING:
		(void)name_listed(arena, facts, false, policy);
		policy->need = MAP_NEED_TESTING;
		return;
	case STS_MODE_ENFORCE:
		break;
	}
	if (rules->sts_enforce == ENFORCE_ON) {
		weigh_enforced(arena, facts, policy);
		return;
	}
	(void)name_listed(arena, facts, false, policy);
	policy->mode = sts_mode_name(STS_MODE_TESTING);	/* audit: looked at, never enforced */
	policy->need = MAP_NEED_TESTING;
}

/* When it is not known whether a policy is in force, an audit lets the message pass. */
static void
weigh_absence(struct arena *arena, const struct facts *facts, const struct plan_map_rules *rules,
    const char *what, struct plan_map_policy *policy)
{
	if (rules->sts_enforce == ENFORCE_ON)
		wait_for(arena, policy, MAP_NEED_UNKNOWN, what,
		    facts->resolver_fault[0] != '\0' ? facts->resolver_fault : facts->sts.why);
}

/* The answer by the domain's policies, without DANE. */
static void
weigh_published(struct arena *arena, const struct facts *facts, const struct plan_map_rules *rules,
    struct plan_map_policy *policy)
{
	switch (facts->sts.state) {
	case STS_NOT_ASKED:
	case STS_NONE:
	case STS_FETCH_FAILED:	/* RFC 8461 3.3 */
	case STS_TXT_GIVEN_UP:
		break;
	case STS_VALID:
		weigh_policy(arena, facts, rules, policy);
		break;
	case STS_TXT_FAILED:
		weigh_absence(arena, facts, rules, "the look-up of its mta-sts record failed",
		    policy);
		break;
	case STS_HOST_FAILED:
		weigh_absence(arena, facts, rules,
		    "the look-up of its policy host's addresses failed", policy);
		break;
	case STS_HOST_BOGUS:
		weigh_absence(arena, facts, rules,
		    "the answer for its policy host's addresses fails DNSSEC validation", policy);
		break;
	case STS_UNKNOWN:
		weigh_absence(arena, facts, rules, "whether it has an mta-sts policy is not known",
		    policy);
		break;
	case STS_TXT_BOGUS:
		weigh_absence(arena, facts, rules,
		    "the answer for its mta-sts record fails DNSSEC validation", policy);
		break;
	case STS_STORE_FAILED:
		weigh_absence(arena, facts, rules,
		    "whether an mta-sts policy is in force cannot be read from the store", policy);
		break;
	}
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A wildcard of ours stands for one label, and an MTA's for any number: the hosts that it covers
 * are named instead. */
static void
weigh_verify(struct arena *arena, const struct plan *plan, struct plan_map_policy *policy)
{
	size_t room = 1;

	for (size_t i = 0; i < plan->host_count; i++)
		room += plan->hosts[i].name_count;
	policy->names = arena_array(arena, room, sizeof(char *));
	for (size_t i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];

		for (size_t j = 0; j < host->name_count; j++)
			if (domain_is_host(host->names[j]))
				add_name(policy, host->names[j]);
			else if (sts_pattern_match(host->names[j], host->name))
				add_name(policy, host->name);
	}
	qsort(policy->names, policy->name_count, sizeof(char *), compare_names);
	if (policy->name_count > 0)
		policy->need = MAP_NEED_NAMES;
	else
		wait_for(arena, policy, MAP_NEED_UNKNOWN,
		    "its destination section demands a "
		    "verified certificate (tls = \"verify\"), and there is no name to verify",
		    "");
}

/* Do TLSA records count for the asking MTA? RFC 7672 2.2.1: behind an MX answer that is not secure
 * DANE does not show that the host is the domain's, and MTAs refuse to demand it there. An MX
 * answer that failed may be a secure one. */
static bool
dane_counts(const struct facts *facts, const struct plan_map_rules *rules)
{
	if (!rules->dane_by_mta || (facts->mx_state != DNS_SECURE && facts->mx != MX_UNKNOWN))
		return false;
	switch (rules->tls) {
	case TLS_POLICY:
		return rules->dane_enforce == ENFORCE_ON;
	case TLS_DANE:	/* does not hang on dane.enforce */
		return true;
	case TLS_NONE:
	case TLS_MAY:
	case TLS_AUDIT:
	case TLS_ENCRYPT:
	case TLS_VERIFY:
		break;
	}
	return false;
}

static void
weigh_share(const struct facts *facts, struct plan_map_policy *policy)
{
	size_t usable = 0, reachable = 0;

	policy->facts = facts;
	for (size_t i = 0; i < facts->host_count; i++) {
		const struct host_facts *host = &facts->hosts[i];

		if (host->tlsa_state == TLSA_USABLE)
			usable++;
		else if (host->tlsa_state == TLSA_UNKNOWN)
			policy->share_unknown = true;
		else if (host->address_count > 0)
			reachable++;
	}
	if (usable == 0)
		policy->share = MAP_SHARE_NONE;
	else if (usable == facts->host_count)
		policy->share = MAP_SHARE_ALL;
	else
		policy->share = reachable > 0 ? MAP_SHARE_SOME : MAP_SHARE_REACHABLE;
}

void
plan_map_weigh(struct arena *arena, const struct facts *facts, const struct plan *plan,
    const struct plan_map_rules *rules, struct plan_map_policy *policy)
{
	*policy = (struct plan_map_policy){
		.need = MAP_NEED_NOTHING, .domain = facts->domain, .says_dane = rules->dane_by_mta
	};
	if (dane_counts(facts, rules))
		weigh_share(facts, policy);
	switch (rules->tls) {
	case TLS_POLICY:
		weigh_published(arena, facts, rules, policy);
		break;
	case TLS_NONE:
	case TLS_MAY:
	case TLS_AUDIT:
		break;
	case TLS_ENCRYPT:
		policy->need = MAP_NEED_ENCRYPTION;
		break;
	case TLS_VERIFY:
		weigh_verify(arena, plan, policy);
		break;
	case TLS_DANE:
		policy->need = MAP_NEED_DANE_ONLY;
		break;
	}
}
