/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/plan_inside.h"

#define LIST_ROOM	180	/* octets of a list of names in a reply of at most REPLY_LINE_MAX */

static void defer(struct planning *planning, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void refuse(struct planning *planning, bool proven, int code, const char *subject_detail,
    const char *format, ...) __attribute__((format(printf, 5, 6)));

static void
defer(struct planning *planning, const char *enhanced, const char *format, ...)
{
	struct plan *plan = planning->plan;
	char text[sizeof(plan->reply.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	plan->verdict = PLAN_DEFER;
	reply_set(&plan->reply, 451, enhanced, "%s", text);
}

/* subject_detail is the enhanced code after its class, ".1.2". Forged DNS must not bounce protected
 * mail: under an enforced policy or REQUIRETLS only what DNSSEC proves is final. */
static void
refuse(struct planning *planning, bool proven, int code, const char *subject_detail,
    const char *format, ...)
{
	struct plan *plan = planning->plan;
	char enhanced[sizeof(plan->reply.enhanced)], text[sizeof(plan->reply.text)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	proven = proven ||
	    !(planning->enforced || planning->rules->tls == TLS_DANE ||
		plan_wish_raises(planning->rules));
	snprintf(enhanced, sizeof(enhanced), "%c%s", proven ? '5' : '4', subject_detail);
	if (!proven && plan_wish_raises(planning->rules)) {
		defer(planning, enhanced,
		    "%s; this is not proven by DNSSEC, and REQUIRETLS was "
		    "asked, so the message waits",
		    text);
	} else if (!proven && planning->enforced) {
		defer(planning, enhanced,
		    "%s; this is not proven by DNSSEC, and mta-sts policy "
		    "%s of %s is in force, so the message waits",
		    text, plan->policy_id, plan->domain);
	} else if (!proven) {
		defer(planning, enhanced,
		    "%s; this is not proven by DNSSEC, and destination "
		    "\"%s\" demands DANE, so the message waits",
		    text, plan->destination);
	} else {
		plan->verdict = PLAN_REFUSE;
		reply_set(&plan->reply, code, enhanced, "%s", text);
	}
}

static bool
mx_proven(const struct planning *planning)
{
	/* For a relay no MX is looked up: the administrator has named it. */
	return planning->facts->mx == MX_RELAY || planning->facts->mx == MX_LITERAL ||
	    planning->facts->mx_state == DNS_SECURE;
}

/* Whether a policy is in force is not known: no reason to deliver without one. */
static bool
stop_for_sts(struct planning *planning)
{
	const struct sts_facts *sts = &planning->facts->sts;
	const char *domain = planning->plan->domain;
	const char *colon = sts->why[0] != '\0' ? ": " : "";
	const char *audit = arena_printf(planning->arena,
	    "set tls = \"audit\" in destination "
	    "\"%s\", or name it in dns.insecure",
	    planning->plan->destination);

	if (planning->rules->tls != TLS_POLICY || planning->rules->sts_enforce != ENFORCE_ON ||
	    planning->lowered)
		return false;
	switch (sts->state) {
	case STS_STORE_FAILED:
		defer(planning, "4.3.0",
		    "%s: whether an mta-sts policy is in force cannot be read from the store of "
		    "this stsgate%s%s",
		    domain, colon, sts->why);
		return true;
	case STS_TXT_FAILED:
		defer(planning, "4.4.3",
		    "%s: the look-up of its mta-sts record _mta-sts.%s failed, so that its policy "
		    "is not known%s%s%s",
		    domain, domain, colon, sts->why,
		    plan_blame(planning->arena, planning->facts, DNS_FAILED, domain, ""));
		return true;
	case STS_TXT_BOGUS:
		defer(planning, "4.7.5",
		    "%s: the answer for its mta-sts record _mta-sts.%s fails DNSSEC "
		    "validation%s%s%s",
		    domain, domain, colon, sts->why,
		    plan_blame(planning->arena, planning->facts, DNS_BOGUS, domain, audit));
		return true;
	case STS_HOST_FAILED:
		defer(planning, "4.4.3",
		    "%s announces an mta-sts policy, which is not known, since the look-up of the "
		    "addresses of mta-sts.%s failed%s%s%s",
		    domain, domain, colon, sts->why,
		    plan_blame(planning->arena, planning->facts, DNS_FAILED, domain, ""));
		return true;
	case STS_HOST_BOGUS:
		defer(planning, "4.7.5",
		    "%s announces an mta-sts policy, which is not known, since the answer for the "
		    "addresses of mta-sts.%s fails DNSSEC validation%s%s%s",
		    domain, domain, colon, sts->why,
		    plan_blame(planning->arena, planning->facts, DNS_BOGUS, domain, audit));
		return true;
	case STS_UNKNOWN:
		defer(planning, "4.4.3",
		    "%s: whether an mta-sts policy is in force is not known%s%s", domain, colon,
		    sts->why);
		return true;
	case STS_NOT_ASKED:
	case STS_NONE:
	case STS_VALID:
	case STS_FETCH_FAILED:
	case STS_TXT_GIVEN_UP:
		break;
	}
	return false;
}

static void
defer_unknown_mx(struct planning *planning)
{
	const struct facts *facts = planning->facts;
	const char *colon = facts->mx_why[0] != '\0' ? ": " : "";
	const char *blame = plan_blame(planning->arena, facts, facts->mx_state, facts->domain,
	    arena_printf(planning->arena,
		"name it in dns.insecure, or set relay in destination "
		"\"%s\"",
		planning->plan->destination));

	if (facts->mx_state == DNS_BOGUS)
		defer(planning, "4.7.5",
		    "the answer for the MX records of %s fails DNSSEC validation%s%s%s",
		    facts->domain, colon, facts->mx_why, blame);
	else
		defer(planning, "4.4.3", "the look-up of the MX records of %s failed%s%s%s",
		    facts->domain, colon, facts->mx_why, blame);
}

static bool
stop_for_mx(struct planning *planning)
{
	const struct facts *facts = planning->facts;

	switch (facts->mx) {
	case MX_NO_DOMAIN:
		refuse(planning, mx_proven(planning), 550, ".1.2", "the domain %s does not exist",
		    facts->domain);
		return true;
	case MX_NULL:
		refuse(planning, mx_proven(planning), 556, ".1.10",
		    "the domain %s accepts no mail (null MX, RFC 7505)", facts->domain);
		return true;
	case MX_UNKNOWN:
		defer_unknown_mx(planning);
		return true;
	case MX_LISTED:
	case MX_IMPLICIT:
	case MX_RELAY:
	case MX_LITERAL:
		break;
	}
	return false;
}

/* No setting of a destination overrides REQUIRETLS, and TLS is off there. */
static bool
stop_for_no_tls(struct planning *planning)
{
	struct plan *plan = planning->plan;

	if (!plan->no_tls || !plan_wish_raises(planning->rules))
		return false;
	plan->verdict = PLAN_REFUSE;
	reply_set(&plan->reply, 550, "5.7.10",
	    "REQUIRETLS was asked, and destination \"%s\" has "
	    "tls = \"none\": mail to %s goes without TLS",
	    plan->destination, plan->domain);
	return true;
}

bool
plan_stop(struct planning *planning)
{
	enum mx_kind mx = planning->facts->mx;

	/* An answer that DNSSEC proves is final whatever the policy would have been. */
	if ((mx == MX_NO_DOMAIN || mx == MX_NULL) && mx_proven(planning))
		return stop_for_mx(planning);
	return stop_for_sts(planning) || stop_for_mx(planning) || stop_for_no_tls(planning);
}

static bool
is_counted(const struct plan_candidate *candidate)
{
	return candidate->out != OUT_LOOP && candidate->out != OUT_BAD_NAME;
}

static size_t
count_out(const struct planning *planning, enum plan_host_out out)
{
	size_t i, count = 0;

	for (i = 0; i < planning->count; i++)
		count += planning->candidates[i].out == out;
	return count;
}

static size_t
count_unreachable(const struct planning *planning, enum plan_reach reach)
{
	size_t i, count = 0;

	for (i = 0; i < planning->count; i++)
		count += planning->candidates[i].out == OUT_UNREACHABLE &&
		    planning->candidates[i].reach == reach;
	return count;
}

/* The hosts that could have been used, "mx1.example.com, mx2.example.com and 3 more". */
static const char *
name_hosts(const struct planning *planning)
{
	char list[LIST_ROOM + DOMAIN_MAX] = "";
	size_t i, used = 0, left = 0;

	for (i = 0; i < planning->count; i++) {
		if (!is_counted(&planning->candidates[i]))
			continue;
		if (used >= LIST_ROOM / 2)
			left++;
		else
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
			    used > 0 ? ", " : "", planning->candidates[i].host.name);
	}
	if (left > 0)
		return arena_printf(planning->arena, "%s and %zu more", list, left);
	return arena_strdup(planning->arena, list);
}

static const char *
name_patterns(const struct planning *planning)
{
	const struct sts_policy *policy = planning->policy;

	return arena_printf(planning->arena, "%.80s%s", policy->mx_count > 0 ? policy->mx[0] : "",
	    policy->mx_count > 1 ? ", ..." : "");
}

static void
defer_unlisted(struct planning *planning)
{
	const char *domain = planning->plan->domain;

	defer(planning, "4.7.5",
	    "mta-sts policy %s of %s lists none of its MX hosts: %s; ask postmaster@%s to correct "
	    "the policy or the MX records (mode enforce, mx %s; to override set tls = \"audit\" in "
	    "destination \"%s\")",
	    planning->plan->policy_id, domain, name_hosts(planning), domain,
	    name_patterns(planning), planning->plan->destination);
}

static const char *
host_word(const struct planning *planning)
{
	switch (planning->facts->mx) {
	case MX_RELAY:
		return "relay";
	case MX_LITERAL:
		return "address";
	case MX_LISTED:
	case MX_IMPLICIT:
	case MX_NULL:
	case MX_NO_DOMAIN:
	case MX_UNKNOWN:
		break;
	}
	return "MX host";
}

/* Nothing in the answers can be dialled at all: the reply comes before any by policy. */
static bool
refuse_without_address(struct planning *planning)
{
	bool proven = mx_proven(planning);
	const char *domain = planning->plan->domain;
	const struct plan_candidate *candidate;
	size_t i, counted = 0, selves = 0;

	for (i = 0; i < planning->count; i++) {
		candidate = &planning->candidates[i];
		if (!is_counted(candidate))
			continue;
		if (candidate->reach != REACH_NOTHING && candidate->reach != REACH_SELF)
			return false;
		selves += candidate->reach == REACH_SELF;
		proven = proven && candidate->host.address_state == DNS_SECURE;
		counted++;
	}
	if (counted == 0)
		refuse(planning, proven, 550, ".4.4", "no MX record of %s names a valid host",
		    domain);
	else if (selves > 0)
		refuse(planning, proven, 550, ".4.4",
		    "no %s of %s has addresses other than loopback or unspecified ones: %s",
		    host_word(planning), domain, name_hosts(planning));
	else if (planning->facts->mx == MX_IMPLICIT)
		refuse(planning, proven, 550, ".4.4", "%s has neither MX nor address records",
		    domain);
	else
		refuse(planning, proven, 550, ".4.4", "no %s of %s has an address: %s",
		    host_word(planning), domain, name_hosts(planning));
	return true;
}

/* The first of the hosts whose TLSA records are not known, and why. */
static const struct plan_candidate *
first_out(const struct planning *planning, enum plan_host_out out)
{
	size_t i;

	for (i = 0; i < planning->count; i++)
		if (planning->candidates[i].out == out)
			return &planning->candidates[i];
	return NULL;
}

static void
defer_unknown_tlsa(struct planning *planning)
{
	const struct plan_host *host = &first_out(planning, OUT_TLSA_UNKNOWN)->host;
	const char *blame = arena_printf(planning->arena,
	    "; the DNS of %s must be repaired "
	    "(until then set tls = \"audit\" in destination \"%s\")",
	    host->tlsa_base, planning->plan->destination);

	/* The host's reason tells of it. */
	bool own_fault = planning->facts->resolver_fault[0] != '\0';

	planning->plan->source = SOURCE_DANE;
	defer(planning, "4.7.5",
	    "dane of %s (TLSA base domain %s): %s, so that no %s of %s can be used for now%s",
	    host->name, host->tlsa_base, host->reason, host_word(planning), planning->plan->domain,
	    own_fault ? "" : blame);
}

static void
defer_by_destination(struct planning *planning)
{
	const struct plan *plan = planning->plan;

	if (count_out(planning, OUT_NO_TLSA) > 0) {
		planning->plan->source = SOURCE_DANE;
		defer(planning, "4.7.5",
		    "destination \"%s\" demands DANE (tls = \"dane\"), and %s: %s",
		    plan->destination,
		    planning->facts->mx_state == DNS_SECURE
			? "no usable secure TLSA record is known"
			: "the MX answer is not DNSSEC-secure",
		    name_hosts(planning));
	} else {
		defer(planning, "4.7.5",
		    "destination \"%s\" demands a verified certificate (tls = \"verify\"), and "
		    "there is no name to verify: %s and match is empty",
		    plan->destination,
		    plan->relay ? "the relay is an address" : "the MX answer is not DNSSEC-secure");
	}
}

static void
defer_private(struct planning *planning)
{
	const char *domain = planning->plan->domain;

	if (planning->facts->mx == MX_LITERAL)
		refuse(planning, true, 550, ".4.4", "%s is not an address of the public Internet",
		    domain);
	else
		defer(planning, "4.4.4",
		    "%s: its %ss have only private addresses, which are refused "
		    "(dns.private-addresses): %s",
		    domain, host_word(planning), name_hosts(planning));
}

/* Among the hosts that a policy leaves, whatever may pass by itself comes first. */
static void
defer_unreachable(struct planning *planning)
{
	const char *domain = planning->plan->domain, *hosts = name_hosts(planning);

	if (count_unreachable(planning, REACH_FAILED) > 0)
		defer(planning, "4.4.3", "%s: the look-up of the addresses of its %ss failed: %s%s",
		    domain, host_word(planning), hosts,
		    plan_blame(planning->arena, planning->facts, DNS_FAILED, domain, ""));
	else if (count_unreachable(planning, REACH_BOGUS) > 0)
		defer(planning, "4.7.5",
		    "%s: the answers for the addresses of its %ss fail DNSSEC validation: %s%s",
		    domain, host_word(planning), hosts,
		    plan_blame(planning->arena, planning->facts, DNS_BOGUS, hosts,
			"name their domain in dns.insecure"));
	else if (count_unreachable(planning, REACH_PRIVATE) > 0)
		defer_private(planning);
	else
		defer(planning, "4.4.4",
		    "%s: none of the %ss that its mta-sts policy %s lists has an address", domain,
		    host_word(planning), planning->plan->policy_id);
}

void
plan_no_host(struct planning *planning)
{
	size_t loops = count_out(planning, OUT_LOOP);
	size_t counted = planning->count - loops - count_out(planning, OUT_BAD_NAME);
	size_t unlisted = count_out(planning, OUT_UNLISTED);

	if (counted == 0 && loops > 0)
		refuse(planning, mx_proven(planning), 554, ".4.6",
		    "mail for %s loops back to this site, which is its best MX host",
		    planning->plan->domain);
	else if (refuse_without_address(planning))
		return;
	else if (plan_wish_raises(planning->rules))
		plan_wish_no_host(planning, count_out(planning, OUT_UNVOUCHED) > 0,
		    name_hosts(planning));
	else if (count_out(planning, OUT_TLSA_UNKNOWN) > 0)
		defer_unknown_tlsa(planning);
	else if (unlisted == counted)
		defer_unlisted(planning);
	else if (unlisted + count_out(planning, OUT_UNREACHABLE) < counted)
		defer_by_destination(planning);
	else
		defer_unreachable(planning);
}
