/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/stream.h"
#include "shim/smtp/attempt.h"
#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/deliver_foretell.h"
#include "shim/smtp/deliver_history.h"
#include "shim/smtp/deliver_log.h"
#include "shim/smtp/smtp_client.h"
#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_omit.h"

#define HANDSHAKES_MOST	3	/* of one message with one address, plaintext instead included */
#define CROWDED_MOST	5	/* times that a message waits for one connection less */
#define FAIR_WAIT_MS	(10 * 1000)	/* who has not said a word for so long is not there */

static void
log_once(const struct delivery *delivery, struct attempt *attempt)
{
	if (!attempt->logged)
		deliver_log_attempt(delivery, attempt);
	attempt->logged = true;
}

void
attempt_settle(const struct delivery *delivery, struct attempt *attempt, struct rcpt *rcpt,
    const struct reply *reply)
{
	if (attempt != NULL)
		log_once(delivery, attempt);
	deliver_log_delivery(delivery, attempt, rcpt, reply);
	deliver_history_note(delivery, attempt, reply);
	txn_settle(delivery->txn, rcpt, reply);
}

bool
attempt_over(struct call *call, enum attempt_end end, enum attempt_weight weight)
{
	call->attempt->weight = weight;
	call->end = end;
	return false;
}

void
attempt_relay_refusal(const char *who, const struct reply *said, struct reply *reply)
{
	const char *enhanced = said->enhanced;
	int code = said->code == 421 ? 451 : said->code;

	if (code < 400 && code != 0) {
		reply_set(reply, 451, "4.5.0", "%s said: %d %s", who, code, said->text);
	} else if (code == 0) {
		reply_set(reply, 451, "4.5.0", "%s said: %s", who, said->text);
	} else {
		if (enhanced[0] == '\0')
			enhanced = code >= 500 ? "5.0.0" : "4.0.0";
		reply_set(reply, code, enhanced, "%s said: %s", who, said->text);
	}
	reply->remote = true;
}

/* What a command without the answer it needs means to the recipients. */
static void
describe_trouble(const struct call *call, enum smtp_status status, struct reply *reply)
{
	const struct smtp_client *client = &call->client;

	switch (status) {
	case SMTP_ANSWERED:
	case SMTP_GARBLED:
		attempt_relay_refusal(call->who, &client->reply, reply);
		if (status == SMTP_GARBLED)
			reply_set(reply, 451, "4.5.0", "%s", reply->text);
		break;
	case SMTP_LOST:
		reply_set(reply, 451, "4.4.2", "%s: the connection was lost while waiting for %s",
		    call->who, client->awaited);
		break;
	case SMTP_TIMEOUT:
		reply_set(reply, 451, "4.4.2", "%s: timed out while waiting for %s", call->who,
		    client->awaited);
		break;
	case SMTP_STOPPED:
		reply_set(reply, 451, "4.4.2",
		    "%s: cancelled while waiting for %s, since the MTA "
		    "hung up or lmtp.transaction-time is over",
		    call->who, client->awaited);
		break;
	}
}

/* Our own lack of time may have cut the wait off. */
static bool
was_waited_fairly(const struct call *call)
{
	const struct conf *conf = call->delivery->context->conf;
	int64_t fair = FAIR_WAIT_MS;

	if (fair > conf->smtp.command_timeout)
		fair = conf->smtp.command_timeout;
	if (fair > conf->smtp.connect_timeout)
		fair = conf->smtp.connect_timeout;
	return clock_monotonic_ms() - call->dialled_ms >= fair;
}

/* A 4xx to EHLO that is not 421 is no word about mail at all. */
static enum host_backoff_scope
scope_of_answer(const struct call *call)
{
	int code = call->client.reply.code;

	if (code == 421)
		return HOST_BACKOFF_NEXT_HOP;
	return call->mailing && code / 100 == 4 ? HOST_BACKOFF_SENDER : HOST_BACKOFF_NONE;
}

