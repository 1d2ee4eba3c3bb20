/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Shared by the parts of plan_make(): plan.c for the domain and the order of its hosts, plan_host.c
 * for one host, plan_verdict.c for the reply when no host is left, and plan_blame.c for the party
 * at fault for a DNS answer. Only for these.
 */
#ifndef POLICY_PLAN_INSIDE_H
#define POLICY_PLAN_INSIDE_H

#include "policy/plan.h"

/* The addresses that can be dialled by the look-ups, whatever a policy says. */
enum plan_reach {
	REACH_OK,
	REACH_FAILED,	/* unknown: SERVFAIL, time-out */
	REACH_BOGUS,
	REACH_PRIVATE,	/* known, and all refused */
	REACH_SELF,	/* the same, and all are loopback or unspecified, which is permanent */
	REACH_NOTHING	/* proven: there is no address */
};

/* Why a host is out; the first that holds. */
enum plan_host_out {
	OUT_NOT,
	OUT_LOOP,	/* ourselves, or no more preferred than we are */
	OUT_BAD_NAME,
	OUT_TLSA_UNKNOWN,	/* DANE might speak here, and what it says is not known */
	OUT_UNLISTED,	/* by an enforced MTA-STS policy */
	OUT_UNVOUCHED,	/* REQUIRETLS, and its name is not authenticated */
	OUT_UNNAMED,	/* tls = verify, and no name to verify */
	OUT_NO_TLSA,	/* tls = dane */
	OUT_UNREACHABLE,	/* reach says why */
	OUT_LATE	/* the hosts before it use up LIMIT_ADDRESSES_PER_DOMAIN */
};

struct plan_candidate {
	struct plan_host host;
	enum plan_host_out out;
	enum plan_reach reach;
};

struct planning {
	struct arena *arena;
	const struct facts *facts;
	const struct plan_rules *rules;
	struct plan *plan;
	const struct sts_policy *policy;	/* enforce or testing, where asked for; or NULL */
	bool dane;	/* TLSA records count */
	bool dane_enforced;
	bool audit;	/* demands of MTA-STS are recorded, never enforced */
	bool lowered;	/* TLS-Required: No: what recipients publish is never enforced either */
	bool enforced;	/* policy stops messages */
	uint32_t own_preference;	/* hosts from here on are loops; above UINT16_MAX: none */
	struct plan_candidate *candidates;
	size_t count;
};

void plan_host_fill(const struct planning *planning, const struct host_facts *facts,
    struct plan_candidate *candidate);
/* Does the domain have a fault that no host can repair? Then the plan's verdict is set. */
bool plan_stop(struct planning *planning);
void plan_no_host(struct planning *planning);	/* the verdict when no host may be used */

/* Is an answer of this state bogus or missing since our own resolver is broken? */
bool plan_is_own_fault(const struct facts *facts, enum dns_state state);
/* The end of a reply about an answer that is bogus or missing: the party at fault, and the remedy;
 * "" for a temporary failure. way_out: the workaround until the domain's DNS is repaired. */
const char *plan_blame(struct arena *arena, const struct facts *facts, enum dns_state state,
    const char *domain, const char *way_out);
/* Our own fault in parentheses, or "". */
const char *plan_own_fault(struct arena *arena, const struct facts *facts, enum dns_state state);

/* The sender's demand. Does it make the published policies advisory, or ask for more? */
bool plan_wish_lowers(const struct plan_rules *rules);
bool plan_wish_raises(const struct plan_rules *rules);
/* Is this name of the domain's host authenticated (RFC 8689 4.2.1)? */
bool plan_wish_vouched(const struct planning *planning, const char *name);
/* Sets plan->untried, when the candidates are known. */
void plan_wish_weigh(struct planning *planning);
/* plan_no_host() for a wish that raises. unvouched: some host is OUT_UNVOUCHED; hosts: by name. */
void plan_wish_no_host(struct planning *planning, bool unvouched, const char *hosts);
/* The effect of REQUIRETLS on a host that falls short: permanent, unless the failure is
 * temporary. */
void plan_wish_judge(const struct plan *plan, const struct proof *proof,
    struct judgement *judgement);

#endif
