/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Fills the facts for a next-hop domain: MX, addresses, MTA-STS policy, asked side by side, and
 * makes the plan from them. The edge of policy/: all I/O for a decision happens behind these
 * functions. Any thread.
 */
#ifndef POLICY_FACTS_GATHER_H
#define POLICY_FACTS_GATHER_H

#include "base/arena.h"
#include "base/deadline.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "policy/dns/resolver.h"
#include "policy/facts.h"
#include "policy/plan.h"
#include "policy/facts/sts_cache.h"

/* An observer of the gathering. */
struct gather_watch {
	/* Before each wait, and now and then in the one for a policy: what is waited for now.
	 * "dns", the MX and TXT records side by side; "mx"; "txt"; "address"; "tlsa"; "policy".
	 * true: the caller no longer waits, as with struct watch. */
	bool (*ended)(void *context, const char *what);
	void *context;
};

struct gatherer {
	const struct conf *conf;
	struct resolver *resolver;
	struct sts_cache *sts_cache;
	struct conf_now *now;	/* NULL: conf is never replaced */
	bool skip_relay;	/* the MTA delivers itself: no relay of a destination */
	const struct gather_watch *watch;	/* NULL: no observer */
};

/* For one session or request: a copy with the configuration that is in force now. It and every plan
 * made with it are good until gatherer_give(). */
struct gatherer gatherer_take(const struct gatherer *gatherer);
void gatherer_give(const struct gatherer *taken);

/* domain: A-labels, or "[192.0.2.1]" / "[IPv6:2001:db8::1]" for an address literal, whose address
 * is literal (NULL otherwise). The destination's relay and tls settings are applied. */
struct facts *gather_facts(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, struct deadline deadline);
/* The rules that conf holds for a next-hop domain, with a fresh random seed. */
void gather_rules(const struct gatherer *gatherer, const char *next_hop, struct plan_rules *rules);
/* The plan by these rules from facts about that next hop. */
struct plan *gather_plan_of(const struct gatherer *gatherer, struct arena *arena,
    enum sender_wish wish, const struct facts *facts);
/* Both steps. facts may be NULL when the caller does not want them. */
struct plan *gather_plan_for(const struct gatherer *gatherer, struct arena *arena,
    const char *domain, const struct ip *literal, enum sender_wish wish, struct deadline deadline,
    struct facts **facts);
/* Before a refusal by facts' MTA-STS policy at a connection: asks its TXT record past the cache, at
 * most once per sts.retry-interval, and waits for what it announces while the watch lets it. NULL:
 * there is nothing new; else the plan by what it led to, which facts then tell of. */
struct plan *gather_plan_again(const struct gatherer *gatherer, struct arena *arena,
    enum sender_wish wish, struct deadline deadline, struct facts *facts);
/* Fetches the policy now, whatever the TXT record's id and the back-off say, and waits for it while
 * the watch, if there is one, lets it; the fetch goes on for others. 0, or -1: sts says why not. */
int gather_refresh(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    struct deadline deadline, struct sts_facts *sts);
/* For no message in particular. */
struct plan *gather_plan(const struct gatherer *gatherer, struct arena *arena, const char *domain,
    const struct ip *literal, struct deadline deadline, struct facts **facts);

#endif
