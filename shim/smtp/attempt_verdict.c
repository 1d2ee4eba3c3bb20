/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/deadline.h"
#include "shim/smtp/attempt_inside.h"

#define FAIR_WAIT_MS	(10 * 1000)	/* a host silent for so long is not there */

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

/* The mail for which this failure says that the address does not serve it. None: a failure that TLS
 * may have caused, the end of a connection that has served, and what follows MAIL, since a
 * recipient may be the cause. */
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

/* What the administrator can do about a host that is not repaired. */
void
attempt_name_way_out(const struct call *call, const char *key, const char *what_for)
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
		attempt_name_way_out(call, "ignore = {\"PIPELINING\"}", "if it loses commands,");
	call->failed = scope_of(call, status);
	if (status == SMTP_STOPPED)
		return attempt_over(call, ATTEMPT_STOP, ATTEMPT_WEIGHT_TROUBLE);
	/* The end of a kept connection says nothing about a new one. */
	return attempt_over(call,
	    call->attempt->reused && !call->served ? ATTEMPT_FRESH : ATTEMPT_NEXT,
	    ATTEMPT_WEIGHT_TROUBLE);
}

/* A greeting or EHLO refused: whatever the code, the message waits. */
bool
attempt_turned_away(struct call *call)
{
	char line[REPLY_LINE_MAX + 1];

	reply_line(&call->client.reply, line);
	reply_set(&call->attempt->reply, 451, "4.4.0", "%s said: %s", call->who, line);
	call->failed = scope_of(call, SMTP_ANSWERED);
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_TROUBLE);
}
