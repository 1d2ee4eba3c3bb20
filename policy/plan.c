/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/domain.h"
#include "base/limits.h"
#include "policy/plan.h"
#include "policy/plan_inside.h"

static const char *const source_names[] = {
	[SOURCE_NONE] = "none",
	[SOURCE_STS] = "sts",
	[SOURCE_DANE] = "dane",
	[SOURCE_DESTINATION] = "destination",
	[SOURCE_SENDER] = "sender",
};

static const char *const verdict_names[] = {
	[PLAN_USE] = "use",
	[PLAN_DEFER] = "defer",
	[PLAN_REFUSE] = "refuse",
};

static const char *const wish_names[] = {
	[WISH_NONE] = "none",
	[WISH_NO] = "no",
	[WISH_REQUIRETLS] = "requiretls",
};

const char *
sender_wish_name(enum sender_wish wish)
{
	return wish_names[wish];
}

const char *
policy_source_name(enum policy_source source)
{
	return source_names[source];
}

const char *
plan_verdict_name(enum plan_verdict verdict)
{
	return verdict_names[verdict];
}

bool
plan_host_enforces(const struct plan_host *host)
{
	size_t i;

	for (i = 0; i < host->demand_count; i++)
		if (host->demands[i].enforce)
			return true;
	return false;
}

const struct demand *
plan_host_policy(const struct plan_host *host)
{
	const struct demand *found = NULL, *demand;
	size_t i;

	for (i = 0; i < host->demand_count; i++) {
		demand = &host->demands[i];
		if (demand->need == NEED_TLSA && demand->enforce)
			return demand;
		/* Where DANE does not decide, MTA-STS speaks louder. */
		if (demand->source == SOURCE_STS ||
		    (demand->source == SOURCE_DANE && found == NULL))
			found = demand;
	}
	return found;
}

const char *
plan_host_mode(const struct plan *plan, const struct plan_host *host)
{
	const struct demand *demand = plan_host_policy(host);

	if (demand == NULL || demand->source != SOURCE_DANE)
		return plan->mode;
	return demand->enforce ? "enforce" : "audit";
}

/* Does the administrator leave this domain to the policy that it publishes? */
static bool
asks_policy(const struct plan_rules *rules)
{
	switch (rules->tls) {
	case TLS_POLICY:
	case TLS_AUDIT:
		return rules->sts_enforce != ENFORCE_OFF;
	case TLS_NONE:
	case TLS_MAY:
	case TLS_ENCRYPT:
	case TLS_VERIFY:
	case TLS_DANE:
		break;
	}
	return false;
}

/* Do TLSA records count, and how much? A destination that demands DANE does not hang on
 * dane.enforce. */
static void
weigh_dane(struct planning *planning)
{
	const struct plan_rules *rules = planning->rules;

	switch (rules->tls) {
	case TLS_POLICY:
		planning->dane_enforced = rules->dane_enforce == ENFORCE_ON && !planning->lowered;
		planning->dane = rules->dane_enforce != ENFORCE_OFF;
		break;
	case TLS_AUDIT:
		planning->dane = rules->dane_enforce != ENFORCE_OFF;
		break;
	case TLS_DANE:
		planning->dane = planning->dane_enforced = true;
		break;
	case TLS_NONE:
	case TLS_MAY:
	case TLS_ENCRYPT:
	case TLS_VERIFY:
		break;
	}
}

/* Which MTA-STS policy speaks, and how loud. */
static void
weigh_policy(struct planning *planning)
{
	const struct plan_rules *rules = planning->rules;
	const struct sts_facts *sts = &planning->facts->sts;
	const struct sts_policy *policy = sts->state == STS_VALID ? sts->policy : NULL;
	struct plan *plan = planning->plan;

	planning->audit = rules->tls == TLS_AUDIT || rules->sts_enforce == ENFORCE_AUDIT;
	planning->lowered = plan_wish_lowers(rules);
	if (!asks_policy(rules))
		return;
	if (policy == NULL || policy->mode != STS_MODE_NONE)
		plan->finding = sts->finding;	/* RFC 8461 6: not where the mode is none */
	if (policy == NULL)
		return;
	plan->policy_id = arena_strdup(planning->arena, policy->id);
	plan->published = plan->mode = sts_mode_name(policy->mode);
	if (policy->mode == STS_MODE_NONE)
		return;
	planning->policy = policy;
	plan->source = SOURCE_STS;
	planning->enforced = policy->mode == STS_MODE_ENFORCE && !planning->audit &&
	    !planning->lowered;
	if (planning->audit)
		plan->mode = "audit";
}

