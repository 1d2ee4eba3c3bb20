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

#include <stdbool.h>
#include <stddef.h>

#include "base/http_transfer.h"
#include "base/x509.h"

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

#endif
