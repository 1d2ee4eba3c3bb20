/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The libcurl side of base/http: transfers on one multi handle. Everything here belongs to the one
 * engine thread but http_engine_wake(), which any thread may call.
 */
#ifndef BASE_HTTP_ENGINE_H
#define BASE_HTTP_ENGINE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/http.h"
#include "base/ip.h"
#include "base/x509.h"

/* One request on its way: a copy of all that the caller brought, since the caller may give up at
 * any time. */
struct http_transfer {
	struct http_transfer *next;	/* in the queue, later among the running ones */
	char *method, *url, *host;
	char *unix_path;	/* NULL: TCP */
	char *content_type;	/* NULL without a body */
	void *body;
	size_t body_length, max_body;
	struct ip *addresses;	/* those that may be dialled */
	size_t address_count;
	struct deadline deadline;
	int64_t half_left_ms;	/* half of the time that the caller gave it */
	unsigned refusals;	/* memory_refusals() when it came */
	bool late;	/* that had gone before its turn came: its time-out is our own */
	void (*heard)(void *heard_by, const char *octets, size_t length);
	void *heard_by;

	bool decided;	/* answer.outcome and answer.reason are set */
	struct http_answer answer;
	struct http_work *work;	/* libcurl's share while it runs, else NULL */

	pthread_cond_t finished;	/* this and below: base/http.c, under its lock */
	bool begun;	/* its turn came in time */
	bool done;
	bool abandoned;	/* the caller has left, the engine thread frees it */
};

struct http_engine;

/* trust NULL: no HTTPS; both arguments stay the caller's. NULL with the reason in why. */
struct http_engine *http_engine_new(struct x509_trust *trust, const char *proxy, char *why,
    size_t why_room);
void http_engine_free(struct http_engine *engine);	/* nothing may run any more */

/* false: decided already, it never ran. */
bool http_engine_start(struct http_engine *engine, struct http_transfer *transfer);
void http_engine_cancel(struct http_engine *engine, struct http_transfer *transfer);
/* Moves octets, waiting up to wait_ms for some. */
void http_engine_run(struct http_engine *engine, int wait_ms);
/* The next transfer that has ended since, decided and no longer libcurl's; NULL: no more. */
struct http_transfer *http_engine_ended(struct http_engine *engine);
void http_engine_wake(struct http_engine *engine);	/* http_engine_run() returns soon */

/* Of connect(): does this machine refuse it, and not the host or the way to it? */
bool http_error_is_local(int error, bool v6);
/* Octets of the body. */
void http_transfer_add(struct http_transfer *transfer, const char *octets, size_t length);
/* Sets the outcome once: the first fault is the cause, what follows from it is not. */
void http_transfer_decide(struct http_transfer *transfer, enum http_outcome outcome,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
