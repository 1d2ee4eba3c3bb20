/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/deadline.h"
#include "base/stream.h"
#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/deliver_history.h"
#include "shim/smtp/dial.h"
#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_omit.h"

#define HANDSHAKES_MOST	3	/* of one message with one address, plaintext instead included */
#define CROWDED_MOST	5	/* times that a message waits for one connection less */

/* Reports the step of a dry run. Returns ok. */
static bool
step(struct call *call, const char *name, bool ok)
{
	const struct attempt_watch *watch = call->attempt->watch;
	char words[REPLY_LINE_MAX + 1];

	if (watch != NULL) {
		reply_line(ok ? &call->client.reply : &call->attempt->reply, words);
		watch->step(watch->context, call->attempt, name, ok, words);
	}
	return ok;
}

/* After an attempt that ended at the greeting: a host that has other connections of ours, or had
 * some a moment ago, serves, and may take no more at a time. Always false. */
static bool
excuse_crowd(struct call *call)
{
	struct attempt *attempt = call->attempt;
	unsigned most = 0;

	switch (conn_limit_refused(call->delivery->context->conn_limit, attempt->ip)) {
	case CONN_LIMIT_REFUSAL_OF_ALL:
		return false;
	case CONN_LIMIT_REFUSAL_OF_MORE:
		most = CROWDED_MOST;
		break;
	case CONN_LIMIT_REFUSAL_FOR_NOW:
		break;
	}
	if (attempt->watch == NULL && attempt->crowded++ < most)
		call->end = ATTEMPT_CROWDED;
	call->failed = HOST_BACKOFF_NONE;
	return false;
}

/* The host closed the connection before its greeting. Always false. */
static bool
lost_at_greeting(struct call *call)
{
	(void)attempt_trouble(call, SMTP_LOST);
	return excuse_crowd(call);
}

/* A lack of resources of our own says nothing about the host. */
static bool
is_our_own(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
	    error == EADDRNOTAVAIL || error == EACCES || error == EPERM;
}

