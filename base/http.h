/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Bounded HTTP requests on libcurl: one engine thread with one multi handle, shared TLS sessions
 * and one CA store; callers wait under their own deadline. Redirects are never followed, the
 * environment's proxies never read, and names never looked up: the caller brings the addresses.
 */
#ifndef BASE_HTTP_H
#define BASE_HTTP_H

#include <stddef.h>

#include "base/http_request.h"

struct http;
struct x509_trust;

/* ca_file "" : no HTTPS. proxy "" : none. NULL only when libcurl cannot start or ca_file cannot be
 * read (why says). */
struct http *http_new(const char *ca_file, const char *proxy, char *why, size_t why_room);
/* The roots that new connections are to trust. Not for one without a ca_file. */
void http_trust(struct http *http, struct x509_trust *trust);
/* Running requests end with HTTP_LOCAL, now, and so does every later one. */
void http_cancel(struct http *http);
void http_free(struct http *http);	/* stops it, and waits for the callers */

/* Fills every field of answer. Any thread. */
void http_perform(struct http *http, const struct http_request *request,
    struct http_answer *answer);

#endif
