/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How many remote connections may be open: for the process (smtp.max-deliveries), to one address
 * (smtp.max-per-host) and for one destination (max-connections). Any thread.
 */
#ifndef SHIM_SLOTS_H
#define SHIM_SLOTS_H

#include <stdbool.h>

#include "base/deadline.h"
#include "base/ip.h"

struct slots;
struct slots *slots_new(unsigned max_deliveries, unsigned max_per_host);
void slots_free(struct slots *slots);

/* Waits for a slot until the deadline. domain_limit 0: none. false: 451 4.4.5. Every true is given back by slots_give(). */
bool slots_take(struct slots *slots, const struct ip *ip, const char *domain,
    unsigned domain_limit, struct deadline deadline);
void slots_give(struct slots *slots, const struct ip *ip, const char *domain);

#endif
