/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How many remote connections may be open: for the process (smtp.max-deliveries), to one address
 * (smtp.max-per-host) and for one destination (max-connections). Who waits longest is served
 * first, and nobody waits for a limit that is not his. Any thread.
 */
#ifndef SHIM_SLOTS_H
#define SHIM_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/ip.h"

struct slots;
struct slots *slots_new(unsigned max_deliveries, unsigned max_per_host);
void slots_free(struct slots *slots);	/* no slot may be taken */

/* Waits for a slot until the deadline. domain_limit 0: none. gone(context) is asked now and then
 * while waiting and may be NULL: true ends the wait. false: 451 4.4.5. Every true is given back by
 * slots_give(). */
bool slots_take(struct slots *slots, const struct ip *ip, const char *domain,
    unsigned domain_limit, struct deadline deadline, bool (*gone)(void *context), void *context);
void slots_give(struct slots *slots, const struct ip *ip, const char *domain);

#endif