/* Of whom does this say that the address does not serve them? Of nobody: what TLS was the reason
 * for, the end of a connection that was good for something, and what follows MAIL, when it may be
 * for a recipient's sake. */
static enum host_backoff_scope
scope_of(const struct call *call, enum smtp_status status)
{
	if (call->blameless || call->served || call->attempt->reused || call->client.in_transaction)
		return HOST_BACKOFF_NONE;
	if (status == SMTP_ANSWERED)
		return call->greeted ? scope_of_answer(call) : HOST_BACKOFF_NONE;
	if (status == SMTP_LOST || (status == SMTP_TIMEOUT && was_waited_fairly(call)))
		return call->greeted ? HOST_BACKOFF_NEXT_HOP : HOST_BACKOFF_ALL;
	return HOST_BACKOFF_NONE;
}

/* What the administrator can do about a host that will not be mended. */
static void
name_way_out(const struct call *call, const char *key, const char *what_for)
{
	struct reply *reply = &call->attempt->reply;
	char text[sizeof(reply->text)];

	memcpy(text, reply->text, sizeof(text));
	reply_set(reply, reply->code, reply->enhanced, "%s; %s set %s in destination \"%s\"", text,
	    what_for, key, call->delivery->plan->destination);
}

/* Has a host that was sent several commands at once answered some of them and no more? */
static bool
may_have_lost_commands(const struct call *call, enum smtp_status status)
{
	return status == SMTP_TIMEOUT && call->mailing && call->client.features.pipelining &&
	    call->client.in_transaction && !call->client.committed &&
	    strncmp(call->client.awaited, "its answer to ", 14) == 0;
}

bool
attempt_trouble(struct call *call, enum smtp_status status)
{
	describe_trouble(call, status, &call->attempt->reply);
	if (may_have_lost_commands(call, status))
		name_way_out(call, "ignore = {\"PIPELINING\"}", "if it loses commands,");
	call->failed = scope_of(call, status);
	if (status == SMTP_STOPPED)
		return attempt_over(call, ATTEMPT_STOP, ATTEMPT_WEIGHT_TROUBLE);
	/* What a kept connection comes to says nothing about a new one. */
	return attempt_over(call,
	    call->attempt->reused && !call->served ? ATTEMPT_FRESH : ATTEMPT_NEXT,
	    ATTEMPT_WEIGHT_TROUBLE);
}

/* A greeting or EHLO refused: whatever the code, the message waits. */
static bool
turned_away(struct call *call)
{
	char line[REPLY_LINE_MAX + 1];

	reply_line(&call->client.reply, line);
	reply_set(&call->attempt->reply, 451, "4.4.0", "%s said: %s", call->who, line);
	call->failed = scope_of(call, SMTP_ANSWERED);
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
}

/* Tells whoever looks on. Returns ok. */
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

bool
attempt_lost_at_greeting(struct call *call)
{
	(void)attempt_trouble(call, SMTP_LOST);
	return excuse_crowd(call);
}

static bool
greet(struct call *call)
{
	enum smtp_status status = smtp_client_greeting(&call->client);

	if (status == SMTP_LOST)
		return attempt_lost_at_greeting(call);
	if (status != SMTP_ANSWERED)
		return attempt_trouble(call, status);
	call->attempt->greeted = true;
	call->greeted = reply_is_positive(&call->client.reply);
	if (call->greeted) {
		attempt_welcome(call);
		attempt_serves(call, HOST_BACKOFF_ALL);
		return true;
	}
	(void)turned_away(call);
	if (call->client.reply.code != 421)
		return false;
	call->failed = HOST_BACKOFF_ALL;
	return excuse_crowd(call);
}

const char *
attempt_sni(const struct attempt *attempt)
{
	return (attempt->omit & TLS_OMIT_SNI) != 0 ? NULL : attempt->host->sni;
}

