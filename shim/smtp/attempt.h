/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One connection to one address, kept or made: host memory, slot, dial, greeting, EHLO, TLS, the
 * plan's judgement, and the transactions for which it is good. Belongs to its delivery's thread.
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

/* One group on its way: what stays the same from visit to visit. */
struct delivery {
	const struct deliver_context *context;
	struct txn *txn;
	const struct group *group;
	const struct plan *plan;
	const struct conf_destination *destination;	/* NULL: none is configured */
	int64_t began_ms;	/* monotonic */
};

/* Why recipients are still waiting after a visit, in the order of what a postmaster should be
 * told: a refusal by policy says more than a lost connection, and a host that lacks an extension
 * matters only when no other host failed to show whether it has it. */
enum visit_weight {
	VISIT_WEIGHT_NONE,
	VISIT_WEIGHT_UNPROTECTED,	/* REQUIRETLS: no TLS, or no certificate that is verified */
	VISIT_WEIGHT_UNREQUIRED,	/* REQUIRETLS: verified, and the host does not offer it */
	VISIT_WEIGHT_UNFIT,	/* 5xx: the host cannot take such a message */
	VISIT_WEIGHT_PASSED,	/* not even tried, by smtp.host-retry */
	VISIT_WEIGHT_TROUBLE,	/* connection, greeting, a 4xx */
	VISIT_WEIGHT_POLICY	/* what TLS must prove was not proven */
};

enum visit_end {
	VISIT_DONE,	/* all recipients are settled */
	VISIT_NEXT,	/* the rest may be tried elsewhere; else reply is theirs */
	VISIT_AGAIN,	/* the connection ended after a delivery: the rest once more here */
	VISIT_FRESH,	/* a kept connection failed: once more on one of its own */
	VISIT_CROWDED,	/* the host takes no more connections from us: once more, when one ends */
	VISIT_PLAINTEXT,	/* once more, same address, without TLS */
	VISIT_OMIT,	/* the handshake failed: once more, same address, with the visit's omit */
	VISIT_STOP	/* abandoned: nothing more is to be tried */
};

struct visit;

/* Somebody who looks on while a host is only tried out: no message is sent and no line logged.
 * Told after "connect", "greeting", "ehlo", "tls" (STARTTLS and handshake), "judge" and "ehlo-tls";
 * words are the host's or, with ok false, why it ends here. */
struct visit_watch {
	void (*step)(void *context, const struct visit *visit, const char *step, bool ok,
	    const char *words);
	void *context;
};

struct visit {
	const struct plan_host *host;
	const struct ip *ip;
	bool plaintext;	/* by the judgement on an earlier visit, whose finding stays below */
	bool fresh;	/* no kept connection will do */
	unsigned omit;	/* of enum tls_omit: what the handshakes so far may have failed for */
	unsigned handshakes;	/* that failed at this address and were tried once more */
	bool greeted;	/* some connection to this address was, whatever the code */
	unsigned crowded;	/* visits that ended with VISIT_CROWDED */
	bool told;	/* one of them is a session of RFC 8460, so that no later one is */
	struct deadline deadline;	/* for everything up to the content */
	struct deadline slot_deadline;	/* no address is begun with after it */
	struct deadline limit;	/* of the commands to a host that has answered EHLO */
	const struct visit_watch *watch;	/* NULL for a delivery */

	/* What it showed. */
	char address[IP_TEXT_MAX];
	int64_t began_ms;	/* monotonic */
	bool reused;	/* the connection served an earlier message */
	struct proof proof;
	bool judged;	/* proof and judgement mean something */
	struct judgement judgement;
	enum visit_weight weight;
	struct reply reply;	/* how it failed; code 0 when it did not */
	bool is_session;	/* of RFC 8460: new, not the plaintext retry, and judged */
	struct reported_session session;	/* then: from, has_from, helo and at_s */
	bool logged;	/* its line is written, or none is to be */
};

/* plaintext, fresh, judgement.finding and all above "what it showed" are the caller's to set; omit,
 * handshakes, crowded, told and greeted begin as 0, and the visits to one address change them. */
enum visit_end visit_run(const struct delivery *delivery, struct visit *visit);

/* Settles a recipient and logs it; visit is where its reply comes from, or NULL. The line of the
 * visit comes before that of its first recipient, and the MTA hears nothing before both. */
void visit_settle(const struct delivery *delivery, struct visit *visit, struct rcpt *rcpt,
    const struct reply *reply);

#endif
