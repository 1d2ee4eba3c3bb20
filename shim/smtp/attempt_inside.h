/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * An attempt while it lasts: what attempt_connect.c, which comes by a connection, attempt.c, which
 * makes it what the plan demands, and attempt_send.c, which uses it, share. For these three alone.
 */
#ifndef SHIM_SMTP_ATTEMPT_INSIDE_H
#define SHIM_SMTP_ATTEMPT_INSIDE_H

#include "base/buf.h"
#include "base/domain.h"
#include "shim/smtp/attempt.h"
#include "shim/smtp/host_backoff.h"
#include "shim/smtp/smtp_client.h"
#include "shim/smtp/smtp_send.h"

#define WHO_MAX	(DOMAIN_MAX + IP_TEXT_MAX + 2)

/* The recipients of one transaction. */
struct batch {
	struct smtp_rcpt rcpts[SMTP_RCPTS_MAX];
	struct rcpt *of[SMTP_RCPTS_MAX];
	size_t count;
};

/* The steps of an attempt return false when it is over, and end says how. */
struct call {
	const struct delivery *delivery;
	struct attempt *attempt;
	struct smtp_client client;
	struct watch watch;	/* of its stream */
	struct batch batch;
	char who[WHO_MAX];	/* "mx.example.net[192.0.2.1]" */
	bool served;	/* a transaction came to its end on this connection */
	bool accepted;	/* some recipient was, on this attempt */
	bool unfit;	/* some recipient needs what this host lacks */

	struct host_backoff_key at;	/* from where to where */
	struct host_backoff_probe probe;	/* of what is remembered of it */
	const char *slot;	/* whose slot it is */
	struct buf key;	/* who may share the connection with whom */
	int64_t dialled_ms;	/* monotonic */
	int64_t measured_s;	/* wall clock, when the proof's certificate was measured */
	unsigned messages;	/* that the connection has served, earlier ones too */
	bool parked;	/* the connection is kept for others, and the slot is given back */
	bool greeted;	/* with 220 */
	bool welcome;	/* the slots know that the host has greeted this connection */
	bool mailing;	/* EHLO and TLS are done */
	bool blameless;	/* what goes wrong now is no sign that nobody serves there */
	enum host_backoff_scope failed;	/* for whom the address is to be passed over for a while */
	enum attempt_end end;
};

/* Slot, host memory, a kept connection or dialling; then attempt_converse(), or straight to the
 * message. */
void attempt_connect(struct call *call);
/* Greeting, EHLO, TLS, judgement, and attempt_send(). The stream is the call's. */
void attempt_converse(struct call *call);
/* A kept connection, with its proof: the judgement by the plan of this message. false: it will not
 * do. */
bool attempt_accept(struct call *call);
const char *attempt_hostname(const struct delivery *delivery);	/* for EHLO */
const char *attempt_sni(const struct attempt *attempt);	/* NULL: none is sent */

/* Is the transaction abandoned? context is a call. */
bool attempt_is_abandoned(void *context);

/* Keeps the connection for another message, if it is good for one. Nothing may be said on it any
 * more then, and somebody else may have it. */
void attempt_keep(struct call *call);

/* The host serves so far: others need not wait for the end of this attempt. */
void attempt_serves(struct call *call, enum host_backoff_scope served);

/* The connection counts among those that the host has taken. */
void attempt_welcome(struct call *call);
/* Ends the attempt: the host closed the connection before it had said a word. Always false. */
bool attempt_lost_at_greeting(struct call *call);

/* Ends the attempt. Always false, so that a step can return it. */
bool attempt_over(struct call *call, enum attempt_end end, enum attempt_weight weight);
/* Ends it because a command did not get the answer it needs. */
bool attempt_trouble(struct call *call, enum smtp_status status);
/* A host's no in our words: its code and enhanced code where they make sense, and its text. */
void attempt_relay_refusal(const char *who, const struct reply *said, struct reply *reply);

/* The connection is as the plan demands: as many transactions as it takes. */
void attempt_send(struct call *call);

#endif
