/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * An attempt while it lasts, and the functions that its files share. attempt.c has the order of the
 * steps; none of the others calls back into it.
 */
#ifndef SHIM_SMTP_ATTEMPT_INSIDE_H
#define SHIM_SMTP_ATTEMPT_INSIDE_H

#include "base/buf.h"
#include "base/domain.h"
#include "shim/smtp/attempt.h"
#include "shim/smtp/host_backoff.h"
#include "shim/smtp/smtp_client.h"
#include "shim/smtp/smtp_send.h"
#include "shim/smtp/tls_client.h"

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
	const struct ip *source;	/* NULL: the system chooses */
	const char *slot;	/* the name that conn_limit counts it by */
	struct buf key;	/* who may share the connection with whom */
	int64_t dialled_ms;	/* monotonic */
	int64_t measured_s;	/* wall clock, when the proof's certificate was measured */
	unsigned messages;	/* that the connection has served, earlier ones too */
	bool parked;	/* the connection is kept for others, and the slot is given back */
	bool greeted;	/* with 220 */
	bool welcome;	/* the slots know that the host has greeted this connection */
	bool mailing;	/* EHLO and TLS are done */
	bool blameless;	/* a failure now does not say that the address does not serve */
	enum host_backoff_scope failed;	/* for whom the address is to be passed over for a while */
	enum attempt_end end;
};

/* attempt_open.c: dial, greeting, EHLO, STARTTLS, judgement, EHLO. */
bool attempt_open(struct call *call);
/* The chain of a host that does not meet a demand, for the history. */
void attempt_note_chain(struct call *call);

/* attempt_send.c: as many transactions as the message takes. */
void attempt_send(struct call *call);
/* Is the transaction abandoned? context is a call. */
bool attempt_is_abandoned(void *context);

/* attempt_leave.c: the connection goes to the cache or is closed, host_backoff hears of the result,
 * and conn_limit gets its place back. */
void attempt_leave(struct call *call);
/* QUIT, if a connection is open. */
void attempt_close(struct call *call);
/* Moves the connection to the cache, if it is good for another message: another thread may have it
 * from now on. */
void attempt_keep(struct call *call);
/* The host serves so far: other mail need not wait for the end of this attempt. */
void attempt_serves(struct call *call, enum host_backoff_scope served);
/* The connection counts among those that the host has taken. */
void attempt_welcome(struct call *call);
struct host_backoff *attempt_backoff(const struct call *call);	/* NULL: none applies */

/* attempt_wish.c: what the attempt asks of a connection. */
const char *attempt_hostname(const struct delivery *delivery);	/* for EHLO */
const char *attempt_sni(const struct attempt *attempt);	/* NULL: none is sent */
struct tls_wish attempt_wish(const struct call *call);
void attempt_make_key(struct call *call);	/* call->key */

/* attempt_verdict.c: what ends an attempt. Those that return a bool return false, so that a step
 * can return it. */
bool attempt_over(struct call *call, enum attempt_end end, enum attempt_weight weight);
/* A command did not get the answer it needs. */
bool attempt_trouble(struct call *call, enum smtp_status status);
/* The greeting or EHLO was refused. */
bool attempt_turned_away(struct call *call);
/* A host's refusal in our words: its code and enhanced code where they make sense, and its text. */
void attempt_relay_refusal(const char *who, const struct reply *said, struct reply *reply);
/* Adds the key of the destination by which an administrator avoids the failure. */
void attempt_name_way_out(const struct call *call, const char *key, const char *what_for);

#endif
