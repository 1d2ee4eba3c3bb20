/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/session.h"
#include "base/thread.h"
#include "base/x509.h"
#include "shim/check.h"
#include "shim/visit.h"

#define SIDE_BY_SIDE	8	/* addresses tried at the same time */
#define WORKER_STACK	(256 * 1024)
#define STEPS_MAX	10	/* of one address */
#define GONE_INTERVAL_MS	250	/* between two looks whether anybody waits */

/* What a delivery would do after this address. */
enum check_end { END_NEXT, END_VERIFIED, END_UNVERIFIED };

/* One address of one host. Of its worker's until that has ended. */
struct check_try {
	struct check *check;
	const struct plan_host *host;
	const struct ip *ip;
	struct arena *arena;
	struct check_step steps[STEPS_MAX];
	size_t count;	/* under the check's lock, as ended */
	bool ended;
	size_t told;	/* steps that the caller knows */
	int64_t since_ms;	/* the last step, monotonic */
	enum check_end end;
};

struct check {
	const struct deliver_context *deliver;
	const char *domain;
	struct deadline deadline;
	const struct check_caller *caller;
	struct arena *arena;
	struct facts *facts;
	struct plan *plan;
	struct txn *txn;	/* without recipients: for its deadline */
	struct group group;
	struct delivery delivery;
	struct check_try tries[LIMIT_ADDRESSES_PER_DOMAIN];
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t changed;	/* a worker has something to tell, or has ended */
	size_t next;	/* to be tried; under the lock */
	size_t front;	/* the first address of which the caller does not know everything */
	size_t working;	/* workers; under the lock */
};

static void __attribute__((format(printf, 5, 6)))
tell(const struct check *check, const char *step, int64_t since_ms, bool ok, const char *format,
    ...)
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
		tell(check, "dns", since_ms, true, "no MX record: the domain is its own host, "
		    "DNSSEC %s", state);
		break;
	case MX_NULL:
		tell(check, "dns", since_ms, false, "a null MX: the domain takes no mail");
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

static void
tell_policy(const struct check *check, const struct sts_facts *sts, int64_t since_ms)
{
	switch (sts->state) {
	case STS_NOT_ASKED:
		return;
	case STS_NONE:
		tell(check, "policy", since_ms, true, "no MTA-STS policy%s%s",
		    sts->why[0] != '\0' ? ": " : "", sts->why);
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
	case STS_STORE_FAILED:
		break;
	}
	tell(check, "policy", since_ms, false, "%s", sts->why);
}

static void
gather(struct check *check)
{
	int64_t since_ms = clock_monotonic_ms();
	const struct gatherer *gatherer = &check->deliver->gatherer;
	struct sts_facts sts;

	check->plan = gather_plan(gatherer, check->arena, check->domain, NULL, check->deadline,
	    &check->facts);
	tell_dns(check, since_ms);
	sts = check->facts->sts;
	if (is_stale(&sts)) {
		since_ms = clock_monotonic_ms();
		(void)sts_cache_refresh(gatherer->sts_cache, check->arena, check->facts->domain,
		    check->deadline, &sts);
		check->plan = gather_plan(gatherer, check->arena, check->domain, NULL,
		    check->deadline, &check->facts);
	}
	tell_policy(check, &sts, since_ms);
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
		told = (struct check_step){ .step = "tlsa", .host = host->name,
		    .ok = host->tlsa_state != TLSA_UNKNOWN, .detail = buf_text(&tlsa) };
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
		struct check_step told = { .step = "plan", .host = host->name,
		    .detail = host->reason != NULL ? host->reason : "not used" };

		if (!host->use)
			check->caller->told(check->caller->context, &told);
	}
	if (plan->verdict == PLAN_USE)
		return;
	reply_line(&plan->reply, line);
	tell(check, "plan", now, false, "%s", line);
}

static void
note(struct check_try *try, const char *step, bool ok, const char *detail)
{
	int64_t now = clock_monotonic_ms();
	char address[IP_TEXT_MAX];

	if (try->count == STEPS_MAX)
		return;
	ip_format(try->ip, address);
	try->steps[try->count] = (struct check_step){
		.step = step,
		.host = try->host->name,
		.address = arena_strdup(try->arena, address),
		.ok = ok,
		.detail = arena_strdup(try->arena, detail),
		.ms = now - try->since_ms,
	};
	try->since_ms = now;
	pthread_mutex_lock(&try->check->lock);
	try->count++;
	pthread_cond_signal(&try->check->changed);
	pthread_mutex_unlock(&try->check->lock);
}

