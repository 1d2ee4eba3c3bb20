/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "report/outcomes.h"

#define POLICIES_MAX	2	/* tlsa and sts, or no-policy-found alone */

struct making {
	struct arena *arena;
	const struct outcomes_of *of;
	const char *record;
	struct outcomes *made;
	struct outcome_policy sts;	/* of the domain, where has_sts */
	bool has_sts;
	struct finding sts_finding;	/* why the policy could not be fetched or refreshed */
};

static const char *
copy(const struct making *making, const char *text)
{
	return outcome_text(making->arena, text, strlen(text));
}

/* The lines as served, mistakes included (RFC 8460 4.4); empty ones say nothing. */
static void
take_lines(const struct making *making, const char *body, size_t length,
    struct outcome_policy *policy)
{
	const char *end = body + length, *next;
	size_t i, lines = 1, used;

	for (i = 0; i < length; i++)
		lines += body[i] == '\n';
	policy->strings = arena_array(making->arena, lines, sizeof(policy->strings[0]));
	for (; body < end; body = next) {
		next = memchr(body, '\n', (size_t)(end - body));
		next = next != NULL ? next + 1 : end;
		used = (size_t)(next - body);
		while (used > 0 && (body[used - 1] == '\n' || body[used - 1] == '\r'))
			used--;
		if (used > 0)
			policy->strings[policy->string_count++] = outcome_text(making->arena, body,
			    used);
	}
}

static void
take_sts(struct making *making)
{
	const struct sts_facts *facts = &making->of->facts->sts;
	const struct sts_policy *policy = facts->state == STS_VALID ? facts->policy : NULL;
	struct outcome_policy *sts = &making->sts;
	size_t i;

	/* A policy with mode none is no policy (RFC 8461 5), and its absence is no failure. */
	if (policy != NULL && policy->mode == STS_MODE_NONE)
		return;
	making->sts_finding = facts->finding;
	making->has_sts = policy != NULL || facts->finding.type != RESULT_OK;
	*sts = (struct outcome_policy){ .type = OUTCOME_STS,
		.domain = copy(making, making->of->facts->domain) };
	if (policy == NULL) {
		if (facts->served != NULL)
			take_lines(making, facts->served, strlen(facts->served), sts);
		return;
	}
	take_lines(making, policy->body, policy->body_length, sts);
	sts->mx = arena_array(making->arena, policy->mx_count, sizeof(sts->mx[0]));
	for (i = 0; i < policy->mx_count; i++)
		sts->mx[sts->mx_count++] = copy(making, policy->mx[i]);
}

static const struct host_facts *
facts_of(const struct making *making, const struct plan_host *host)
{
	const struct facts *facts = making->of->facts;
	size_t i;

	for (i = 0; i < facts->host_count; i++)
		if (strcmp(facts->hosts[i].name, host->name) == 0)
			return &facts->hosts[i];
	abort();	/* the plan was not made from these facts */
}

