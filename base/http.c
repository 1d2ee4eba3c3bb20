/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/http.h"
#include "base/http_engine.h"
#include "base/http_transfer.h"
#include "base/limits.h"
#include "base/thread.h"

#define ENGINE_STACK	(512 * 1024)
#define ENGINE_GRACE_MS	50	/* the engine knows how far a transfer got, so it may speak first */
#define IDLE_MS	60000

struct http {
	struct x509_trust *trust;	/* NULL: no HTTPS */
	char *proxy;	/* "" : none */
	struct http_engine *engine;
	pthread_t thread;

	struct http_transfer *running;	/* the engine thread's own */
	size_t running_count;

	pthread_mutex_t lock;	/* guards what follows, and done and abandoned of every transfer */
	struct http_transfer *queue, **queue_end;
	size_t callers;	/* inside http_perform() */
	pthread_cond_t left;	/* the last caller has left */
	bool stop;
};

/* Engine thread: the transfer is in no list any more. */
static void
finish(struct http *http, struct http_transfer *transfer)
{
	bool abandoned;

	(void)pthread_mutex_lock(&http->lock);
	abandoned = transfer->abandoned;
	transfer->done = true;
	(void)pthread_cond_signal(&transfer->finished);
	(void)pthread_mutex_unlock(&http->lock);
	if (abandoned)
		http_transfer_free(transfer);
}

static struct http_transfer *
queue_take(struct http *http)
{
	struct http_transfer *transfer = NULL;

	(void)pthread_mutex_lock(&http->lock);
	if (http->queue != NULL && (http->running_count < LIMIT_HTTP_TRANSFERS || http->stop)) {
		transfer = http->queue;
		http->queue = transfer->next;
		transfer->late = deadline_left_ms(transfer->deadline) < transfer->half_left_ms;
		transfer->begun = !transfer->late;
		if (http->queue == NULL)
			http->queue_end = &http->queue;
	}
	(void)pthread_mutex_unlock(&http->lock);
	return transfer;
}

static void
start_queued(struct http *http, bool stop)
{
	struct http_transfer *transfer;

	while ((transfer = queue_take(http)) != NULL) {
		if (stop || deadline_passed(transfer->deadline))
			http_transfer_decide(transfer, HTTP_LOCAL, "%s: %s before its turn came",
			    transfer->host, stop ? "the program ends" : "time is up");
		else if (http_engine_start(http->engine, transfer)) {
			transfer->next = http->running;
			http->running = transfer;
			http->running_count++;
			continue;
		}
		finish(http, transfer);
	}
}

static void
finish_ended(struct http *http)
{
	struct http_transfer *transfer, **at;

	while ((transfer = http_engine_ended(http->engine)) != NULL) {
		for (at = &http->running; *at != transfer; at = &(*at)->next)
			;
		*at = transfer->next;
		http->running_count--;
		finish(http, transfer);
	}
}

static bool
is_unwanted(struct http *http, const struct http_transfer *transfer)
{
	bool unwanted;

	(void)pthread_mutex_lock(&http->lock);
	unwanted = http->stop || transfer->abandoned;
	(void)pthread_mutex_unlock(&http->lock);
	return unwanted;
}

static void
cancel_unwanted(struct http *http)
{
	struct http_transfer *transfer, **at = &http->running;

	while ((transfer = *at) != NULL) {
		if (!is_unwanted(http, transfer)) {
			at = &transfer->next;
			continue;
		}
		*at = transfer->next;
		http->running_count--;
		http_engine_cancel(http->engine, transfer);
		finish(http, transfer);
	}
}

static bool
is_stopping(struct http *http)
{
	bool stop;

	(void)pthread_mutex_lock(&http->lock);
	stop = http->stop;
	(void)pthread_mutex_unlock(&http->lock);
	return stop;
}

static void *
engine_main(void *context)
{
	struct http *http = context;
	bool stop;

	do {
		stop = is_stopping(http);
		cancel_unwanted(http);
		start_queued(http, stop);
		if (!stop)
			http_engine_run(http->engine, IDLE_MS);
		finish_ended(http);
	} while (!stop);
	return NULL;
}

static void
http_release(struct http *http)
{
	if (http->engine != NULL)
		http_engine_free(http->engine);
	x509_trust_free(http->trust);
	(void)pthread_cond_destroy(&http->left);
	(void)pthread_mutex_destroy(&http->lock);
	free(http->proxy);
	free(http);
}

