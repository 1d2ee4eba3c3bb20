/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A request to http.h and its answer, as values.
 */
#ifndef BASE_HTTP_REQUEST_H
#define BASE_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/ip.h"

enum http_outcome {
	HTTP_ANSWERED,	/* status, content_type and body hold the whole answer */
	HTTP_UNREACHABLE,	/* refused, reset, no route */
	HTTP_TIMEOUT,
	HTTP_TLS,	/* handshake or certificate: x509_error tells when it was the certificate */
	HTTP_TOO_LARGE,	/* body or headers beyond the bound; nothing of it is handed out */
	HTTP_REFUSED_ADDRESS,	/* every address is private */
	HTTP_GARBLED,	/* not HTTP, a cut body, an encoding that was not requested */
	HTTP_LOCAL	/* by our own doing, so that nothing is known about the host: no descriptor,
			   memory, port or turn; the proxy; this program ends */
};
const char *http_outcome_name(enum http_outcome outcome);

struct http_request {
	const char *method;	/* "GET", "POST", "DELETE" */
	const char *url;	/* https:// or, over a Unix socket, http:// */
	const char *host;	/* the URL's host: SNI, reference identifier */
	/* of host, tried in order; unused with a proxy or unix_path */
	const struct ip *addresses;
	size_t address_count;
	const char *unix_path;	/* NULL: TCP */
	const char *content_type;	/* of body; NULL without */
	const void *body;
	size_t body_length;
	size_t max_body;	/* octets of the answer; 0: its status is all that matters */
	bool allow_private;	/* dial addresses that are not globally reachable */
	struct deadline deadline;	/* for everything, connect to last octet */
	/* Octets of the body as they come, on the engine's thread; NULL: at the end is early
	 * enough. heard_by must live until http_free(). */
	void (*heard)(void *heard_by, const char *octets, size_t length);
	void *heard_by;
};

struct http_answer {
	enum http_outcome outcome;
	long status;	/* 0 unless HTTP_ANSWERED */
	char content_type[128];
	struct buf body;	/* caller frees with buf_free() */
	int x509_error;	/* X509_V_ERR_ number, 0 when it was not the certificate */
	char reason[200];	/* in words, for the log and the administrator */
};

#endif
