/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How long does gathering wait when there is a watch (struct gather_watch)? Any thread.
 */
#ifndef POLICY_FACTS_GATHER_WAIT_H
#define POLICY_FACTS_GATHER_WAIT_H

#include <stdbool.h>

#include "base/deadline.h"
#include "policy/facts/gather.h"

/* Whether it is worth the wait. */
bool gather_wait_is_wanted(const struct gatherer *gatherer, const char *what);
/* Waits for the policy while the watch, if there is one, lets it. The deadline for what is left to
 * do, sts_cache_finish() first. */
struct deadline gather_wait_policy(const struct gatherer *gatherer,
    const struct sts_inquiry *inquiry, struct deadline deadline);

#endif