static void
note_tls(struct check_try *try, const struct proof *proof)
{
	switch (proof->tls) {
	case PROOF_NOT_TRIED:
	case PROOF_NOT_OFFERED:
		note(try, "starttls", false, "not offered");
		return;
	case PROOF_REFUSED:
		note(try, "starttls", false, arena_printf(try->arena, "answered with %d",
		    proof->starttls_code));
		return;
	case PROOF_HANDSHAKE_FAILED:
	case PROOF_TIMEOUT:
		note(try, "starttls", true, "220");
		note(try, "handshake", false, proof->failure);
		return;
	case PROOF_ESTABLISHED:
		break;
	}
	note(try, "starttls", true, "220");
	note(try, "handshake", true, arena_printf(try->arena, "%s %s", proof->protocol,
	    proof->cipher));
}

/* Whether a TLSA record matches, also where something else decides. */
static void
note_match(struct check_try *try, const struct proof *proof)
{
	if (try->host->usable_count == 0)
		return;
	if (proof->dane_ok)
		note(try, "dane", true, arena_printf(try->arena, "%s matches", proof->dane_match));
	else
		note(try, "dane", false, x509_error_text(proof->dane_error));
}

static void
note_certificate(struct check_try *try, const struct visit *visit)
{
	const struct finding *finding = &visit->judgement.finding;

	if (visit->proof.tls != PROOF_ESTABLISHED)
		return;
	note_match(try, &visit->proof);
	if (finding->type != RESULT_OK)
		note(try, "certificate", false, arena_printf(try->arena, "%s%s%s",
		    result_type_name(finding->type), finding->reason[0] != '\0' ? ": " : "",
		    finding->reason));
	else if (visit->judgement.verified)
		note(try, "certificate", true, arena_printf(try->arena, "verified, as %s demands",
		    policy_source_name(visit->judgement.source)));
	else
		note(try, "certificate", true, visit->proof.chain_ok && visit->proof.name_ok ?
		    "valid, and no policy demands it" : "not verified, and no policy demands it");
}

static void
on_step(void *context, const struct visit *visit, const char *step, bool ok, const char *words)
{
	struct check_try *try = context;
	char address[IP_TEXT_MAX];

	if (strcmp(step, "tls") == 0 && ok) {
		note_tls(try, &visit->proof);
	} else if (strcmp(step, "tls") == 0) {
		note(try, "starttls", false, words);
	} else if (strcmp(step, "judge") == 0) {
		note_certificate(try, visit);
	} else if (strcmp(step, "connect") == 0) {
		ip_format(visit->ip, address);
		note(try, step, ok, address);
	} else if (!ok && visit->reply.code == 0) {
		note(try, step, ok, result_type_name(visit->judgement.finding.type));
	} else {
		note(try, step, ok, words);
	}
}

/* The address would take the message, or the next would be tried? */
static enum check_end
judge(const struct visit *visit, enum visit_end end)
{
	if (end == VISIT_PLAINTEXT)
		return END_UNVERIFIED;
	if (visit->reply.code != 0 || !visit->judged ||
	    visit->judgement.step != JUDGEMENT_GO_ON)
		return END_NEXT;
	return visit->judgement.verified ? END_VERIFIED : END_UNVERIFIED;
}

static void
try_address(struct check_try *try)
{
	struct visit_watch watch = { on_step, try };
	struct visit visit = { .host = try->host, .ip = try->ip, .watch = &watch,
	    .deadline = try->check->deadline, .slot_deadline = try->check->deadline };
	char line[REPLY_LINE_MAX + 1];
	enum visit_end end;

	try->since_ms = clock_monotonic_ms();
	end = visit_run(&try->check->delivery, &visit);
	try->end = judge(&visit, end);
	if (try->count > 0)
		return;
	reply_line(&visit.reply, line);
	note(try, "connect", false, line);
}

static void
work(void *context)
{
	struct check *check = context;
	size_t mine;

	for (;;) {
		pthread_mutex_lock(&check->lock);
		mine = check->next < check->count ? check->next++ : check->count;
		pthread_mutex_unlock(&check->lock);
		if (mine == check->count)
			return;
		try_address(&check->tries[mine]);
		pthread_mutex_lock(&check->lock);
		check->tries[mine].ended = true;
		pthread_cond_signal(&check->changed);
		pthread_mutex_unlock(&check->lock);
	}
}

static void
work_and_end(void *context)
{
	struct check *check = context;

	work(check);
	pthread_mutex_lock(&check->lock);
	check->working--;
	pthread_cond_signal(&check->changed);
	pthread_mutex_unlock(&check->lock);
}

