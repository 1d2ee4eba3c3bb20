/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How many remote connections may be open: for the process (smtp.max-deliveries), to one address
 * (smtp.max-per-host) and for one destination (max-connections). The longest waiting delivery is
 * served first, and no delivery waits for another's limit, nor for connections that are kept idle:
 * these are counted separately, and closed when they are too many with those in use. Any thread.
 *
 * A host may take fewer connections from one client than smtp.max-per-host, and says so by turning
 * one more away at its greeting. Its number is learnt from the others that are open at that moment,
 * grows by one a minute, and is forgotten with the address.
 */
#ifndef SHIM_SMTP_CONN_LIMIT_H
#define SHIM_SMTP_CONN_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/ip.h"

struct slots;
struct slots *slots_new(unsigned max_deliveries, unsigned max_per_host);
/* Waiting callers may continue; no caller loses its slot. */
void slots_set_limits(struct slots *slots, unsigned max_deliveries, unsigned max_per_host);
void slots_free(struct slots *slots);	/* no slot may be taken */

/* Waits for a slot until the deadline. domain_limit 0: none. gone(context) is called now and then
 * while waiting and may be NULL: true ends the wait. false: 451 4.4.5. Every true is given back by
 * slots_give(). */
bool slots_take(struct slots *slots, const struct ip *ip, const char *domain, unsigned domain_limit,
    struct deadline deadline, bool (*gone)(void *context), void *context);
void slots_give(struct slots *slots, const struct ip *ip, const char *domain);

/* The caller has a slot: the host greeted its connection, or it is a kept one. Every welcome ends
 * with slots_leave(), before the slot is given back, or with slots_park(). */
void slots_welcome(struct slots *slots, const struct ip *ip);
void slots_leave(struct slots *slots, const struct ip *ip);

enum slots_refusal {
	SLOTS_REFUSAL_OF_ALL,	/* no other is open, and none was greeted within the minute */
	SLOTS_REFUSAL_FOR_NOW,	/* one was greeted, but no other is open */
	SLOTS_REFUSAL_OF_MORE	/* others are open: a slot after one of them is worth the wait */
};
/* The caller has a slot: the host refused its connection at the greeting. Fewer are opened from now
 * on, unless it is SLOTS_REFUSAL_OF_ALL. */
enum slots_refusal slots_refused(struct slots *slots, const struct ip *ip);

/* Gives the slot back while its connection stays open, idle. */
void slots_park(struct slots *slots, const struct ip *ip, const char *domain);
/* An idle connection was closed, or is in use again by a caller with a slot. */
void slots_unpark(struct slots *slots, const struct ip *ip, const char *domain);

enum slots_excess { SLOTS_EXCESS_NONE, SLOTS_EXCESS_PROCESS, SLOTS_EXCESS_IP, SLOTS_EXCESS_DOMAIN };
/* The caller has a slot: which connections are too many, idle ones included? */
enum slots_excess slots_excess(struct slots *slots, const struct ip *ip, const char *domain,
    unsigned domain_limit);

#endif
