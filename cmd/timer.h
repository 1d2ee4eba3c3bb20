/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The thread for background work: refresh of policies, checkpoints and purges of the store.
 */
#ifndef CMD_TIMER_H
#define CMD_TIMER_H

#include "base/store/store.h"
#include "policy/facts/sts_cache.h"

struct timer;

/* NULL: no thread could be created */
struct timer *timer_start(struct store *store, struct sts_cache *cache);
void timer_join(struct timer *timer);	/* waits for what is running; NULL is allowed */

#endif
