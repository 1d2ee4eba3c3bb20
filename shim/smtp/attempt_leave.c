/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/deadline.h"
#include "base/stream.h"
#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/conn_cache.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/host_backoff.h"

/* A dry run uses neither the back-off nor a kept connection. */
struct host_backoff *
attempt_backoff(const struct call *call)
{
	return call->attempt->watch == NULL ? call->delivery->context->host_backoff : NULL;
}

void
attempt_serves(struct call *call, enum host_backoff_scope served)
{
	if (attempt_backoff(call) != NULL)
		host_backoff_serves(attempt_backoff(call), &call->at, &call->probe, served);
}

void
attempt_welcome(struct call *call)
{
	conn_limit_welcome(call->delivery->context->conn_limit, call->attempt->ip);
	call->welcome = true;
}

void
attempt_close(struct call *call)
{
	if (call->client.stream == NULL)
		return;
	smtp_client_quit(&call->client);
	stream_free(call->client.stream);
	call->client.stream = NULL;
	if (call->welcome)
		conn_limit_leave(call->delivery->context->conn_limit, call->attempt->ip);
	call->welcome = false;
}

/* Plaintext is kept where nothing is demanded and TLS is not offered or not wanted. */
static bool
may_keep(const struct call *call)
{
	const struct attempt *attempt = call->attempt;

	if (call->delivery->context->conn_cache == NULL || call->client.spent ||
	    call->client.gone || call->client.stream == NULL || call->end == ATTEMPT_STOP)
		return false;
	/* A connection on which all recipients are refused would refuse the next message too, where
	 * a new one may be served. */
	if (!call->accepted && (call->served || !attempt->reused))
		return false;
	if (attempt->proof.bulky)	/* with all its certificates */
		return false;
	return attempt->proof.tls == PROOF_ESTABLISHED ||
	    ((attempt->proof.tls == PROOF_NOT_OFFERED || call->delivery->plan->no_tls) &&
		attempt->host->demand_count == 0);
}

void
attempt_keep(struct call *call)
{
	struct kept kept = {
		.client = call->client,
		.proof = call->attempt->proof,
		.dialled_ms = call->dialled_ms,
		.measured_s = call->measured_s,
		.messages = call->messages,
	};

	if (!may_keep(call))
		return;
	stream_watch(call->client.stream, NULL);
	if (!conn_cache_put(call->delivery->context->conn_cache, call->key.data, &call->at.ip,
		call->slot, &kept))
		return;
	call->parked = true;
	call->welcome = false;
	call->client.spent = call->client.gone = true;
	call->client.stream = NULL;
}

/* The failure without the name of the host, of which one address may have several. */
static const char *
words_of_failure(const struct call *call)
{
	const char *text = call->attempt->reply.text;
	size_t length = strlen(call->who);

	if (strncmp(text, call->who, length) != 0)
		return text;
	text += length;
	return text + strspn(text, ": ");
}

static struct host_backoff_news
news_of(const struct call *call)
{
	struct host_backoff_news news = { .failed = call->failed };

	if (news.failed != HOST_BACKOFF_NONE)
		news.how = words_of_failure(call);
	if (call->greeted)
		news.served = HOST_BACKOFF_ALL;
	if (call->failed == HOST_BACKOFF_SENDER)
		news.served = HOST_BACKOFF_NEXT_HOP;
	if (call->served || call->client.in_transaction)
		news.served = HOST_BACKOFF_SENDER;
	return news;
}

/* A reused connection that fails says nothing about the host; an address that was skipped was not
 * tried. */
static void
tell_backoff(struct call *call)
{
	struct host_backoff *hosts = attempt_backoff(call);
	struct host_backoff_news news;

	if (hosts == NULL || call->attempt->weight == ATTEMPT_WEIGHT_PASSED ||
	    (call->attempt->reused && !call->served))
		return;
	news = news_of(call);
	host_backoff_tell(hosts, &call->at, clock_monotonic_ms(), &call->probe, &news);
}

void
attempt_leave(struct call *call)
{
	tell_backoff(call);
	attempt_keep(call);
	if (call->parked)	/* the cache has the connection, and the place is given back */
		return;
	attempt_close(call);
	conn_limit_give(call->delivery->context->conn_limit, call->attempt->ip, call->slot);
}
