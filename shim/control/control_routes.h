/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does a path on the control socket mean, and which function answers? Independent of the HTTP
 * library. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_ROUTES_H
#define SHIM_CONTROL_CONTROL_ROUTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/facts/gather.h"
#include "shim/smtp/deliver.h"
#include "shim/control/control_answer.h"
#include "shim/control/control_tlsrpt.h"

#define CONTROL_NAME_MAX	1024	/* a name in UTF-8 may be longer than its A-labels */

struct control_request {
	const struct gatherer *gatherer;
	const struct deliver_context *deliver;
	const struct control_tlsrpt *tlsrpt;
	const char *method, *path;
	const char *host;	/* the Host header, or NULL */
	const char *accept;	/* the Accept header, or NULL */
	bool may_omit_host;	/* HTTP/1.0 */
	bool tcp;
	int socket;	/* of the connection */
	int64_t uid;	/* of the peer, -1 when unknown */
	const char *body;	/* NULL: too large */
	size_t length;	/* of the body, in octets */
	/* The value of a name in the query, or NULL. */
	const char *(*argument)(void *connection, const char *name);
	void *connection;
	const atomic_bool *stopping;	/* all waiting must end */
	/* Set here. */
	char domain[CONTROL_NAME_MAX];	/* as in the path, "" when too long */
	bool broken_off;	/* for lack of a waiting client */
};

bool control_takes_body(const char *method, const char *path, bool tcp);
/* 503 when it was broken off, as the client has hung up or stopping was set. */
void control_dispatch(struct control_request *request, struct control_answer *answer);

#endif
