/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* The effect of the sender's demand (RFC 8689) on a plan and its judgements. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "policy/plan_inside.h"

bool
plan_wish_lowers(const struct plan_rules *rules)
{
	return rules->wish == WISH_NO;
}

bool
plan_wish_raises(const struct plan_rules *rules)
{
	return rules->wish == WISH_REQUIRETLS;
}

/* Does the policy that the domain publishes list the host, and in earnest? That this site only
 * audits changes nothing of it. */
static bool
policy_vouches(const struct sts_facts *sts, const char *name)
{
	return sts->state == STS_VALID && sts->policy->mode == STS_MODE_ENFORCE &&
	    sts_mx_match(sts->policy, name);
}

bool
plan_wish_vouched(const struct planning *planning, const char *name)
{
	const struct facts *facts = planning->facts;
	const struct conf_strings *match = planning->rules->match;

	/* Names to verify, or a relay, are the administrator's own word. */
	if (planning->rules->tls == TLS_VERIFY && match != NULL && match->count > 0)
		return true;
	switch (facts->mx) {
	case MX_RELAY:
		return true;
	case MX_LITERAL:	/* an address has no name to authenticate */
		return false;
	case MX_LISTED:
	case MX_IMPLICIT:
	case MX_NULL:
	case MX_NO_DOMAIN:
	case MX_UNKNOWN:
		break;
	}
	/* RFC 8689 4.2.1 2 */
	return facts->mx_state == DNS_SECURE || policy_vouches(&facts->sts, name);
}

/* The reply when a host could not be tried for a temporary reason; code 0: it is permanent. With
 * REQUIRETLS more reasons are temporary: the absence of a host's address is not proven. */
static void
describe_untried(const struct planning *planning, const struct plan_candidate *candidate,
    struct reply *reply)
{
	bool raises = plan_wish_raises(planning->rules);
	const char *enhanced = NULL;

	reply->code = 0;
	if (candidate->out == OUT_LATE)
		enhanced = "4.4.4";
	if (candidate->out == OUT_TLSA_UNKNOWN)
		enhanced = "4.7.5";
	if (candidate->out == OUT_UNREACHABLE)
		switch (candidate->reach) {
		case REACH_FAILED:
			enhanced = "4.4.3";
			break;
		case REACH_BOGUS:
			enhanced = "4.7.5";
			break;
		case REACH_PRIVATE:
			enhanced = raises ? "4.4.4" : NULL;
			break;
		case REACH_NOTHING:
		case REACH_SELF:
			if (raises && candidate->host.address_state != DNS_SECURE)
				enhanced = "4.4.4";
			break;
		case REACH_OK:
			break;
		}
	if (enhanced != NULL)
		reply_set(reply, 451, enhanced,
		    "%s could not be tried for a message%s, so the "
		    "message waits: %s",
		    candidate->host.name,
		    raises ? " with REQUIRETLS" : " that another host cannot take",
		    candidate->host.reason);
}

void
plan_wish_weigh(struct planning *planning)
{
	struct reply *untried = &planning->plan->untried;
	size_t i;

	untried->code = 0;
	for (i = 0; i < planning->count && untried->code == 0; i++)
		describe_untried(planning, &planning->candidates[i], untried);
}

/* Is it unknown whether there is a policy that would vouch? */
static bool
defer_unknown_policy(struct planning *planning)
{
	const struct sts_facts *sts = &planning->facts->sts;
	const char *enhanced = NULL;

	switch (sts->state) {
	case STS_STORE_FAILED:
		enhanced = "4.3.0";
		break;
	case STS_TXT_FAILED:
	case STS_TXT_GIVEN_UP:
	case STS_HOST_FAILED:
	case STS_UNKNOWN:
		enhanced = "4.4.3";
		break;
	case STS_TXT_BOGUS:
	case STS_HOST_BOGUS:
	case STS_FETCH_FAILED:
		enhanced = "4.7.5";
		break;
	case STS_NOT_ASKED:
	case STS_NONE:
	case STS_VALID:
		return false;
	}
	planning->plan->verdict = PLAN_DEFER;
	reply_set(&planning->plan->reply, 451, enhanced,
	    "REQUIRETLS was asked, and the mta-sts policy of %s, which might authenticate its MX "
	    "hosts, is not known%s%s",
	    planning->plan->domain, sts->why[0] != '\0' ? ": " : "", sts->why);
	return true;
}

static const char *
first_reason(const struct planning *planning)
{
	size_t i;

	for (i = 0; i < planning->count; i++)
		if (planning->candidates[i].out != OUT_LOOP &&
		    planning->candidates[i].out != OUT_BAD_NAME &&
		    planning->candidates[i].host.reason != NULL)
			return planning->candidates[i].host.reason;
	return "there is none";
}

void
plan_wish_no_host(struct planning *planning, bool unvouched, const char *hosts)
{
	struct plan *plan = planning->plan;

	if (unvouched && defer_unknown_policy(planning))
		return;
	if (plan->untried.code != 0) {
		plan->verdict = PLAN_DEFER;
		plan->reply = plan->untried;
		return;
	}
	plan->verdict = PLAN_REFUSE;
	reply_set(&plan->reply, 550, "5.7.10",
	    "REQUIRETLS was asked, and no host of %s can be used for it (%s): %s", plan->domain,
	    hosts[0] != '\0' ? hosts : "an address", first_reason(planning));
}

/* May the same host do better in a while? */
static bool
may_pass(const struct proof *proof, const struct judgement *judgement)
{
	if (proof->local_fault || judgement->finding.type == RESULT_OK)
		return true;
	switch (proof->tls) {
	case PROOF_TIMEOUT:
		return true;
	case PROOF_REFUSED:
		return proof->starttls_code / 100 != 5;
	case PROOF_HANDSHAKE_FAILED:
		return strcmp(proof->failure, PROOF_FAILURE_CLOSED) == 0;
	case PROOF_NOT_TRIED:
	case PROOF_NOT_OFFERED:
	case PROOF_ESTABLISHED:
		break;
	}
	return false;
}

void
plan_wish_judge(const struct plan *plan, const struct proof *proof, struct judgement *judgement)
{
	char text[sizeof(judgement->reply.text)];

	if (plan->wish != WISH_REQUIRETLS || judgement->step != JUDGEMENT_NEXT_HOST ||
	    may_pass(proof, judgement))
		return;
	memcpy(text, judgement->reply.text, sizeof(text));
	reply_set(&judgement->reply, 550, "5.7.10", "REQUIRETLS cannot be met: %s", text);
}