/* Always false. */
static bool
cannot_dial(struct call *call, int error)
{
	struct reply *reply = &call->attempt->reply;
	char from[IP_TEXT_MAX] = "", words[128];

	call->client.awaited = "a connection";
	if (error == ECANCELED || error == ETIMEDOUT)
		return attempt_trouble(call, error == ECANCELED ? SMTP_STOPPED : SMTP_TIMEOUT);
	if (error == ECONNRESET)	/* the host accepted the connection and then closed it */
		return lost_at_greeting(call);
	if (!is_our_own(error))
		call->failed = HOST_BACKOFF_ALL;
	if (call->source != NULL)
		ip_format(call->source, from);
	reply_set(reply, 451, "4.4.1", "%s: cannot connect to port %u%s%s: %s", call->who,
	    (unsigned)call->at.port, call->source != NULL ? " from " : "", from,
	    strerror_r(error, words, sizeof(words)));
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
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

/* false: the attempt is over. */
static bool
dial(struct call *call)
{
	struct deadline deadline = deadline_earlier(call->attempt->deadline,
	    deadline_in(call->delivery->context->conf->smtp.connect_timeout));
	int fd;

	call->dialled_ms = clock_monotonic_ms();
	fd = dial_connect(call->attempt->ip, call->at.port, call->source, deadline, &call->watch);
	if (fd < 0)
		return cannot_dial(call, errno);
	note_ends(call, fd);
	call->client.stream = stream_new_fd(fd);
	stream_watch(call->client.stream, &call->watch);
	(void)step(call, "connect", true);
	return true;
}

static bool
greet(struct call *call)
{
	enum smtp_status status = smtp_client_greeting(&call->client);

	if (status == SMTP_LOST)
		return lost_at_greeting(call);
	if (status != SMTP_ANSWERED)
		return attempt_trouble(call, status);
	call->attempt->greeted = true;
	call->greeted = reply_is_positive(&call->client.reply);
	if (call->greeted) {
		attempt_welcome(call);
		attempt_serves(call, HOST_BACKOFF_ALL);
		return true;
	}
	(void)attempt_turned_away(call);
	if (call->client.reply.code != 421)
		return false;
	call->failed = HOST_BACKOFF_ALL;
	return excuse_crowd(call);
}

static enum smtp_status
say_hello(struct call *call)
{
	const struct conf_destination *destination = call->delivery->destination;
	enum smtp_status status;
	size_t i;

	/* HELO knows no STARTTLS. */
	status = smtp_client_hello(&call->client, attempt_hostname(call->delivery),
	    !plan_host_enforces(call->attempt->host));
	for (i = 0; destination != NULL && i < destination->ignore.count; i++)
		smtp_features_drop(&call->client.features, destination->ignore.at[i]);
	return status;
}

/* The name that the host gives itself, for the report. */
static void
note_name(struct call *call)
{
	const char *text = call->client.reply.text;
	char *helo = call->attempt->session.helo;
	size_t length = strcspn(text, " ");

	if (length >= sizeof(call->attempt->session.helo))
		length = sizeof(call->attempt->session.helo) - 1;
	memcpy(helo, text, length);
	helo[length] = '\0';
}

static bool
hello(struct call *call)
{
	enum smtp_status status = say_hello(call);

	if (status != SMTP_ANSWERED)
		return attempt_trouble(call, status);
	if (!reply_is_positive(&call->client.reply))
		return attempt_turned_away(call);
	note_name(call);
	call->client.known = true;
	return true;
}

static enum attempt_weight
weight_of(const struct reply *reply)
{
	if (reply_is_permanent(reply))
		return ATTEMPT_WEIGHT_UNPROTECTED;
	return strncmp(reply->enhanced, "4.7.", 4) == 0 ? ATTEMPT_WEIGHT_POLICY
							: ATTEMPT_WEIGHT_TROUBLE;
}

/* Nothing follows from this handshake before another one; but where a failure is only to be told,
 * as in mode testing, it is told, and the other one is no session of its own. */
static bool
try_without(struct call *call, unsigned omit)
{
	struct attempt *attempt = call->attempt;
	bool only_told = attempt->host->demand_count > 0 && !plan_host_enforces(attempt->host);
	char words[TLS_OMIT_TEXT];

	attempt->judged = attempt->judged && only_told;
	attempt->is_session = attempt->is_session && only_told;
	attempt->told = attempt->told || attempt->is_session;
	attempt->omit |= omit;
	attempt->handshakes++;
	tls_omit_text(omit, words);
	reply_set(&attempt->reply, 451, "4.7.5",
	    "%s: the TLS handshake failed (%s); retried without %s", call->who,
	    attempt->proof.failure, words);
	return attempt_over(call, ATTEMPT_OMIT, ATTEMPT_WEIGHT_NONE);
}

static bool
go_plaintext(struct call *call)
{
	struct reply *reply = &call->attempt->reply;

	if (call->attempt->handshakes + 1 < HANDSHAKES_MOST)
		return attempt_over(call, ATTEMPT_PLAINTEXT, ATTEMPT_WEIGHT_NONE);
	reply_set(reply, 451, "4.4.2",
	    "%s: %d TLS handshakes failed, last error: %s; the "
	    "receiving site must repair its TLS",
	    call->who, HANDSHAKES_MOST, call->attempt->proof.failure);
	attempt_name_way_out(call, "tls = \"none\"", "to send without");
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
}

/* The chain of a host that does not meet a demand, for the history. */
void
attempt_note_chain(struct call *call)
{
	struct attempt *attempt = call->attempt;

	if (call->delivery->history == NULL || attempt->proof.tls != PROOF_ESTABLISHED ||
	    (attempt->judgement.finding.type == RESULT_OK &&
		attempt->judgement.beside == SOURCE_NONE))
		return;
	attempt->chain = tls_client_chain(call->client.stream, call->delivery->history->arena);
}

static bool
judge(struct call *call)
{
	struct attempt *attempt = call->attempt;
	struct finding earlier = attempt->judgement.finding;
	struct tls_wish wish = attempt_wish(call);
	unsigned omit = 0;

	if (attempt->handshakes + 1 < HANDSHAKES_MOST)
		omit = tls_omit_after(&attempt->proof, &wish);
	plan_judge(call->delivery->plan, attempt->host, &attempt->proof, attempt->address,
	    &attempt->judgement);
	attempt->judged = true;
	attempt->is_session = !attempt->plaintext && !attempt->told &&
	    !call->delivery->plan->no_tls;
	if (omit != 0)
		return try_without(call, omit);
	attempt_note_chain(call);
	/* Why there is no TLS was found out on the attempt before. */
	if (attempt->plaintext && attempt->judgement.finding.type == RESULT_OK)
		attempt->judgement.finding = earlier;
	switch (attempt->judgement.step) {
	case JUDGEMENT_GO_ON:
		return true;
	case JUDGEMENT_PLAINTEXT:
		return go_plaintext(call);
	case JUDGEMENT_NEXT_HOST:
		break;
	}
	attempt->reply = attempt->judgement.reply;
	return attempt_over(call, ATTEMPT_NEXT, weight_of(&attempt->reply));
}

static void
handshake(struct call *call)
{
	struct tls_wish wish = attempt_wish(call);

	call->measured_s = clock_wall_s();
	tls_client_start(call->delivery->context->tls, call->client.stream, &wish,
	    smtp_client_command_deadline(&call->client), &call->watch, &call->attempt->proof);
	if (call->attempt->proof.tls != PROOF_ESTABLISHED)
		call->client.spent = call->client.gone = true;
}

/* Fills the proof. */
static bool
start_tls(struct call *call)
{
	struct proof *proof = &call->attempt->proof;
	enum smtp_status status;

	memset(proof, 0, sizeof(*proof));
	if (call->attempt->plaintext || call->delivery->plan->no_tls) {
		proof->tls = PROOF_NOT_TRIED;
		return true;
	}
	proof->tls = PROOF_NOT_OFFERED;
	if (!call->client.features.starttls)
		return true;
	call->blameless = true;
	status = smtp_client_starttls(&call->client);
	if (status != SMTP_ANSWERED && status != SMTP_GARBLED) {
		(void)attempt_trouble(call, status);
		if (status != SMTP_STOPPED && !plan_host_enforces(call->attempt->host))
			attempt_name_way_out(call, "tls = \"none\"", "to send without TLS");
		return false;
	}
	if (call->client.reply.code == 220) {
		handshake(call);
		if (proof->tls == PROOF_TIMEOUT && txn_is_abandoned(call->delivery->txn))
			return attempt_trouble(call, SMTP_STOPPED);
	} else {
		proof->tls = PROOF_REFUSED;
		proof->starttls_code = call->client.reply.code;
	}
	return true;
}

/* RFC 3207 4.2: what was offered in plaintext is forgotten. */
static bool
hello_again(struct call *call)
{
	enum smtp_status status = say_hello(call);

	/* With TLS 1.3 the host's refusal of the handshake arrives only now. */
	if (call->attempt->proof.tls != PROOF_ESTABLISHED) {
		call->client.spent = call->client.gone = true;
		return judge(call) && attempt_trouble(call, status);
	}
	call->blameless = false;
	if (status != SMTP_ANSWERED)
		return attempt_trouble(call, status);
	return reply_is_positive(&call->client.reply) || attempt_turned_away(call);
}

static bool
secure(struct call *call)
{
	if (!step(call, "tls", start_tls(call)) || !step(call, "judge", judge(call)))
		return false;
	if (call->attempt->proof.tls == PROOF_ESTABLISHED)
		return step(call, "ehlo-tls", hello_again(call));
	/* The host hung up, or its answer is no reply: there is no connection without TLS. */
	if (call->client.spent)
		return attempt_trouble(call,
		    call->client.reply.code != 0 ? SMTP_ANSWERED : SMTP_GARBLED);
	call->blameless = false;
	return true;
}

/* RFC 5321 3.1, RFC 3207. Anything but the greeting, EHLO and STARTTLS waits for the judgement. */
bool
attempt_open(struct call *call)
{
	return dial(call) && step(call, "greeting", greet(call)) &&
	    step(call, "ehlo", hello(call)) && secure(call);
}
