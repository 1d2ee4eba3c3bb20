/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Gathers facts for MTAs that cannot wait long. A flight gathers for one domain on a thread of its
 * own and continues when its callers have left; all callers for the domain meanwhile, and for a few
 * seconds after, share it. Any thread.
 */
#ifndef INTEGRATION_POLICYMAP_POLICY_MAP_LOOKUPS_H
#define INTEGRATION_POLICYMAP_POLICY_MAP_LOOKUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "policy/facts/gather.h"

struct flights;

/* The result of a flight, valid until flight_leave(). */
struct flight {
	const struct facts *facts;
	const struct plan *plan;
	const struct gatherer *gatherer;	/* by whose configuration */
	int64_t until_ms;	/* monotonic: how long answers from it may be given again */
	const _Atomic uint64_t *watched;	/* sts_cache_changes() */
	uint64_t changes;	/* what it held at the start */
};

/* gatherer, which is copied, and what it points to must outlive it. */
struct flights *flights_new(const struct gatherer *gatherer);
/* To be left with flight_leave(). as_mta: for an MTA that delivers by itself, so that a
 * destination's relay does not count. A flight that began under an earlier configuration is not
 * shared. NULL: too many are under way. */
struct flight *flights_join(struct flights *flights, const char *domain, bool as_mta);
/* false: the deadline came first, or flights_stop(); the flight continues. A deadline of 0 does not
 * wait. */
bool flight_wait(struct flights *flights, struct flight *flight, struct deadline deadline);
void flight_leave(struct flights *flights, struct flight *flight);
/* Nobody may join any more. After resolver_stop() and http_stop() it ends soon. */
void flights_stop(struct flights *flights);
void flights_free(struct flights *flights);	/* after flights_stop(), when all have been left */

#endif