const char *
attempt_hostname(const struct delivery *delivery)
{
	if (delivery->destination != NULL && delivery->destination->hostname != NULL)
		return delivery->destination->hostname;
	return delivery->context->conf->hostname;
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
		return turned_away(call);
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

static struct tls_wish
wish_of(const struct call *call)
{
	const struct plan_host *host = call->attempt->host;
	const struct demand *policy = plan_host_policy(host);

	return (struct tls_wish){
		.sni = attempt_sni(call->attempt),
		.names = host->names,
		.name_count = host->name_count,
		.tlsa = host->usable,
		.tlsa_count = host->usable_count,
		.tlsa_names = host->dane_names,
		.tlsa_name_count = host->dane_name_count,
		.by_tlsa = policy != NULL && policy->need == NEED_TLSA,
		.strict = plan_host_enforces(host),
		.min_protocol = call->delivery->plan->min_protocol,
		/* Who only looks wants to see what the host shows today. */
		.session_key = call->attempt->watch == NULL ? call->key.data : NULL,
		.omit = call->attempt->omit,
	};
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
	name_way_out(call, "tls = \"none\"", "to send without");
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
}

/* The chain of a host that does not meet a demand, for the history. */
static void
note_chain(struct call *call)
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
	struct tls_wish wish = wish_of(call);
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
	note_chain(call);
	/* Why there is no TLS was found out on the attempt before. */
	if (attempt->plaintext && attempt->judgement.finding.type == RESULT_OK)
		attempt->judgement.finding = earlier;
	switch (attempt->judgement.step) {
	case JUDGEMENT_GO_ON:
		deliver_foretell(call->delivery, attempt);
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
	struct tls_wish wish = wish_of(call);

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
			name_way_out(call, "tls = \"none\"", "to send without TLS");
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
	return reply_is_positive(&call->client.reply) || turned_away(call);
}

static bool
secure(struct call *call)
{
	if (!step(call, "tls", start_tls(call)) || !step(call, "judge", judge(call)))
		return false;
	if (call->attempt->proof.tls == PROOF_ESTABLISHED)
		return step(call, "ehlo-tls", hello_again(call));
	/* A host that hangs up or raves instead of going on without TLS. */
	if (call->client.spent)
		return attempt_trouble(call,
		    call->client.reply.code != 0 ? SMTP_ANSWERED : SMTP_GARBLED);
	call->blameless = false;
	return true;
}

void
attempt_converse(struct call *call)
{
	(void)step(call, "connect", true);
	if (step(call, "greeting", greet(call)) && step(call, "ehlo", hello(call)) &&
	    secure(call) && call->attempt->watch == NULL)
		attempt_send(call);
}

bool
attempt_accept(struct call *call)
{
	struct attempt *attempt = call->attempt;
	struct tls_wish wish = wish_of(call);
	int64_t now_s = clock_wall_s();

	/* The names are those of before, and certificates know no time between two seconds; but
	 * TLSA records may be others from one message to the next. */
	if (attempt->proof.tls == PROOF_ESTABLISHED &&
	    (call->measured_s != now_s || wish.tlsa_count > 0))
		tls_client_measure(call->delivery->context->tls, call->client.stream, &wish,
		    &attempt->proof);
	call->measured_s = now_s;
	plan_judge(call->delivery->plan, attempt->host, &attempt->proof, attempt->address,
	    &attempt->judgement);
	attempt->judged = attempt->judgement.step == JUDGEMENT_GO_ON;
	if (attempt->judged) {
		note_chain(call);
		deliver_foretell(call->delivery, attempt);
	}
	return attempt->judged;
}

bool
attempt_is_abandoned(void *context)
{
	struct call *call = context;

	return txn_is_abandoned(call->delivery->txn);
}

/* The transaction is looked after in any case. */
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

enum attempt_end
attempt_run(const struct delivery *delivery, struct attempt *attempt)
{
	struct call call;

	init(&call, delivery, attempt);
	attempt_connect(&call);
	log_once(delivery, attempt);
	return call.end;
}
