/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Gathers facts for MTAs that cannot wait long. A look-up gathers for one domain on a thread of its
 * own and continues when its callers have left; all callers for the domain meanwhile, and for a few
 * seconds after, share it. Any thread.
 */
#ifndef INTEGRATION_POLICYMAP_POLICY_MAP_LOOKUPS_H
#define INTEGRATION_POLICYMAP_POLICY_MAP_LOOKUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "policy/facts/gather.h"

struct policy_map_lookups;

/* The result of a look-up, valid until policy_map_lookup_leave(). */
struct policy_map_lookup {
	const struct facts *facts;
	const struct plan *plan;
	const struct gatherer *gatherer;	/* by whose configuration */
	int64_t until_ms;	/* monotonic: how long answers from it may be given again */
	const _Atomic uint64_t *watched;	/* sts_cache_changes() */
	uint64_t changes;	/* what it held at the start */
};

/* gatherer, which is copied, and what it points to must outlive it. */
struct policy_map_lookups *policy_map_lookups_new(const struct gatherer *gatherer);
/* To be left with policy_map_lookup_leave(). as_mta: for an MTA that delivers by itself, so that a
 * destination's relay does not count. A look-up that began under an earlier configuration is not
 * shared. NULL: too many are under way. */
struct policy_map_lookup *policy_map_lookups_join(struct policy_map_lookups *lookups,
    const char *domain, bool as_mta);
/* false: the deadline came first, or policy_map_lookups_join_threads(); the look-up continues. A
 * deadline of 0 does not wait. */
bool policy_map_lookup_wait(struct policy_map_lookups *lookups, struct policy_map_lookup *lookup,
    struct deadline deadline);
void policy_map_lookup_leave(struct policy_map_lookups *lookups, struct policy_map_lookup *lookup);
/* No caller may join from now on. After resolver_cancel() and http_cancel() it ends soon. */
void policy_map_lookups_join_threads(struct policy_map_lookups *lookups);
/* After policy_map_lookups_join_threads(), when all have been left. */
void policy_map_lookups_free(struct policy_map_lookups *lookups);

#endif
