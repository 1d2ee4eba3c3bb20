/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/stream.h"
#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/conn_cache.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/dial.h"
#include "shim/smtp/host_backoff.h"
#include "shim/smtp/tls_omit.h"

#define CLOCK_TEXT	sizeof("00:00:00")

/* Who only looks how a host is wants neither old news nor a connection of before. */
static struct host_backoff *
hosts_for(const struct call *call)
{
	return call->attempt->watch == NULL ? call->delivery->context->host_backoff : NULL;
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

/* What we lack says nothing about the host. */
static bool
is_our_own(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
	    error == EADDRNOTAVAIL || error == EACCES || error == EPERM;
}

static void
cannot_dial(struct call *call, const struct ip *source, int error)
{
	struct reply *reply = &call->attempt->reply;
	char from[IP_TEXT_MAX] = "", words[128];

	call->client.awaited = "a connection";
	if (error == ECANCELED || error == ETIMEDOUT) {
		(void)attempt_trouble(call, error == ECANCELED ? SMTP_STOPPED : SMTP_TIMEOUT);
		return;
	}
	if (error == ECONNRESET) {	/* it was there, and has gone before we looked */
		(void)attempt_lost_at_greeting(call);
		return;
	}
	if (!is_our_own(error))
		call->failed = HOST_BACKOFF_ALL;
	if (source != NULL)
		ip_format(source, from);
	reply_set(reply, 451, "4.4.1", "%s: cannot connect to port %u%s%s: %s", call->who,
	    (unsigned)call->at.port, source != NULL ? " from " : "", from,
	    strerror_r(error, words, sizeof(words)));
	(void)attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
}

void
attempt_welcome(struct call *call)
{
	conn_limit_welcome(call->delivery->context->conn_limit, call->attempt->ip);
	call->welcome = true;
}

static void
leave(struct call *call)
{
	if (call->welcome)
		conn_limit_leave(call->delivery->context->conn_limit, call->attempt->ip);
	call->welcome = false;
}

static void
part(struct call *call)
{
	attempt_keep(call);
	if (call->parked)
		return;
	smtp_client_quit(&call->client);
	stream_free(call->client.stream);
	call->client.stream = NULL;
	leave(call);
}

static void
note_ends(struct call *call, int fd)
{
	struct reported_session *session = &call->attempt->session;
	struct sockaddr_storage own = { 0 };
	socklen_t length = sizeof(own);

	session->at_s = clock_wall_s();
	session->has_from = getsockname(fd, (struct sockaddr *)&own, &length) == 0 &&
	    ip_from_sockaddr((const struct sockaddr *)&own, &session->from) == 0;
}

static void
dial(struct call *call)
{
	const struct ip *source = source_for(call->delivery, call->attempt->ip->v6);
	struct deadline deadline = deadline_earlier(call->attempt->deadline,
	    deadline_in(call->delivery->context->conf->smtp.connect_timeout));
	int fd;

	call->dialled_ms = clock_monotonic_ms();
	fd = dial_connect(call->attempt->ip, call->at.port, source, deadline, &call->watch);
	if (fd < 0) {
		cannot_dial(call, source, errno);
		return;
	}
	note_ends(call, fd);
	call->client.stream = stream_new_fd(fd);
	stream_watch(call->client.stream, &call->watch);
	attempt_converse(call);
	part(call);
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

/* For whom, after "passed over". */
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

/* No connection is made, and so there is no line event=attempt. */
static void
pass_over(struct call *call, const struct host_backoff_note *note)
{
	char until[CLOCK_TEXT], whom[2 * DOMAIN_MAX + 16];

	clock_text(clock_wall_s() + (note->wait_ms + 999) / 1000, until);
	name_scope(call, note->scope, whom, sizeof(whom));
	reply_set(&call->attempt->reply, 451, "4.4.1",
	    "%s: skipped%s until %s UTC after %u failure%s (smtp.host-retry); last error: "
	    "%s",
	    call->who, whom, until, note->failures, note->failures == 1 ? "" : "s", note->last);
	call->attempt->logged = true;
	(void)attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_PASSED);
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

void
attempt_serves(struct call *call, enum host_backoff_scope served)
{
	if (hosts_for(call) != NULL)
		host_backoff_serves(hosts_for(call), &call->at, &call->probe, served);
}

static void
dial_and_tell(struct call *call)
{
	struct host_backoff *hosts = hosts_for(call);
	struct host_backoff_note note;
	struct host_backoff_news news;

	if (hosts == NULL) {
		dial(call);
	} else if (host_backoff_claim(hosts, &call->at, clock_monotonic_ms(), &call->probe,
		       &note)) {
		pass_over(call, &note);
	} else {
		dial(call);
		news = news_of(call);
		host_backoff_tell(hosts, &call->at, clock_monotonic_ms(), &call->probe, &news);
	}
}

static const char *
word_for_tls(const struct call *call)
{
	const struct plan_host *host = call->attempt->host;

	if (call->delivery->plan->no_tls)
		return "none";
	if (plan_host_enforces(host))
		return "enforced";
	return host->demand_count > 0 ? "demanded" : "free";
}

/* Connections are shared among messages that ask for the same in every respect, and where TLS is
 * less than demanded, with nobody who demands anything: such a demand has keys of its own. */
static void
make_key(struct call *call)
{
	const struct plan_host *host = call->attempt->host;
	const struct conf_destination *destination = call->delivery->destination;
	const char *sni = attempt_sni(call->attempt);
	char source[IP_TEXT_MAX];
	size_t i;

	buf_clear(&call->key);

	ip_format(&call->at.source, source);
	buf_printf(&call->key, "%s\n%s\n%u\n%s\n%s\n%s\n%s", host->name, call->attempt->address,
	    (unsigned)call->at.port, sni != NULL ? sni : "", source,
	    attempt_hostname(call->delivery), word_for_tls(call));
	for (i = 0; i < host->name_count; i++)
		buf_printf(&call->key, "\n%s", host->names[i]);
	for (i = 0; destination != NULL && i < destination->ignore.count; i++)
		buf_printf(&call->key, "\n-%s", destination->ignore.at[i]);
}

/* Plaintext is kept where nothing is demanded and TLS is not offered or not wanted. */
static bool
may_keep(const struct call *call)
{
	const struct attempt *attempt = call->attempt;

	if (call->delivery->context->conn_cache == NULL || call->client.spent ||
	    call->client.gone || call->client.stream == NULL || call->end == ATTEMPT_STOP)
		return false;
	/* A connection on which everybody is refused would refuse the next message too, where a new
	 * one may be served. */
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

static void
turn_down(struct call *call, struct kept *kept)
{
	conn_cache_close(kept);
	leave(call);
	memset(&call->attempt->proof, 0, sizeof(call->attempt->proof));
	call->client.stream = NULL;
	call->client.in_transaction = call->client.kept = call->client.known = false;
	call->attempt->reused = false;
	call->messages = 0;
}

static void
use(struct call *call)
{
	static const struct host_backoff_news served = { .served = HOST_BACKOFF_SENDER };
	static const struct host_backoff_probe none;
	struct host_backoff *hosts = hosts_for(call);

	attempt_send(call);
	part(call);
	if (hosts != NULL && call->served)
		host_backoff_tell(hosts, &call->at, clock_monotonic_ms(), &none, &served);
}

/* One of this key. */
static bool
reuse_one(struct call *call)
{
	struct conn_cache *keep = call->delivery->context->conn_cache;
	struct kept kept;

	while (conn_cache_take(keep, call->key.data, &kept)) {
		take_over(call, &kept);
		if (attempt_accept(call)) {
			use(call);
			return true;
		}
		turn_down(call, &kept);
	}
	return false;
}

/* false: none is kept that this plan would have allowed. */
static bool
reuse(struct call *call)
{
	struct attempt *attempt = call->attempt;
	unsigned omit = attempt->omit;

	if (call->delivery->context->conn_cache == NULL || attempt->watch != NULL ||
	    attempt->fresh || attempt->plaintext)
		return false;
	if (reuse_one(call))
		return true;
	/* To a host that takes no server name, there are connections without one. */
	if (attempt->host->demand_count > 0 || attempt_sni(attempt) == NULL)
		return false;
	attempt->omit |= TLS_OMIT_SNI;
	make_key(call);
	if (reuse_one(call))
		return true;
	attempt->omit = omit;
	make_key(call);
	return false;
}

static void
with_slot(struct call *call)
{
	const struct delivery *delivery = call->delivery;
	unsigned limit = delivery->destination != NULL ? delivery->destination->max_connections : 0;
	struct conn_limit *slots = delivery->context->conn_limit;
	struct attempt *attempt = call->attempt;

	if (!conn_limit_take(slots, attempt->ip, call->slot, limit, attempt->slot_deadline,
		attempt_is_abandoned, call)) {
		reply_set(&attempt->reply, 451, "4.4.5",
		    "%s: no connection was free in time: see "
		    "smtp.max-deliveries, smtp.max-per-host and max-connections; the host itself "
		    "may allow fewer",
		    call->who);
		(void)attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
		return;
	}
	if (!reuse(call)) {
		if (delivery->context->conn_cache != NULL)
			conn_cache_make_room(delivery->context->conn_cache, attempt->ip, call->slot,
			    limit);
		dial_and_tell(call);
	}
	if (!call->parked)
		conn_limit_give(slots, attempt->ip, call->slot);
}

void
attempt_connect(struct call *call)
{
	const struct delivery *delivery = call->delivery;
	struct host_backoff *hosts = hosts_for(call);
	const struct ip *source = source_for(delivery, call->attempt->ip->v6);
	struct host_backoff_note note;

	call->at.ip = *call->attempt->ip;
	call->at.port = port_for(delivery);
	call->at.next_hop = delivery->group->domain;
	call->at.sender = delivery->txn->sender.next_hop;
	if (source != NULL)
		call->at.source = *source;
	call->slot = delivery->destination != NULL ? delivery->destination->name
						   : delivery->group->domain;
	/* Nobody waits for a slot to an address that is passed over anyway. */
	if (hosts != NULL && host_backoff_passes(hosts, &call->at, clock_monotonic_ms(), &note)) {
		pass_over(call, &note);
		return;
	}
	make_key(call);
	with_slot(call);
	buf_free(&call->key);
}