static int
compare_texts(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

/* Servers answer in any order: sorted, so that one policy stays one. */
static struct outcome_policy
tlsa_policy(const struct making *making, const struct host_facts *host)
{
	const char *base = host->tlsa_base != NULL ? host->tlsa_base : host->name;
	struct outcome_policy policy = { .type = OUTCOME_TLSA, .domain = copy(making, base) };
	size_t i;

	policy.strings = arena_array(making->arena, host->tlsa_count, sizeof(policy.strings[0]));
	for (i = 0; i < host->tlsa_count; i++)
		policy.strings[policy.string_count++] = tlsa_text(making->arena, &host->tlsa[i]);
	qsort(policy.strings, policy.string_count, sizeof(policy.strings[0]), compare_texts);
	return policy;
}

static struct session_outcome *
add_session(struct making *making, int64_t at_s)
{
	struct session_outcome *session = &making->made->at[making->made->count++];

	session->domain = copy(making, making->of->facts->domain);
	session->record = making->record;
	session->at_s = at_s;
	session->outcomes = arena_array(making->arena, POLICIES_MAX, sizeof(struct outcome));
	return session;
}

/* finding RESULT_OK is a success. Returns where the details of the failure go, or NULL. */
static struct outcome_failure *
add_outcome(const struct making *making, struct session_outcome *session,
    const struct outcome_policy *policy, const struct finding *finding)
{
	struct outcome *outcome = &session->outcomes[session->count++];

	outcome->policy = *policy;
	if (finding->type == RESULT_OK)
		return NULL;
	outcome->failed = true;
	outcome->failures = arena_array(making->arena, 1, sizeof(outcome->failures[0]));
	outcome->failure_count = 1;
	outcome->failures[0] = (struct outcome_failure){ .type = finding->type,
		.sending_ip = "",
		.mx = "",
		.helo = "",
		.receiving_ip = "",
		.information = "",
		.reason = copy(making, finding->reason) };
	return &outcome->failures[0];
}

static const char *
ip_text(const struct making *making, const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	ip_format(ip, text);
	return arena_strdup(making->arena, text);
}

/* A verdict on what a connection showed. */
static void
add_verdict(const struct making *making, struct session_outcome *session,
    const struct reported_session *attempt, const struct outcome_policy *policy,
    const struct finding *finding)
{
	struct outcome_failure *failure = add_outcome(making, session, policy, finding);

	if (failure == NULL)
		return;
	if (attempt->has_from)
		failure->sending_ip = ip_text(making, &attempt->from);
	failure->mx = copy(making, attempt->host->name);
	failure->helo = copy(making, attempt->helo);
	failure->receiving_ip = ip_text(making, &attempt->to);
}

static const struct demand *
demand_of(const struct plan_host *host, enum policy_source source)
{
	size_t i;

	for (i = 0; i < host->demand_count; i++)
		if (host->demands[i].source == source)
			return &host->demands[i];
	return NULL;
}

/* The verdict of one demand, whatever the others say. */
static void
add_demanded(const struct making *making, struct session_outcome *session,
    const struct reported_session *attempt, const struct demand *demand,
    const struct outcome_policy *policy)
{
	struct demand tls = *demand;	/* without what is wrong whatever TLS shows */
	struct finding finding;

	tls.finding.type = RESULT_OK;
	if (plan_judge_demand(making->of->plan, attempt->host, &tls, &attempt->proof, &finding))
		finding = demand->finding;
	else if (finding.type == RESULT_OK)
		return;	/* our own fault */
	if (finding.type == RESULT_VALIDATION_FAILURE && !attempt->host->mx_match &&
	    demand->finding.type == finding.type &&
	    strcmp(finding.reason, demand->finding.reason) == 0)
		/* Not listed, but tried: testing, audit, or by DANE. */
		add_outcome(making, session, policy, &finding)->mx = copy(making,
		    attempt->host->name);
	else
		add_verdict(making, session, attempt, policy, &finding);
}

static void
add_tlsa(const struct making *making, struct session_outcome *session,
    const struct reported_session *attempt)
{
	const struct demand *demand = demand_of(attempt->host, SOURCE_DANE);
	struct outcome_policy policy;

	if (demand == NULL)
		return;
	policy = tlsa_policy(making, facts_of(making, attempt->host));
	add_demanded(making, session, attempt, demand, &policy);
}

static void
add_sts(const struct making *making, struct session_outcome *session,
    const struct reported_session *attempt)
{
	const struct demand *demand = demand_of(attempt->host, SOURCE_STS);

	if (demand != NULL)
		add_demanded(making, session, attempt, demand, &making->sts);
	else if (making->has_sts && making->of->facts->sts.state != STS_VALID)
		/* The session and the failed fetch are counted as one. */
		(void)add_outcome(making, session, &making->sts, &making->sts_finding);
}

/* The outcome without any demand: is there TLS? */
static struct finding
judge_opportunistic(const struct making *making, const struct reported_session *attempt)
{
	struct plan plan = *making->of->plan;
	struct plan_host host = *attempt->host;
	struct judgement judgement;

	plan.wish = WISH_NONE;
	host.demand_count = 0;
	host.finding.type = RESULT_OK;
	plan_judge(&plan, &host, &attempt->proof, NULL, &judgement);
	return judgement.finding;
}

static void
add_no_policy(const struct making *making, struct session_outcome *session,
    const struct reported_session *attempt)
{
	const struct outcome_policy policy = { .type = OUTCOME_NO_POLICY,
		.domain = session->domain };
	struct finding finding = judge_opportunistic(making, attempt);

	add_verdict(making, session, attempt, &policy, &finding);
}

/* Our own memory or trust store: nothing the peer did. */
static bool
is_our_fault(const struct proof *proof)
{
	return proof->local_fault ||
	    (proof->x509_error != 0 && result_type_from_x509(proof->x509_error) == RESULT_OK) ||
	    (proof->dane_error != 0 && result_type_from_x509(proof->dane_error) == RESULT_OK);
}

static void
take_attempt(struct making *making, const struct reported_session *attempt)
{
	struct session_outcome *session;

	if (is_our_fault(&attempt->proof) || attempt->proof.tls == PROOF_NOT_TRIED)
		return;
	session = add_session(making, attempt->at_s);
	add_tlsa(making, session, attempt);
	add_sts(making, session, attempt);
	if (session->count == 0)
		add_no_policy(making, session, attempt);
}

/* Was a connection to it due, before the message was accepted or the hosts ran out? */
static bool
was_due(const struct outcomes_of *of, const struct plan_host *host)
{
	size_t i;

	for (i = 0; i < of->attempt_count; i++)
		if (host->preference <= of->attempts[i].host->preference)
			return true;
	return of->exhausted;
}

/* A resolver of ours that is broken finds every domain's DNSSEC invalid. */
static bool
is_own_fault(const struct making *making, const struct finding *finding)
{
	return finding->type == RESULT_DNSSEC_INVALID &&
	    making->of->facts->resolver_fault[0] != '\0';
}

static void
take_skipped(struct making *making, const struct plan_host *host)
{
	const struct host_facts *facts = facts_of(making, host);
	struct outcome_policy policy = making->sts;
	struct finding finding = host->finding;

	if (finding.type == RESULT_OK && host->address_state == DNS_BOGUS)
		finding_set(&finding, RESULT_DNSSEC_INVALID, "%s", facts->why);
	if (finding.type == RESULT_OK || is_own_fault(making, &finding))
		return;
	if (finding.type == RESULT_DNSSEC_INVALID || host->finding_source == SOURCE_DANE)
		policy = tlsa_policy(making, facts);
	else if (!making->has_sts)
		return;
	add_outcome(making, add_session(making, making->of->at_s), &policy, &finding)->mx =
	    copy(making, host->name);
}

/* Failures that were found before any host was known. */
static void
take_domain(struct making *making)
{
	const struct outcomes_of *of = making->of;
	const struct facts *facts = of->facts;
	struct outcome_policy policy = { .type = OUTCOME_TLSA,
		.domain = copy(making, facts->domain) };
	struct finding finding = { .type = RESULT_OK };

	if (facts->mx == MX_UNKNOWN && facts->mx_state == DNS_BOGUS)
		finding_set(&finding, RESULT_DNSSEC_INVALID, "%s", facts->mx_why);
	if (finding.type != RESULT_OK && !is_own_fault(making, &finding))
		(void)add_outcome(making, add_session(making, of->at_s), &policy, &finding);
	/* Beside a policy that is still in force, or where no session tells of it. */
	if (making->sts_finding.type != RESULT_OK &&
	    (facts->sts.state == STS_VALID || making->made->count == 0))
		(void)add_outcome(making, add_session(making, of->at_s), &making->sts,
		    &making->sts_finding);
}

void
outcomes_from(struct arena *arena, const struct outcomes_of *of, const char *record,
    struct outcomes *outcomes)
{
	struct making making = { .arena = arena, .of = of, .record = record, .made = outcomes };
	size_t i;

	*outcomes = (struct outcomes){ 0 };
	if (of->facts->mx == MX_LITERAL || (of->reused && of->attempt_count == 0))
		return;
	outcomes->at = arena_array(arena, of->attempt_count + of->plan->host_count + 2,
	    sizeof(outcomes->at[0]));
	take_sts(&making);
	for (i = 0; i < of->attempt_count; i++)
		take_attempt(&making, &of->attempts[i]);
	for (i = 0; i < of->plan->host_count; i++)
		if (!of->plan->hosts[i].use && was_due(of, &of->plan->hosts[i]))
			take_skipped(&making, &of->plan->hosts[i]);
	take_domain(&making);
}
