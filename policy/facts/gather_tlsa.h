/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Fills the TLSA part of each host's facts, once its addresses are known (RFC 7672 2.2.2, 2.2.3).
 * The questions of all hosts go out side by side. For policy/facts/gather.c alone. Any thread.
 */
#ifndef POLICY_FACTS_GATHER_TLSA_H
#define POLICY_FACTS_GATHER_TLSA_H

#include <stdint.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "policy/dns/resolver.h"
#include "policy/facts.h"

/* Takes the least of the answers' TTLs over into facts, and why one was not asked, for every round
 * of questions. */
void gather_note_ttl(struct facts *facts, const struct dns_question *questions, size_t count);

/* port is the one that will be dialled. */
void gather_tlsa(struct resolver *resolver, struct arena *arena, uint16_t port,
    struct deadline deadline, struct facts *facts);

#endif