struct http *
http_new(const char *ca_file, const char *proxy, char *why, size_t why_room)
{
	struct http *http = xcalloc(1, sizeof(*http));

	http->proxy = xstrdup(proxy);
	http->queue_end = &http->queue;
	(void)pthread_mutex_init(&http->lock, NULL);
	thread_condition(&http->left);
	if (ca_file[0] != '\0') {
		http->trust = x509_trust_load(ca_file, why, why_room);
		if (http->trust == NULL)
			goto failed;
	}
	http->engine = http_engine_new(http->trust, http->proxy, why, why_room);
	if (http->engine == NULL)
		goto failed;
	if (thread_start(&http->thread, ENGINE_STACK, engine_main, http) == 0)
		return http;
	(void)snprintf(why, why_room, "cannot create a thread for HTTP");
failed:
	http_release(http);
	return NULL;
}

/* Sessions may still be resumed: on_connected() judges their chains by these roots. */
void
http_trust(struct http *http, struct x509_trust *trust)
{
	x509_trust_adopt(http->trust, trust);
}

void
http_cancel(struct http *http)
{
	(void)pthread_mutex_lock(&http->lock);
	http->stop = true;
	(void)pthread_mutex_unlock(&http->lock);
	http_engine_wake(http->engine);
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	http_cancel(http);
	(void)pthread_mutex_lock(&http->lock);
	while (http->callers > 0)
		(void)pthread_cond_wait(&http->left, &http->lock);
	(void)pthread_mutex_unlock(&http->lock);
	(void)pthread_join(http->thread, NULL);
	http_release(http);
}

/* Decided without a transfer: what the request itself rules out. */
static bool
rule_out(const struct http *http, struct http_transfer *transfer,
    const struct http_request *request)
{
	if (request->unix_path == NULL && http->trust == NULL)
		http_transfer_decide(transfer, HTTP_LOCAL,
		    "%s: there is no ca-file to verify it with", request->host);
	else if (request->unix_path != NULL || http->proxy[0] != '\0')
		return false;
	else if (request->address_count == 0)
		http_transfer_decide(transfer, HTTP_UNREACHABLE, "%s has no address",
		    request->host);
	else if (transfer->address_count == 0)
		http_transfer_decide(transfer, HTTP_REFUSED_ADDRESS,
		    "%s has private addresses only, which are refused (dns.private-addresses)",
		    request->host);
	return transfer->decided;
}

/* false: the program ends, and no request is started. */
static bool
enqueue(struct http *http, struct http_transfer *transfer)
{
	bool stop;

	(void)pthread_mutex_lock(&http->lock);
	stop = http->stop;
	if (!stop) {
		*http->queue_end = transfer;
		http->queue_end = &transfer->next;
		http->callers++;
		http_engine_wake(http->engine);
	}
	(void)pthread_mutex_unlock(&http->lock);
	return !stop;
}

/* false: the caller's time is over, and the transfer the engine thread's alone. begun: its turn had
 * come. */
static bool
await(struct http *http, struct http_transfer *transfer, bool *begun)
{
	struct deadline until = transfer->deadline;
	struct timespec at;
	bool done;

	(void)__builtin_add_overflow(until.at_ms, ENGINE_GRACE_MS, &until.at_ms);
	at = deadline_timespec(until);
	(void)pthread_mutex_lock(&http->lock);
	while (!transfer->done &&
	    pthread_cond_timedwait(&transfer->finished, &http->lock, &at) != ETIMEDOUT)
		;
	done = transfer->done;
	*begun = transfer->begun;
	transfer->abandoned = !done;
	if (!done)
		http_engine_wake(http->engine);
	if (--http->callers == 0)
		(void)pthread_cond_signal(&http->left);
	(void)pthread_mutex_unlock(&http->lock);
	return done;
}

/* The answer when nothing else is known. */
static void
answer_without(struct http_answer *answer, enum http_outcome outcome, const char *host)
{
	memset(answer, 0, sizeof(*answer));
	answer->outcome = outcome;
	(void)snprintf(answer->reason, sizeof(answer->reason), "%s: time is up", host);
}

void
http_perform(struct http *http, const struct http_request *request, struct http_answer *answer)
{
	struct http_transfer *transfer = http_transfer_new(request);
	bool begun;

	if (!rule_out(http, transfer, request)) {
		if (!enqueue(http, transfer)) {
			http_transfer_free(transfer);
			answer_without(answer, HTTP_LOCAL, request->host);
			return;
		}
		if (!await(http, transfer, &begun)) {
			answer_without(answer, begun ? HTTP_TIMEOUT : HTTP_LOCAL, request->host);
			return;
		}
	}
	*answer = transfer->answer;
	memset(&transfer->answer.body, 0, sizeof(transfer->answer.body));
	if (answer->outcome != HTTP_ANSWERED)
		buf_free(&answer->body);
	http_transfer_free(transfer);
}
