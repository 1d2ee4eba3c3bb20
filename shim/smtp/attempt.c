/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/deadline.h"
#include "base/stream.h"
#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/conn_cache.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/deliver_foretell.h"
#include "shim/smtp/deliver_log.h"
#include "shim/smtp/host_backoff.h"
#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_omit.h"

#define CLOCK_TEXT	sizeof("00:00:00")

/* Once the host may have the message, its answer is awaited in any case. */
static bool
is_unwanted(void *context)
{
	struct call *call = context;

	return attempt_is_abandoned(call) && !call->client.committed;
}

static void
init(struct call *call, const struct delivery *delivery, struct attempt *attempt)
{
	const struct conf *conf = delivery->context->conf;

	memset(call, 0, sizeof(*call));
	call->delivery = delivery;
	call->attempt = attempt;
	call->end = ATTEMPT_NEXT;
	call->client.command_timeout = conf->smtp.command_timeout;
	call->client.data_timeout = conf->smtp.data_timeout;
	call->client.final_timeout = conf->smtp.final_timeout;
	call->client.deadline = attempt->deadline;
	call->client.limit = attempt->limit;
	call->client.data_deadline = delivery->txn->deadline;
	call->watch = (struct watch){ .ended = is_unwanted, .context = call };
	attempt->began_ms = clock_monotonic_ms();
	attempt->judged = attempt->logged = attempt->reused = attempt->is_session = false;
	memset(&attempt->session, 0, sizeof(attempt->session));
	attempt->logged = attempt->watch != NULL;
	attempt->weight = ATTEMPT_WEIGHT_NONE;
	attempt->reply.code = 0;
	memset(&attempt->proof, 0, sizeof(attempt->proof));
	ip_format(attempt->ip, attempt->address);
	snprintf(call->who, sizeof(call->who), "%s[%s]", attempt->host->name, attempt->address);
}

static const struct ip *
source_for(const struct delivery *delivery, bool v6)
{
	const struct conf_destination *destination = delivery->destination;
	const struct conf *conf = delivery->context->conf;

	if (destination != NULL && v6 && destination->has_source_ipv6)
		return &destination->source_ipv6;
	if (destination != NULL && !v6 && destination->has_source_ipv4)
		return &destination->source_ipv4;
	if (v6)
		return conf->smtp.has_source_ipv6 ? &conf->smtp.source_ipv6 : NULL;
	return conf->smtp.has_source_ipv4 ? &conf->smtp.source_ipv4 : NULL;
}

static uint16_t
port_for(const struct delivery *delivery)
{
	if (delivery->plan->relay && delivery->destination != NULL &&
	    delivery->destination->relay_port != 0)
		return delivery->destination->relay_port;
	return delivery->context->conf->smtp.port;
}

static void
clock_text(int64_t at, char text[CLOCK_TEXT])
{
	time_t seconds = (time_t)at;
	struct tm parts;

	if (gmtime_r(&seconds, &parts) == NULL ||
	    strftime(text, CLOCK_TEXT, "%H:%M:%S", &parts) == 0)
		text[0] = '\0';
}

/* The mail that skips the address, after "skipped". */
static void
name_scope(const struct call *call, enum host_backoff_scope scope, char *text, size_t room)
{
	text[0] = '\0';
	if (scope == HOST_BACKOFF_NEXT_HOP)
		snprintf(text, room, " for %s", call->at.next_hop);
	if (scope == HOST_BACKOFF_SENDER)
		snprintf(text, room, " for %s from %s", call->at.next_hop,
		    call->at.sender[0] != '\0' ? call->at.sender : "<>");
}

/* No connection is made, and so there is no line event=attempt. Always false. */
static bool
skip(struct call *call, const struct host_backoff_note *note)
{
	char until[CLOCK_TEXT], whom[2 * DOMAIN_MAX + 16];

	clock_text(clock_wall_s() + (note->wait_ms + 999) / 1000, until);
	name_scope(call, note->scope, whom, sizeof(whom));
	reply_set(&call->attempt->reply, 451, "4.4.1",
	    "%s: skipped%s until %s UTC after %u failure%s (smtp.host-retry); last error: "
	    "%s",
	    call->who, whom, until, note->failures, note->failures == 1 ? "" : "s", note->last);
	call->attempt->logged = true;
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_PASSED);
}

/* Where does the attempt go, and by which limit is it counted? */
static void
address(struct call *call)
{
	const struct delivery *delivery = call->delivery;

	call->source = source_for(delivery, call->attempt->ip->v6);
	call->at.ip = *call->attempt->ip;
	call->at.port = port_for(delivery);
	call->at.next_hop = delivery->group->domain;
	call->at.sender = delivery->txn->sender.next_hop;
	if (call->source != NULL)
		call->at.source = *call->source;
	call->slot = delivery->destination != NULL ? delivery->destination->name
						   : delivery->group->domain;
	attempt_make_key(call);
}

static unsigned
limit_of(const struct call *call)
{
	const struct conf_destination *destination = call->delivery->destination;

	return destination != NULL ? destination->max_connections : 0;
}

