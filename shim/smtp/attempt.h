/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One connection to one address, kept or made: host back-off, connection limit, dial, greeting,
 * EHLO, TLS, the plan's judgement, and the transactions for which it is good. Belongs to its
 * delivery's thread.
 */
#ifndef SHIM_SMTP_ATTEMPT_H
#define SHIM_SMTP_ATTEMPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/ip.h"
#include "base/reply.h"
#include "base/conf/conf.h"
#include "policy/plan.h"
#include "policy/proof.h"
#include "shim/message/txn.h"
#include "report/reported_session.h"
#include "shim/smtp/deliver.h"

/* One group on its way: what stays the same from attempt to attempt. */
struct delivery {
	const struct deliver_context *context;
	struct txn *txn;
	const struct group *group;
	const struct plan *plan;
	const struct conf_destination *destination;	/* NULL: none is configured */
	int64_t began_ms;	/* monotonic */
	struct deliver_history *history;	/* NULL: none is kept */
};

/* Why recipients are still waiting after an attempt, in the order of what a postmaster should be
 * told: a refusal by policy says more than a lost connection, and a host that lacks an extension
 * matters only when no other host failed to show whether it has it. */
enum attempt_weight {
	ATTEMPT_WEIGHT_NONE,
	ATTEMPT_WEIGHT_UNPROTECTED,	/* REQUIRETLS: no TLS, or no certificate that is verified */
	ATTEMPT_WEIGHT_UNREQUIRED,	/* REQUIRETLS: verified, and the host does not offer it */
	ATTEMPT_WEIGHT_UNFIT,	/* 5xx: the host cannot take such a message */
	ATTEMPT_WEIGHT_PASSED,	/* not even tried, by smtp.host-retry */
	ATTEMPT_WEIGHT_TROUBLE,	/* connection, greeting, a 4xx */
	ATTEMPT_WEIGHT_POLICY	/* what TLS must prove was not proven */
};

enum attempt_end {
	ATTEMPT_DONE,	/* all recipients are settled */
	ATTEMPT_NEXT,	/* the rest may be tried elsewhere; else reply is theirs */
	ATTEMPT_AGAIN,	/* the connection ended after a delivery: the rest once more here */
	ATTEMPT_FRESH,	/* a kept connection failed: once more on one of its own */
	ATTEMPT_CROWDED, /* the host takes no more connections from us: once more, when one ends */
	ATTEMPT_PLAINTEXT,	/* once more, same address, without TLS */
	ATTEMPT_OMIT,	/* the handshake failed: once more, same address, with the attempt's omit */
	ATTEMPT_STOP	/* abandoned: nothing more is to be tried */
};

struct attempt;

/* An observer of a trial, in which no message is sent and no line logged. step() is called
 * after "connect", "greeting", "ehlo", "tls" (STARTTLS and handshake), "judge" and "ehlo-tls";
 * words are the host's or, with ok false, why it ends here. */
struct attempt_watch {
	void (*step)(void *context, const struct attempt *attempt, const char *step, bool ok,
	    const char *words);
	void *context;
};

struct attempt {
	const struct plan_host *host;
	const struct ip *ip;
	bool plaintext;	/* by the judgement on an earlier attempt, whose finding stays below */
	bool fresh;	/* no kept connection will do */
	unsigned omit;	/* of enum tls_omit: what the handshakes so far may have failed for */
	unsigned handshakes;	/* that failed at this address and were tried once more */
	bool greeted;	/* some connection to this address was, whatever the code */
	unsigned crowded;	/* visits that ended with ATTEMPT_CROWDED */
	bool told;	/* one of them is a session of RFC 8460, so that no later one is */
	struct deadline deadline;	/* for everything up to the content */
	struct deadline slot_deadline;	/* no address is begun with after it */
	struct deadline limit;	/* of the commands to a host that has answered EHLO */
	const struct attempt_watch *watch;	/* NULL for a delivery */

	/* What it showed. */
	char address[IP_TEXT_MAX];
	int64_t began_ms;	/* monotonic */
	bool reused;	/* the connection served an earlier message */
	struct proof proof;
	bool judged;	/* proof and judgement mean something */
	struct judgement judgement;
	enum attempt_weight weight;
	struct reply reply;	/* how it failed; code 0 when it did not */
	bool is_session;	/* of RFC 8460: new, not the plaintext retry, and judged */
	struct reported_session session;	/* then: from, has_from, helo and at_s */
	char *chain;	/* what the host showed where a demand was not met, as PEM, in the
			   arena of the history; NULL: none */
	bool otherwise;	/* what is demanded here without effect is met by another host */
	bool logged;	/* its line is written, or none is to be */
};

/* plaintext, fresh, judgement.finding and all above "what it showed" are the caller's to set; omit,
 * handshakes, crowded, told and greeted begin as 0, and the visits to one address change them. */
enum attempt_end attempt_run(const struct delivery *delivery, struct attempt *attempt);

/* Settles a recipient and logs it; attempt is where its reply comes from, or NULL. The line of the
 * attempt comes before that of its first recipient, and the MTA hears nothing before both. */
void attempt_settle(const struct delivery *delivery, struct attempt *attempt, struct rcpt *rcpt,
    const struct reply *reply);

#endif
