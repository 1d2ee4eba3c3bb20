/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <string.h>

#include "shim/control/check.h"
#include "shim/control/check_record.h"
#include "shim/control/check_tries.h"

struct check {
	const struct deliver_context *deliver;
	struct gatherer gatherer;	/* the same, watched */
	struct gather_watch watch;
	const char *domain;
	struct deadline deadline;
	const struct check_caller *caller;
	struct arena *arena;
	struct facts *facts;
	struct plan *plan;
	const char *awaited;	/* that the caller was told of, since the last row; or NULL */
};

static void __attribute__((format(printf, 5, 6))) tell(const struct check *check, const char *step,
    int64_t since_ms, bool ok, const char *format, ...)
{
	struct check_step told = { .step = step, .ok = ok, .ms = clock_monotonic_ms() - since_ms };
	struct buf detail = { 0 };
	va_list args;

	va_start(args, format);
	buf_vprintf(&detail, format, args);
	va_end(args);
	told.detail = buf_text(&detail);
	check->caller->told(check->caller->context, &told);
	buf_free(&detail);
}

static void
tell_dns(const struct check *check, int64_t since_ms)
{
	const struct facts *facts = check->facts;
	const char *state = dns_state_name(facts->mx_state);

	switch (facts->mx) {
	case MX_LISTED:
		tell(check, "dns", since_ms, true, "%zu MX host%s, DNSSEC %s", facts->host_count,
		    facts->host_count == 1 ? "" : "s", state);
		break;
	case MX_IMPLICIT:
		tell(check, "dns", since_ms, true,
		    "no MX record: the domain is its own host, "
		    "DNSSEC %s",
		    state);
		break;
	case MX_NULL:
		tell(check, "dns", since_ms, false, "a null MX: the domain accepts no mail");
		break;
	case MX_NO_DOMAIN:
		tell(check, "dns", since_ms, false, "the domain does not exist");
		break;
	case MX_UNKNOWN:
		tell(check, "dns", since_ms, false, "MX look-up %s: %s", state, facts->mx_why);
		break;
	case MX_RELAY:
	case MX_LITERAL:
		tell(check, "dns", since_ms, true, "a relay is configured for the domain");
		break;
	}
}

/* A policy that was in the cache, or whose fetch failed some time ago, is fetched now. */
static bool
is_stale(const struct sts_facts *sts)
{
	return (sts->state == STS_VALID && sts->from_cache) || sts->state == STS_FETCH_FAILED;
}

/* A record with a small mistake counts as none, and its owner does not notice. */
static void
tell_no_policy(const struct check *check, int64_t since_ms)
{
	struct check_record record;

	check_record_ask(check->deliver->gatherer.resolver, check->arena, check->facts->domain,
	    check->deadline, &record);
	if (record.fault != NULL)
		tell(check, "policy", since_ms, false, "no MTA-STS policy: _mta-sts.%s: %s",
		    check->facts->domain, record.fault);
	else
		tell(check, "policy", since_ms, true, "no MTA-STS policy");
}

static void
tell_policy(const struct check *check, const struct sts_facts *sts, int64_t since_ms)
{
	switch (sts->state) {
	case STS_NOT_ASKED:
		return;
	case STS_NONE:
		tell_no_policy(check, since_ms);
		return;
	case STS_VALID:
		tell(check, "policy", since_ms, sts->why[0] == '\0', "MTA-STS %s, id %s, %s%s%s",
		    sts_mode_name(sts->policy->mode), sts->policy->id,
		    sts->from_cache ? "from the cache" : "fetched now",
		    sts->why[0] != '\0' ? ": " : "", sts->why);
		return;
	case STS_FETCH_FAILED:
	case STS_TXT_FAILED:
	case STS_TXT_GIVEN_UP:
	case STS_TXT_BOGUS:
	case STS_HOST_FAILED:
	case STS_HOST_BOGUS:
	case STS_UNKNOWN:
	case STS_STORE_FAILED:
		break;
	}
	tell(check, "policy", since_ms, false, "%s", sts->why);
}

static bool
is_gone(const struct check *check)
{
	return wait_is_over(&check->caller->watch);
}

/* Tells it once. */
static bool
on_wait(void *context, const char *what)
{
	struct check *check = context;

	if (check->awaited == NULL || strcmp(check->awaited, what) != 0)
		check->caller->doing(check->caller->context, what, NULL, NULL);
	check->awaited = what;
	return is_gone(check);
}

/* A domain that publishes an invalid record gets no reports. */
static void
tell_reports(const struct check *check)
{
	const char *domain = check->facts->domain;
	int64_t since_ms = clock_monotonic_ms();
	struct buf receivers = { 0 };
	struct rua_list list;

	if (check->facts->mx == MX_LITERAL || check->deliver->recorder == NULL)
		return;
	if (recorder_look_up(check->deliver->gatherer.resolver, check->arena, domain, &list)) {
		for (size_t i = 0; i < list.count; i++)
			buf_printf(&receivers, "%s%s%s", i > 0 ? ", " : "",
			    list.at[i].scheme == RUA_MAILTO ? "mailto:" : "", list.at[i].target);
		tell(check, "tls-rpt", since_ms, true, "TLS reports go to %s",
		    buf_text(&receivers));
		buf_free(&receivers);
	} else if (list.why[0] != '\0') {
		tell(check, "tls-rpt", since_ms, false,
		    "_smtp._tls.%s is ignored, and no TLS "
		    "reports are sent: %s",
		    domain, list.why);
	}
}

