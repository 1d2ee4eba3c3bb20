/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/x509.h"
#include "shim/control/check.h"
#include "shim/control/check_inbound.h"
#include "shim/control/check_record.h"
#include "shim/control/check_tries.h"

#define SHORT_MAX_AGE_S	(24 * 60 * 60)
#define EXPIRES_SOON_S	(7 * DAY_S)

static const char *const state_names[] = {
	[CHECK_OK] = "ok",
	[CHECK_WARN] = "warn",
	[CHECK_FAIL] = "fail",
};

const char *
check_state_name(enum check_state state)
{
	return state_names[state];
}

/* The worst that the addresses of one MX host showed. */
struct inbound_host {
	const struct host_facts *facts;
	size_t tried;
	enum check_state tls, certificate, tlsa;
	const char *tls_why, *certificate_why, *tlsa_why;	/* of the state; NULL: not seen */
};

struct inbound {
	const struct deliver_context *deliver;
	const struct inbound_caller *caller;
	const char *domain;
	struct deadline deadline;
	struct arena *arena;
	struct facts *facts;
	struct sts_facts sts;	/* with a policy that was fetched now */
	struct inbound_host *hosts;	/* of facts->hosts */
};

static void __attribute__((format(printf, 5, 6))) tell(const struct inbound *inbound,
    const char *step, const char *host, enum check_state state, const char *format, ...)
{
	struct buf detail = { 0 };
	va_list args;

	va_start(args, format);
	buf_vprintf(&detail, format, args);
	va_end(args);
	inbound->caller->told(inbound->caller->context, step, host, state, buf_text(&detail));
	buf_free(&detail);
}

static bool
is_gone(void *context)
{
	const struct inbound *inbound = context;

	return wait_is_over(&inbound->caller->watch);
}

/* true: senders find the policy by it. */
static bool
check_txt(const struct inbound *inbound)
{
	struct check_record record;

	check_record_ask(inbound->deliver->gatherer.resolver, inbound->arena, inbound->domain,
	    inbound->deadline, &record);
	if (record.state == STS_TXT_VALID)
		tell(inbound, "txt", NULL, CHECK_OK, "_mta-sts.%s: id %s", inbound->domain,
		    record.id);
	else
		tell(inbound, "txt", NULL, CHECK_FAIL, "_mta-sts.%s: %s", inbound->domain,
		    record.fault != NULL ? record.fault : "there is no MTA-STS record");
	return record.state == STS_TXT_VALID;
}

static void
check_policy(struct inbound *inbound)
{
	const char *host = arena_printf(inbound->arena, "mta-sts.%s", inbound->domain);
	const struct sts_policy *policy;
	enum check_state mode;

	(void)gather_refresh(&inbound->deliver->gatherer, inbound->arena, inbound->domain,
	    inbound->deadline, &inbound->sts);
	if (inbound->sts.state != STS_VALID || inbound->sts.from_cache) {
		tell(inbound, "policy", NULL, CHECK_FAIL, "the policy cannot be fetched: %s",
		    inbound->sts.why);
		tell(inbound, "policy-host", host, CHECK_FAIL, "%s", inbound->sts.why);
		return;
	}
	policy = inbound->sts.policy;
	mode = policy->mode == STS_MODE_ENFORCE ? CHECK_OK : CHECK_WARN;
	tell(inbound, "policy", NULL, mode, "mode %s%s", sts_mode_name(policy->mode),
	    mode == CHECK_OK ? "" : ": senders deliver without verified TLS");
	tell(inbound, "policy-host", host, CHECK_OK,
	    "the policy was fetched, and the certificate is valid");
	tell(inbound, "max_age", NULL, policy->max_age < SHORT_MAX_AGE_S ? CHECK_WARN : CHECK_OK,
	    "%u s%s", policy->max_age,
	    policy->max_age < SHORT_MAX_AGE_S
		? ": less than a day, so that senders soon forget the policy"
		: "");
}

static void
worsen(enum check_state *state, const char **why, enum check_state seen, const char *seen_why)
{
	if (*why != NULL && *state >= seen)
		return;
	*state = seen;
	*why = seen_why;
}

