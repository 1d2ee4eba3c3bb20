/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The lines event=attempt and event=delivery of stsgated(8), LOG. Any thread.
 *
 * All fields come in the order of the page, and one that does not apply is left out:
 * - an attempt, one connection, has no to= and no status=, which are a recipient's; dsn= and reply=
 *   tell how the connection failed, or reply= alone what was amiss on one that was used all the
 *   same; result= is missing when it ended before TLS could be judged. The line is written when
 *   the connection ends or decides about its first recipient;
 * - an attempt at a host that the policy does not list makes no connection: no ip=, proto=,
 *   cipher= or ms=, and tls=none;
 * - an address that smtp.host-retry passes over is no attempt: its line is that of the delivery;
 * - a delivery has mx=, ip=, tls=, proto=, cipher=, reused= and result= of the connection that its
 *   reply comes from; when no host was tried, tls=none and, where there is one, the result= of the
 *   policy;
 * - mode= and policy-id= are missing without a policy, proto= and cipher= without TLS.
 */
#ifndef SHIM_SMTP_DELIVER_LOG_H
#define SHIM_SMTP_DELIVER_LOG_H

#include "base/reply.h"
#include "policy/plan.h"
#include "shim/message/txn.h"
#include "shim/smtp/attempt.h"

/* Once for each attempt: nothing, if attempt->logged, which it sets. */
void deliver_log_attempt(const struct delivery *delivery, struct attempt *attempt);
/* The hosts that are skipped because the policy does not list them. */
void deliver_log_unlisted(const struct delivery *delivery);
void deliver_log_delivery(const struct delivery *delivery, const struct attempt *attempt,
    const struct rcpt *rcpt, const struct reply *reply);

/* Whose word counts at this host, or where host is NULL in the plan as a whole. */
enum policy_source deliver_log_source(const struct plan *plan, const struct plan_host *host);
/* Of a plan that came to no connection: what its policy or its hosts lack, or NULL. */
const struct finding *deliver_log_finding(const struct plan *plan);

#endif