static void
plan(struct check *check)
{
	check->plan = gather_plan(&check->gatherer, check->arena, check->domain, NULL,
	    check->deadline, &check->facts);
}

static void
gather(struct check *check)
{
	int64_t since_ms = clock_monotonic_ms();
	struct sts_facts sts;

	plan(check);
	tell_dns(check, since_ms);
	check->awaited = NULL;
	sts = check->facts->sts;
	if (is_stale(&sts) && !is_gone(check)) {
		since_ms = clock_monotonic_ms();
		(void)gather_refresh(&check->gatherer, check->arena, check->facts->domain,
		    check->deadline, &sts);
		plan(check);
	}
	tell_policy(check, &sts, since_ms);
	if (!is_gone(check))
		tell_reports(check);
}

/* "secure: 3 1 1 ABCD, 2 0 1 CDEF (not usable)", or why there is none. */
static void
describe_tlsa(const struct check *check, const struct host_facts *host, struct buf *detail)
{
	const char *text;

	switch (host->tlsa_state) {
	case TLSA_NOT_ASKED:
		buf_add_text(detail, "not asked for");
		return;
	case TLSA_NONE:
		buf_printf(detail, "%s: none", dns_state_name(host->tlsa_answer));
		return;
	case TLSA_UNKNOWN:
		buf_printf(detail, "%s: %s", dns_state_name(host->tlsa_answer), host->tlsa_why);
		return;
	case TLSA_UNUSABLE:
	case TLSA_USABLE:
		break;
	}
	buf_printf(detail, "%s at %s: ", dns_state_name(host->tlsa_answer), host->tlsa_base);
	for (size_t i = 0; i < host->tlsa_count; i++) {
		text = tlsa_text(check->arena, &host->tlsa[i]);
		buf_printf(detail, "%s%s%s", i > 0 ? ", " : "", text,
		    tlsa_is_usable(&host->tlsa[i]) ? "" : " (not usable)");
	}
}

/* How far DNSSEC carries for each host: a row for its addresses, and one for its TLSA records. */
static void
tell_hosts(const struct check *check)
{
	for (size_t i = 0; i < check->facts->host_count; i++) {
		const struct host_facts *host = &check->facts->hosts[i];
		bool known = host->address_state == DNS_SECURE ||
		    host->address_state == DNS_INSECURE;
		struct buf addresses = { 0 }, tlsa = { 0 };
		struct check_step told = { .step = "address", .host = host->name, .ok = known };

		buf_printf(&addresses, "%zu address%s, DNSSEC %s%s%s", host->address_count,
		    host->address_count == 1 ? "" : "es", dns_state_name(host->address_state),
		    host->why[0] != '\0' ? ": " : "", host->why);
		told.detail = buf_text(&addresses);
		check->caller->told(check->caller->context, &told);
		describe_tlsa(check, host, &tlsa);
		told = (struct check_step){ .step = "tlsa",
			.host = host->name,
			.ok = host->tlsa_state != TLSA_UNKNOWN,
			.detail = buf_text(&tlsa) };
		check->caller->told(check->caller->context, &told);
		buf_free(&addresses);
		buf_free(&tlsa);
	}
}

/* Hosts that no delivery would try, and a domain to which there would be none. */
static void
tell_plan(const struct check *check)
{
	const struct plan *plan = check->plan;
	int64_t now = clock_monotonic_ms();
	char line[REPLY_LINE_MAX + 1];

	for (size_t i = 0; i < plan->host_count; i++) {
		const struct plan_host *host = &plan->hosts[i];
		struct check_step told = { .step = "plan",
			.host = host->name,
			.detail = host->reason != NULL ? host->reason : "not used" };

		if (!host->use)
			check->caller->told(check->caller->context, &told);
	}
	if (plan->verdict == PLAN_USE)
		return;
	reply_line(&plan->reply, line);
	tell(check, "plan", now, false, "%s", line);
}

bool
check_run(const struct deliver_context *deliver, const char *domain, struct deadline deadline,
    const struct check_caller *caller)
{
	struct arena *arena = arena_new();
	struct check *check = arena_alloc(arena, sizeof(*check));
	bool verified;

	*check = (struct check){ .deliver = deliver,
		.domain = domain,
		.deadline = deadline,
		.caller = caller,
		.arena = arena,
		.gatherer = deliver->gatherer };
	check->watch = (struct gather_watch){ on_wait, check };
	check->gatherer.watch = &check->watch;
	gather(check);
	tell_hosts(check);
	tell_plan(check);
	verified = check->plan->verdict == PLAN_USE && !is_gone(check) &&
	    check_tries_run(deliver, arena, check->plan, deadline, caller);
	arena_free(arena);
	return verified;
}