static void
judge_certificate(const struct inbound *inbound, struct inbound_host *host,
    const struct proof *proof)
{
	int64_t left_s = proof->expires_s - clock_wall_s();
	const char *why;
	enum check_state state = CHECK_OK;

	if (!proof->chain_ok || !proof->name_ok) {
		state = CHECK_FAIL;
		why = x509_error_text(proof->x509_error);
	} else {
		if (left_s < EXPIRES_SOON_S)
			state = CHECK_WARN;
		why = arena_printf(inbound->arena, "valid for %s, %lld days left",
		    host->facts->name, (long long)(left_s / DAY_S));
	}
	worsen(&host->certificate, &host->certificate_why, state, why);
}

static void
judge_tlsa(struct inbound_host *host, const struct proof *proof)
{
	if (host->facts->tlsa_state != TLSA_USABLE)
		return;
	if (proof->dane_ok)
		worsen(&host->tlsa, &host->tlsa_why, CHECK_OK, "a record matches the certificate");
	else
		worsen(&host->tlsa, &host->tlsa_why, CHECK_FAIL,
		    x509_error_text(proof->dane_error));
}

static void
on_tried(void *context, const struct plan_host *tried, const struct proof *proof,
    const struct reply *reply)
{
	struct inbound *inbound = context;
	char line[REPLY_LINE_MAX + 1];

	for (size_t i = 0; i < inbound->facts->host_count; i++) {
		struct inbound_host *host = &inbound->hosts[i];

		if (strcmp(host->facts->name, tried->name) != 0)
			continue;
		host->tried++;
		if (proof->tls == PROOF_ESTABLISHED) {
			worsen(&host->tls, &host->tls_why, CHECK_OK,
			    arena_printf(inbound->arena, "%s %s", proof->protocol, proof->cipher));
			judge_certificate(inbound, host, proof);
			judge_tlsa(host, proof);
		} else if (proof->tls == PROOF_NOT_OFFERED && reply->code == 0) {
			worsen(&host->tls, &host->tls_why, CHECK_FAIL, "STARTTLS is not offered");
		} else if (proof->failure[0] != '\0') {
			worsen(&host->tls, &host->tls_why, CHECK_FAIL,
			    arena_strdup(inbound->arena, proof->failure));
		} else {
			reply_line(reply, line);
			worsen(&host->tls, &host->tls_why, CHECK_FAIL,
			    reply->code != 0 ? arena_strdup(inbound->arena, line)
					     : "STARTTLS failed");
		}
	}
}

static void
tell_mx(const struct inbound *inbound, const struct inbound_host *host)
{
	const struct sts_policy *policy = inbound->sts.policy;

	if (inbound->sts.state != STS_VALID)
		tell(inbound, "mx", host->facts->name, CHECK_OK, "preference %u",
		    host->facts->preference);
	else if (policy->mode == STS_MODE_NONE || sts_mx_match(policy, host->facts->name))
		tell(inbound, "mx", host->facts->name, CHECK_OK, "preference %u, listed",
		    host->facts->preference);
	else
		tell(inbound, "mx", host->facts->name, CHECK_FAIL,
		    "the policy does not list this host: senders that enforce it cannot use it");
}

static void
tell_tlsa(const struct inbound *inbound, const struct inbound_host *host)
{
	const char *name = host->facts->name;

	switch (host->facts->tlsa_state) {
	case TLSA_NOT_ASKED:
	case TLSA_NONE:
		tell(inbound, "tlsa", name, CHECK_OK, "no TLSA records");
		return;
	case TLSA_UNKNOWN:
		tell(inbound, "tlsa", name, CHECK_FAIL, "the look-up failed: %s",
		    host->facts->tlsa_why);
		return;
	case TLSA_UNUSABLE:
		tell(inbound, "tlsa", name, CHECK_FAIL, "no record can be used (RFC 7672 3.1)");
		return;
	case TLSA_USABLE:
		break;
	}
	tell(inbound, "tlsa", name, host->tlsa_why != NULL ? host->tlsa : CHECK_FAIL, "%s",
	    host->tlsa_why != NULL ? host->tlsa_why : "no certificate was seen");
}