/* No message waits for its turn at an address that would be skipped. */
static bool
admit(struct call *call)
{
	struct host_backoff *hosts = attempt_backoff(call);
	struct attempt *attempt = call->attempt;
	struct host_backoff_note note;

	if (hosts != NULL && host_backoff_passes(hosts, &call->at, clock_monotonic_ms(), &note))
		return skip(call, &note);
	if (conn_limit_take(call->delivery->context->conn_limit, attempt->ip, call->slot,
		limit_of(call), attempt->slot_deadline, attempt_is_abandoned, call))
		return true;
	reply_set(&attempt->reply, 451, "4.4.5",
	    "%s: no connection was free in time: see "
	    "smtp.max-deliveries, smtp.max-per-host and max-connections; the host itself "
	    "may allow fewer",
	    call->who);
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
}

static void
take_over(struct call *call, const struct kept *kept)
{
	attempt_welcome(call);
	call->client.stream = kept->client.stream;
	stream_watch(call->client.stream, &call->watch);
	call->client.features = kept->client.features;
	call->client.in_transaction = kept->client.in_transaction;
	call->attempt->proof = kept->proof;
	call->client.kept = call->client.known = true;
	call->attempt->reused = call->attempt->greeted = true;
	call->dialled_ms = kept->dialled_ms;
	call->measured_s = kept->measured_s;
	call->messages = kept->messages;
}

/* The plan of this message does not allow it. */
static void
turn_down(struct call *call)
{
	attempt_close(call);
	memset(&call->attempt->proof, 0, sizeof(call->attempt->proof));
	memset(&call->client.features, 0, sizeof(call->client.features));
	call->client.in_transaction = call->client.kept = call->client.known = false;
	call->client.spent = call->client.gone = false;
	call->client.command_timeout = call->delivery->context->conf->smtp.command_timeout;
	call->attempt->reused = false;
	call->messages = 0;
}

/* A kept connection is judged by the plan of this message. */
static bool
is_allowed(struct call *call)
{
	struct attempt *attempt = call->attempt;
	struct tls_wish wish = attempt_wish(call);
	int64_t now_s = clock_wall_s();

	/* Within a second nothing changes but TLSA records: the key includes the names, and
	 * certificates have times in seconds. */
	if (attempt->proof.tls == PROOF_ESTABLISHED &&
	    (call->measured_s != now_s || wish.tlsa_count > 0))
		tls_client_measure(call->delivery->context->tls, call->client.stream, &wish,
		    &attempt->proof);
	call->measured_s = now_s;
	plan_judge(call->delivery->plan, attempt->host, &attempt->proof, attempt->address,
	    &attempt->judgement);
	attempt->judged = attempt->judgement.step == JUDGEMENT_GO_ON;
	if (attempt->judged)
		attempt_note_chain(call);
	return attempt->judged;
}

/* A connection with the key of this attempt. */
static bool
take_one(struct call *call)
{
	struct conn_cache *cache = call->delivery->context->conn_cache;
	struct kept kept;

	while (conn_cache_take(cache, call->key.data, &kept)) {
		take_over(call, &kept);
		if (is_allowed(call))
			return true;
		turn_down(call);
	}
	return false;
}

/* false: no kept connection meets this plan. */
static bool
take(struct call *call)
{
	struct attempt *attempt = call->attempt;
	unsigned omit = attempt->omit;

	if (call->delivery->context->conn_cache == NULL || attempt->watch != NULL ||
	    attempt->fresh || attempt->plaintext)
		return false;
	if (take_one(call))
		return true;
	/* To a host that takes no server name, there are connections without one. */
	if (attempt->host->demand_count > 0 || attempt_sni(attempt) == NULL)
		return false;
	attempt->omit |= TLS_OMIT_SNI;
	attempt_make_key(call);
	if (take_one(call))
		return true;
	attempt->omit = omit;
	attempt_make_key(call);
	return false;
}

/* A new connection: the address may have failed for others since admit(), and idle connections
 * leave room. */
static bool
may_dial(struct call *call)
{
	struct conn_cache *cache = call->delivery->context->conn_cache;
	struct host_backoff *hosts = attempt_backoff(call);
	struct host_backoff_note note;

	if (cache != NULL)
		conn_cache_make_room(cache, call->attempt->ip, call->slot, limit_of(call));
	if (hosts != NULL &&
	    host_backoff_claim(hosts, &call->at, clock_monotonic_ms(), &call->probe, &note))
		return skip(call, &note);
	return true;
}

/* One attempt, in the order of its steps. A step that returns false has ended it, and call.end says
 * how. A dry run stops before MAIL. */
enum attempt_end
attempt_run(const struct delivery *delivery, struct attempt *attempt)
{
	struct call call;

	init(&call, delivery, attempt);
	address(&call);
	if (admit(&call)) {
		if ((take(&call) || (may_dial(&call) && attempt_open(&call))) &&
		    attempt->watch == NULL) {
			deliver_foretell(delivery, attempt);
			attempt_send(&call);
		}
		attempt_leave(&call);
	}
	buf_free(&call.key);
	deliver_log_attempt(delivery, attempt);
	return call.end;
}
