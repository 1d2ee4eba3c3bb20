/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One request on its way through http.c, http_engine.c and http_work.c: what it is, what has come
 * of it, and how it ends. It belongs to the engine thread, but for what is marked.
 */
#ifndef BASE_HTTP_TRANSFER_H
#define BASE_HTTP_TRANSFER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/http_request.h"
#include "base/ip.h"

/* A copy of all that the caller brought, since the caller may give up at
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

struct http_transfer *http_transfer_new(const struct http_request *request);
void http_transfer_free(struct http_transfer *transfer);
/* Of connect(): does this machine refuse it, and not the host or the way to it? */
bool http_transfer_error_is_local(int error, bool v6);
/* Octets of the body. */
void http_transfer_add(struct http_transfer *transfer, const char *octets, size_t length);
/* Sets the outcome once: the first fault is the cause, what follows from it is not. */
void http_transfer_decide(struct http_transfer *transfer, enum http_outcome outcome,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