static void
list_tries(struct check *check)
{
	const struct plan *plan = check->plan;

	for (size_t i = 0; i < plan->host_count; i++)
		for (size_t j = 0; plan->hosts[i].use && j < plan->hosts[i].address_count &&
		    check->count < LIMIT_ADDRESSES_PER_DOMAIN; j++)
			check->tries[check->count++] = (struct check_try){ .check = check,
			    .host = &plan->hosts[i], .ip = &plan->hosts[i].addresses[j],
			    .arena = arena_new() };
}

static struct worker *
start_worker(struct check *check)
{
	struct worker *worker;

	pthread_mutex_lock(&check->lock);
	worker = worker_start(WORKER_STACK, work_and_end, check);
	check->working += worker != NULL;
	pthread_mutex_unlock(&check->lock);
	return worker;
}

/* A step that can be told now, so that the steps of one address stand together. NULL: none. */
static const struct check_step *
next_step(struct check *check)
{
	const struct check_step *step = NULL;

	pthread_mutex_lock(&check->lock);
	while (step == NULL && check->front < check->count) {
		struct check_try *try = &check->tries[check->front];

		if (try->told < try->count)
			step = &try->steps[try->told++];
		else if (try->ended)
			check->front++;
		else
			break;
	}
	pthread_mutex_unlock(&check->lock);
	return step;
}

static void
tell_steps(struct check *check)
{
	const struct check_step *step;

	while ((step = next_step(check)) != NULL)
		check->caller->told(check->caller->context, step);
}

static void
await_workers(struct check *check)
{
	struct timespec until;

	pthread_mutex_lock(&check->lock);
	while (check->working > 0) {
		until = deadline_timespec(deadline_in(GONE_INTERVAL_MS));
		pthread_cond_timedwait(&check->changed, &check->lock, &until);
		pthread_mutex_unlock(&check->lock);
		tell_steps(check);
		if (check->caller->gone(check->caller->context))
			txn_abandon(check->txn);
		pthread_mutex_lock(&check->lock);
	}
	pthread_mutex_unlock(&check->lock);
}

static void
try_all(struct check *check)
{
	struct worker *workers[SIDE_BY_SIDE] = { NULL };

	for (size_t i = 0; i < SIDE_BY_SIDE && i < check->count; i++)
		workers[i] = start_worker(check);
	if (workers[0] == NULL)
		work(check);
	await_workers(check);
	for (size_t i = 0; i < SIDE_BY_SIDE; i++)
		worker_join(workers[i]);
}

/* In the order of a delivery: the first address that would take the message decides. */
static bool
conclude(struct check *check)
{
	enum check_end end = END_NEXT;

	tell_steps(check);
	for (size_t i = 0; i < check->count; i++) {
		struct check_try *try = &check->tries[i];

		if (end == END_NEXT)
			end = try->end;
		arena_free(try->arena);
	}
	return end == END_VERIFIED;
}

/* A transaction without a message, and a host memory of its own: what is known to be dead is tried
 * all the same. */
static void
prepare(struct check *check, struct deliver_context *own)
{
	static const struct address nobody;

	*own = (struct deliver_context){ .conf = check->deliver->conf,
	    .gatherer = check->deliver->gatherer, .tls = check->deliver->tls,
	    .slots = check->deliver->slots };
	check->txn = txn_new(check->arena, "check", &nobody, NULL, 0, NULL, check->deadline);
	check->group.domain = check->domain;
	check->delivery = (struct delivery){ .context = own, .txn = check->txn,
	    .group = &check->group, .plan = check->plan,
	    .destination = conf_destination_find(own->conf, check->domain),
	    .began_ms = clock_monotonic_ms() };
}

bool
check_run(const struct deliver_context *deliver, const char *domain, struct deadline deadline,
    const struct check_caller *caller)
{
	struct arena *arena = arena_new();
	struct check *check = arena_alloc(arena, sizeof(*check));
	struct deliver_context own;
	bool verified;

	*check = (struct check){ .deliver = deliver, .domain = domain, .deadline = deadline,
	    .caller = caller, .arena = arena };
	pthread_mutex_init(&check->lock, NULL);
	thread_condition(&check->changed);
	gather(check);
	tell_hosts(check);
	tell_plan(check);
	prepare(check, &own);
	if (check->plan->verdict == PLAN_USE)
		list_tries(check);
	try_all(check);
	verified = conclude(check);
	txn_free(check->txn);
	pthread_cond_destroy(&check->changed);
	pthread_mutex_destroy(&check->lock);
	arena_free(arena);
	return verified;
}
