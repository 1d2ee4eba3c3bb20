/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/thread.h"
#include "base/wait.h"
#include "base/worker.h"
#include "base/x509.h"
#include "shim/message/txn.h"
#include "shim/control/check_tries.h"

#define SIDE_BY_SIDE	8	/* addresses tried at the same time */
#define WORKER_STACK	(256 * 1024)
#define STEPS_MAX	10	/* of one address */

/* The next step of a delivery after this address. */
enum check_end { END_NEXT, END_VERIFIED, END_UNVERIFIED };

/* One address of one host. Of its worker's until that has ended. */
struct check_try {
	struct check_tries *tries;
	const struct plan_host *host;
	const struct ip *ip;
	struct arena *arena;
	struct check_step steps[STEPS_MAX];
	/* Under the lock, as count and ended. NULL: nothing that takes time */
	const char *doing;
	size_t count;
	bool ended;
	size_t told;	/* steps that the caller knows */
	const char *told_doing;	/* the same; NULL: nothing yet */
	int64_t since_ms;	/* the last step, monotonic */
	enum check_end end;
	struct proof proof;	/* of its TLS, once that was tried */
	struct reply reply;	/* without a proof: why */
};

/* All that a delivery could use, in its order. */
struct check_tries {
	const struct delivery *delivery;
	const struct check_caller *caller;
	struct check_try tries[LIMIT_ADDRESSES_PER_DOMAIN];
	size_t count;
	pthread_mutex_t lock;
	pthread_cond_t changed;	/* a worker has something to tell, or has ended */
	bool news;	/* the same, and the caller has not looked since; under the lock */
	size_t next;	/* to be tried; under the lock */
	size_t front;	/* the first address of which the caller does not know everything */
	size_t working;	/* workers; under the lock */
};

/* Under the lock. */
static void
change(struct check_tries *tries)
{
	tries->news = true;
	pthread_cond_signal(&tries->changed);
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
	pthread_mutex_lock(&try->tries->lock);
	try->count++;
	try->doing = NULL;
	change(try->tries);
	pthread_mutex_unlock(&try->tries->lock);
}

