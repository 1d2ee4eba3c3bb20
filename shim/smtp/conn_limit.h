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

struct conn_limit;
struct conn_limit *conn_limit_new(unsigned max_deliveries, unsigned max_per_host);
/* Waiting callers may continue; no caller loses its slot. */
void conn_limit_set_limits(struct conn_limit *limit, unsigned max_deliveries,
    unsigned max_per_host);
void conn_limit_free(struct conn_limit *limit);	/* no slot may be taken */

/* Waits for a slot until the deadline. domain_limit 0: none. gone(context) is called now and then
 * while waiting and may be NULL: true ends the wait. false: 451 4.4.5. Every true is given back by
 * conn_limit_give(). */
bool conn_limit_take(struct conn_limit *limit, const struct ip *ip, const char *domain,
    unsigned domain_limit, struct deadline deadline, bool (*gone)(void *context), void *context);
void conn_limit_give(struct conn_limit *limit, const struct ip *ip, const char *domain);

/* The caller has a slot: the host greeted its connection, or it is a kept one. Every welcome ends
 * with conn_limit_leave(), before the slot is given back, or with conn_limit_park(). */
void conn_limit_welcome(struct conn_limit *limit, const struct ip *ip);
void conn_limit_leave(struct conn_limit *limit, const struct ip *ip);

enum conn_limit_refusal {
	CONN_LIMIT_REFUSAL_OF_ALL, /* no other is open, and none was greeted within the minute */
	CONN_LIMIT_REFUSAL_FOR_NOW,	/* one was greeted, but no other is open */
	CONN_LIMIT_REFUSAL_OF_MORE /* others are open: a slot after one of them is worth the wait */
};
/* The caller has a slot: the host refused its connection at the greeting. Fewer are opened from now
 * on, unless it is CONN_LIMIT_REFUSAL_OF_ALL. */
enum conn_limit_refusal conn_limit_refused(struct conn_limit *limit, const struct ip *ip);

/* Gives the slot back while its connection stays open, idle. */
void conn_limit_park(struct conn_limit *limit, const struct ip *ip, const char *domain);
/* An idle connection was closed, or is in use again by a caller with a slot. */
void conn_limit_unpark(struct conn_limit *limit, const struct ip *ip, const char *domain);

enum conn_limit_excess {
	CONN_LIMIT_EXCESS_NONE,
	CONN_LIMIT_EXCESS_PROCESS,
	CONN_LIMIT_EXCESS_IP,
	CONN_LIMIT_EXCESS_DOMAIN
};
/* The caller has a slot: which connections are too many, idle ones included? */
enum conn_limit_excess conn_limit_excess(struct conn_limit *limit, const struct ip *ip,
    const char *domain, unsigned domain_limit);

#endif
