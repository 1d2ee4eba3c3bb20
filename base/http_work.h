/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * libcurl's share of one request, and what its end means. For base/http_engine.c alone, and of its
 * thread.
 */
#ifndef BASE_HTTP_WORK_H
#define BASE_HTTP_WORK_H

#include <stdbool.h>
#include <stddef.h>

#include <curl/curl.h>

#include "base/http_transfer.h"
#include "base/ip.h"
#include "base/x509.h"

/* TLS sessions. libcurl cannot drop a single one: when one was rejected, all of them are abandoned,
 * and freed with the last request that uses them. */
struct http_work_sessions {
	CURLSH *share;
	unsigned users;	/* requests, and the engine */
};

struct http_work_sessions *http_work_sessions_new(void);	/* NULL: libcurl lacks memory */
void http_work_sessions_leave(struct http_work_sessions *sessions);	/* NULL is allowed */

struct http_engine;

struct http_work {
	struct http_engine *engine;
	CURL *easy;
	CURLcode setup;	/* the first option refused */
	struct curl_slist *resolve, *headers;
	char port[6];
	char peer[IP_TEXT_MAX];	/* dialled last, "" before */
	char error[CURL_ERROR_SIZE];
	bool proxied;
	int local_error;	/* errno of a socket that was not made, or 0 */
	size_t header_octets;
	struct http_work_sessions *sessions;
	bool afresh;	/* no session is offered: with one, the handshake failed */
	bool stale;	/* the session that was resumed proves nothing today */
	SSL_CTX *ssl_ctx;	/* NULL before the TLS handshake */
	struct x509_seen seen;
	bool chunked;
};

/* How far did it get before the time was up? */
const char *http_work_stage(const struct http_transfer *transfer);
void http_work_decide_answered(struct http_transfer *transfer);
/* false: the status alone decides nothing here. */
bool http_work_decide_by_status(struct http_transfer *transfer);
void http_work_decide_certificate(struct http_transfer *transfer, int x509_error);
void http_work_decide_too_large(struct http_transfer *transfer);
void http_work_decide_failure(struct http_transfer *transfer, CURLcode code);

#endif