static void
note_tls(struct check_try *try, const struct proof *proof)
{
	switch (proof->tls) {
	case PROOF_NOT_TRIED:
		note(try, "starttls", false, "not used: its destination has tls = \"none\"");
		return;
	case PROOF_NOT_OFFERED:
		note(try, "starttls", false, "not offered");
		return;
	case PROOF_REFUSED:
		note(try, "starttls", false,
		    arena_printf(try->arena, "answered with %d", proof->starttls_code));
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
	note(try, "handshake", true,
	    arena_printf(try->arena, "%s %s", proof->protocol, proof->cipher));
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
note_certificate(struct check_try *try, const struct attempt *attempt)
{
	const struct finding *finding = &attempt->judgement.finding;

	if (attempt->proof.tls != PROOF_ESTABLISHED)
		return;
	note_match(try, &attempt->proof);
	if (finding->type != RESULT_OK)
		note(try, "certificate", false,
		    arena_printf(try->arena, "%s%s%s", result_type_name(finding->type),
			finding->reason[0] != '\0' ? ": " : "", finding->reason));
	else if (attempt->judgement.verified)
		note(try, "certificate", true,
		    arena_printf(try->arena, "verified, as %s demands",
			policy_source_name(attempt->judgement.source)));
	else
		note(try, "certificate", true,
		    attempt->proof.chain_ok && attempt->proof.name_ok
			? "valid, and no policy requires it"
			: "not verified, and no policy requires it");
}

static void
set_doing(struct check_try *try, const char *doing)
{
	pthread_mutex_lock(&try->tries->lock);
	try->doing = doing;
	change(try->tries);
	pthread_mutex_unlock(&try->tries->lock);
}

/* The step after a successful one. */
static const char *
after(const struct attempt *attempt, const char *step)
{
	if (strcmp(step, "connect") == 0)
		return "greeting";
	if (strcmp(step, "greeting") == 0)
		return "ehlo";
	if (strcmp(step, "ehlo") == 0)
		return "starttls";
	if (strcmp(step, "judge") == 0 && attempt->proof.tls == PROOF_ESTABLISHED)
		return "ehlo-tls";
	return NULL;
}

static void
on_step(void *context, const struct attempt *attempt, const char *step, bool ok, const char *words)
{
	struct check_try *try = context;
	char address[IP_TEXT_MAX];

	if (strcmp(step, "tls") == 0 && ok) {
		note_tls(try, &attempt->proof);
	} else if (strcmp(step, "tls") == 0) {
		note(try, "starttls", false, words);
	} else if (strcmp(step, "judge") == 0) {
		note_certificate(try, attempt);
	} else if (strcmp(step, "connect") == 0) {
		ip_format(attempt->ip, address);
		note(try, step, ok, address);
	} else if (!ok && attempt->reply.code == 0) {
		note(try, step, ok, result_type_name(attempt->judgement.finding.type));
	} else {
		note(try, step, ok, words);
	}
	if (ok)
		set_doing(try, after(attempt, step));
}

/* The address would take the message, or the next would be tried? */
static enum check_end
judge(const struct attempt *attempt, enum attempt_end end)
{
	if (end == ATTEMPT_PLAINTEXT || end == ATTEMPT_OMIT)
		return END_UNVERIFIED;
	if (attempt->reply.code != 0 || !attempt->judged ||
	    attempt->judgement.step != JUDGEMENT_GO_ON)
		return END_NEXT;
	return attempt->judgement.verified ? END_VERIFIED : END_UNVERIFIED;
}

static void
try_address(struct check_try *try)
{
	const struct delivery *delivery = try->tries->delivery;
	struct attempt_watch watch = { on_step, try };
	struct attempt attempt = { .host = try->host,
		.ip = try->ip,
		.watch = &watch,
		.deadline = delivery->txn->deadline,
		.slot_deadline = delivery->txn->deadline };
	char line[REPLY_LINE_MAX + 1];
	enum attempt_end end;

	try->since_ms = clock_monotonic_ms();
	set_doing(try, "connect");
	end = attempt_run(delivery, &attempt);
	try->end = judge(&attempt, end);
	try->proof = attempt.proof;
	try->reply = attempt.reply;
	if (try->count > 0)
		return;
	reply_line(&attempt.reply, line);
	note(try, "connect", false, line);
}

static void
work(void *context)
{
	struct check_tries *tries = context;
	size_t mine;

	for (;;) {
		pthread_mutex_lock(&tries->lock);
		mine = tries->next < tries->count ? tries->next++ : tries->count;
		pthread_mutex_unlock(&tries->lock);
		if (mine == tries->count)
			return;
		try_address(&tries->tries[mine]);
		pthread_mutex_lock(&tries->lock);
		tries->tries[mine].ended = true;
		change(tries);
		pthread_mutex_unlock(&tries->lock);
	}
}

static void
work_and_end(void *context)
{
	struct check_tries *tries = context;

	work(tries);
	pthread_mutex_lock(&tries->lock);
	tries->working--;
	change(tries);
	pthread_mutex_unlock(&tries->lock);
}

static void
list_tries(struct check_tries *tries)
{
	const struct plan *plan = tries->delivery->plan;

	for (size_t i = 0; i < plan->host_count; i++)
		for (size_t j = 0; plan->hosts[i].use && j < plan->hosts[i].address_count &&
		     tries->count < LIMIT_ADDRESSES_PER_DOMAIN;
		     j++)
			tries->tries[tries->count++] = (struct check_try){ .tries = tries,
				.host = &plan->hosts[i],
				.ip = &plan->hosts[i].addresses[j],
				.arena = arena_new() };
}

static struct worker *
start_worker(struct check_tries *tries)
{
	struct worker *worker;

	pthread_mutex_lock(&tries->lock);
	worker = worker_start(WORKER_STACK, work_and_end, tries);
	tries->working += worker != NULL;
	pthread_mutex_unlock(&tries->lock);
	return worker;
}

/* A step that can be reported now, so that the steps of one address are adjacent. NULL: none. */
static const struct check_step *
next_step(struct check_tries *tries)
{
	const struct check_step *step = NULL;

	pthread_mutex_lock(&tries->lock);
	while (step == NULL && tries->front < tries->count) {
		struct check_try *try = &tries->tries[tries->front];

		if (try->told < try->count) {
			step = &try->steps[try->told++];
			try->told_doing = NULL;
		} else if (try->ended) {
			tries->front++;
		} else {
			break;
		}
	}
	pthread_mutex_unlock(&tries->lock);
	return step;
}

static void
tell_steps(struct check_tries *tries)
{
	const struct check_step *step;

	while ((step = next_step(tries)) != NULL)
		tries->caller->told(tries->caller->context, step);
}

/* The operation at the address of the next row. */
static void
tell_doing(struct check_tries *tries)
{
	struct check_try *try = tries->front < tries->count ? &tries->tries[tries->front] : NULL;
	const char *doing = NULL;
	char address[IP_TEXT_MAX];

	if (try == NULL)
		return;
	pthread_mutex_lock(&tries->lock);
	/* With a row to be told first, it is what comes after that. */
	if (try->told == try->count && !try->ended)
		doing = try->doing;
	pthread_mutex_unlock(&tries->lock);
	if (doing == NULL || doing == try->told_doing)
		return;
	try->told_doing = doing;
	ip_format(try->ip, address);
	tries->caller->doing(tries->caller->context, doing, try->host->name, address);
}

static void
await_workers(struct check_tries *tries)
{
	struct timespec until;

	pthread_mutex_lock(&tries->lock);
	while (tries->working > 0) {
		until = deadline_timespec(deadline_in(WAIT_LOOK_MS));
		if (!tries->news)
			pthread_cond_timedwait(&tries->changed, &tries->lock, &until);
		tries->news = false;
		pthread_mutex_unlock(&tries->lock);
		tell_steps(tries);
		tell_doing(tries);
		if (wait_is_over(&tries->caller->watch))
			txn_abandon(tries->delivery->txn);
		pthread_mutex_lock(&tries->lock);
	}
	pthread_mutex_unlock(&tries->lock);
}

static void
try_all(struct check_tries *tries)
{
	struct worker *workers[SIDE_BY_SIDE] = { NULL };

	for (size_t i = 0; i < SIDE_BY_SIDE && i < tries->count; i++)
		workers[i] = start_worker(tries);
	if (workers[0] == NULL)
		work(tries);
	await_workers(tries);
	for (size_t i = 0; i < SIDE_BY_SIDE; i++)
		worker_join(workers[i]);
}

/* In the order of a delivery: the first address that would take the message decides. */
static bool
conclude(struct check_tries *tries)
{
	enum check_end end = END_NEXT;

	tell_steps(tries);
	for (size_t i = 0; i < tries->count; i++) {
		struct check_try *try = &tries->tries[i];

		if (end == END_NEXT)
			end = try->end;
		if (tries->caller->tried != NULL)
			tries->caller->tried(tries->caller->context, try->host, &try->proof,
			    &try->reply);
		arena_free(try->arena);
	}
	return end == END_VERIFIED;
}

/* Without a host back-off, and with nothing to count for reports. */
static struct deliver_context
without_memory(const struct deliver_context *deliver)
{
	return (struct deliver_context){ .conf = deliver->conf,
		.gatherer = deliver->gatherer,
		.tls = deliver->tls,
		.conn_limit = deliver->conn_limit };
}

bool
check_tries_run(const struct deliver_context *deliver, struct arena *arena, const struct plan *plan,
    struct deadline deadline, const struct check_caller *caller)
{
	static const struct address null_sender;
	const struct deliver_context own = without_memory(deliver);
	struct check_tries *tries = xcalloc(1, sizeof(*tries));
	struct txn *txn = txn_new(arena, "check", &null_sender, NULL, 0, NULL, deadline);
	struct group group = { .domain = plan->domain };
	const struct delivery delivery = { .context = &own,
		.txn = txn,
		.group = &group,
		.plan = plan,
		.destination = conf_destination_find(own.conf, plan->domain),
		.began_ms = clock_monotonic_ms() };
	bool verified;

	tries->delivery = &delivery;
	tries->caller = caller;
	pthread_mutex_init(&tries->lock, NULL);
	thread_condition(&tries->changed);
	list_tries(tries);
	try_all(tries);
	verified = conclude(tries);
	pthread_cond_destroy(&tries->changed);
	pthread_mutex_destroy(&tries->lock);
	free(tries);
	txn_free(txn);
	return verified;
}