static bool
is_own_name(const struct plan_rules *rules, const char *name)
{
	size_t i;

	if (rules->hostname != NULL && domain_equal(name, rules->hostname))
		return true;
	for (i = 0; rules->own_names != NULL && i < rules->own_names->count; i++)
		if (domain_equal(name, rules->own_names->at[i]))
			return true;
	return false;
}

/* RFC 5321 5.1: our own name is dropped with all that are no more preferred. A relay is the
 * administrator's own word: a filter on this very host is no loop. */
static uint32_t
own_preference(const struct planning *planning)
{
	const struct facts *facts = planning->facts;
	uint32_t best = UINT32_MAX;
	size_t i;

	if (facts->mx != MX_LISTED && facts->mx != MX_IMPLICIT)
		return best;
	for (i = 0; i < facts->host_count; i++)
		if (facts->hosts[i].preference < best &&
		    is_own_name(planning->rules, facts->hosts[i].name))
			best = facts->hosts[i].preference;
	return best;
}

static uint64_t
splitmix64(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

static void
swap(struct plan_candidate *a, struct plan_candidate *b)
{
	struct plan_candidate held = *a;

	*a = *b;
	*b = held;
}

static bool
goes_before(const struct plan_candidate *a, const struct plan_candidate *b)
{
	if (a->host.use != b->host.use)
		return a->host.use;
	return a->host.preference < b->host.preference;
}

/* By preference, at random among equals (RFC 5321 5.1), those that are out last. */
static void
put_in_order(struct planning *planning)
{
	struct plan_candidate *candidates = planning->candidates;
	uint64_t state = planning->rules->seed;
	size_t i, j;

	for (i = planning->count; i > 1; i--)
		swap(&candidates[i - 1], &candidates[splitmix64(&state) % i]);
	for (i = 1; i < planning->count; i++)
		for (j = i; j > 0 && goes_before(&candidates[j], &candidates[j - 1]); j--)
			swap(&candidates[j], &candidates[j - 1]);
}

static void
limit_addresses(struct planning *planning)
{
	size_t i, left = LIMIT_ADDRESSES_PER_DOMAIN;
	struct plan_candidate *candidate;

	for (i = 0; i < planning->count; i++) {
		candidate = &planning->candidates[i];
		if (!candidate->host.use)
			continue;
		if (candidate->host.address_count > left)
			candidate->host.address_count = left;
		left -= candidate->host.address_count;
		if (candidate->host.address_count == 0) {
			candidate->host.use = false;
			candidate->host.reason = "the hosts before it have enough addresses";
			candidate->out = OUT_LATE;
		}
	}
}

static void
fill_hosts(struct planning *planning)
{
	const struct facts *facts = planning->facts;
	size_t i;

	planning->count = facts->host_count;
	planning->candidates = arena_array(planning->arena, facts->host_count,
	    sizeof(struct plan_candidate));
	planning->own_preference = own_preference(planning);
	for (i = 0; i < facts->host_count; i++)
		plan_host_fill(planning, &facts->hosts[i], &planning->candidates[i]);
	put_in_order(planning);
	limit_addresses(planning);
}

static void
publish_hosts(struct planning *planning)
{
	struct plan *plan = planning->plan;
	size_t i;

	plan->hosts = arena_array(planning->arena, planning->count, sizeof(struct plan_host));
	plan->host_count = planning->count;
	for (i = 0; i < planning->count; i++) {
		plan->hosts[i] = planning->candidates[i].host;
		plan->use_count += plan->hosts[i].use;
	}
}

/* Where tls and relay are left alone, a section of the domain's own is the one to write. */
static const char *
destination_to_name(struct arena *arena, const struct plan *plan, const struct plan_rules *rules)
{
	if (rules->destination == NULL || (rules->tls == TLS_POLICY && !plan->relay))
		return plan->domain;
	return arena_strdup(arena, rules->destination);
}

struct plan *
plan_make(struct arena *arena, const struct facts *facts, const struct plan_rules *rules)
{
	struct plan *plan = arena_alloc(arena, sizeof(*plan));
	struct planning planning = { .arena = arena, .facts = facts, .rules = rules, .plan = plan };

	plan->domain = arena_strdup(arena, facts->domain);
	plan->relay = facts->mx == MX_RELAY || facts->relay_address;
	plan->destination = destination_to_name(arena, plan, rules);
	plan->no_tls = rules->tls == TLS_NONE;
	plan->plaintext_retry = rules->plaintext_retry;
	plan->min_protocol = rules->min_protocol;
	plan->wish = rules->wish;
	weigh_policy(&planning);
	weigh_dane(&planning);
	if (plan_stop(&planning))
		return plan;
	fill_hosts(&planning);
	plan_wish_weigh(&planning);
	publish_hosts(&planning);
	if (plan->use_count == 0)
		plan_no_host(&planning);
	return plan;
}