static void
tell_host(const struct inbound *inbound, const struct inbound_host *host)
{
	const struct host_facts *facts = host->facts;

	tell_mx(inbound, host);
	if (host->tried == 0)
		tell(inbound, "starttls", facts->name, CHECK_FAIL, "no address can be tried%s%s",
		    facts->why[0] != '\0' ? ": " : "", facts->why);
	else
		tell(inbound, "starttls", facts->name, host->tls, "%s", host->tls_why);
	if (host->certificate_why != NULL)
		tell(inbound, "certificate", facts->name, host->certificate, "%s",
		    host->certificate_why);
	tell_tlsa(inbound, host);
}

static void
check_reports(const struct inbound *inbound)
{
	struct rua_list list;

	if (recorder_look_up(inbound->deliver->gatherer.resolver, inbound->arena, inbound->domain,
		&list))
		tell(inbound, "tls-rpt", NULL, CHECK_OK, "_smtp._tls.%s names %zu receiver%s",
		    inbound->domain, list.count, list.count == 1 ? "" : "s");
	else
		tell(inbound, "tls-rpt", NULL, CHECK_WARN, "_smtp._tls.%s: %s", inbound->domain,
		    list.why[0] != '\0' ? list.why
					: "there is no record: failures are not reported to you");
}

static void
told_step(void *context, const struct check_step *step)
{
	(void)context;
	(void)step;
}

static void
told_doing(void *context, const char *what, const char *host, const char *address)
{
	(void)context;
	(void)what;
	(void)host;
	(void)address;
}

static int
by_preference(const void *a, const void *b)
{
	const struct inbound_host *left = a, *right = b;

	if (left->facts->preference != right->facts->preference)
		return left->facts->preference < right->facts->preference ? -1 : 1;
	return strcmp(left->facts->name, right->facts->name);
}

static void
check_hosts(struct inbound *inbound)
{
	const struct check_caller caller = { .told = told_step,
		.doing = told_doing,
		.watch = { is_gone, inbound },
		.tried = on_tried,
		.context = inbound };
	const struct facts *facts = inbound->facts;
	const struct plan *plan = gather_plan_of(&inbound->deliver->gatherer, inbound->arena,
	    WISH_NONE, facts);
	size_t count = facts->host_count;

	inbound->hosts = arena_array(inbound->arena, count, sizeof(struct inbound_host));
	for (size_t i = 0; i < count; i++)
		inbound->hosts[i] = (struct inbound_host){ .facts = &facts->hosts[i] };
	if (count == 0) {
		tell(inbound, "mx", NULL, CHECK_FAIL, "%s",
		    facts->mx == MX_NULL           ? "a null MX: the domain accepts no mail"
			: facts->mx_why[0] != '\0' ? facts->mx_why
						   : "the domain has no mail host");
		return;
	}
	qsort(inbound->hosts, count, sizeof(struct inbound_host), by_preference);
	if (!is_gone(inbound))
		(void)check_tries_run(inbound->deliver, inbound->arena, plan, inbound->deadline,
		    &caller);
	for (size_t i = 0; i < count; i++)
		tell_host(inbound, &inbound->hosts[i]);
}

void
check_inbound_run(const struct deliver_context *deliver, const char *domain,
    struct deadline deadline, const struct inbound_caller *caller)
{
	struct conf conf = *deliver->conf;
	struct deliver_context sender = *deliver;
	struct inbound inbound = { .deliver = &sender,
		.caller = caller,
		.domain = domain,
		.deadline = deadline,
		.arena = arena_new() };

	/* A sender without any rules for this domain, which looks at every host. */
	conf.destination_count = 0;
	conf.sts.enforce = conf.dane.enforce = ENFORCE_AUDIT;
	sender.conf = sender.gatherer.conf = &conf;
	if (!check_txt(&inbound))
		tell(&inbound, "policy", NULL, CHECK_FAIL,
		    "no sender fetches the policy without a valid record");
	else if (!is_gone(&inbound))
		check_policy(&inbound);
	if (!is_gone(&inbound)) {
		inbound.facts = gather_facts(&sender.gatherer, inbound.arena, domain, NULL,
		    deadline);
		check_hosts(&inbound);
	}
	if (!is_gone(&inbound))
		check_reports(&inbound);
	arena_free(inbound.arena);
}
