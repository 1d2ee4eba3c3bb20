/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How many questions may be with libunbound at a time, and which is the next? A question that no
 * server answers stays there for a long time, whether or not a caller waits: a zone may take only a
 * part of the free places. For policy/dns/resolver_engine.c alone. Any thread.
 */
#ifndef POLICY_DNS_RESOLVER_TURNS_H
#define POLICY_DNS_RESOLVER_TURNS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct resolver_turns;

struct resolver_turns *resolver_turns_new(size_t places);
void resolver_turns_free(struct resolver_turns *turns);	/* NULL is allowed */
/* Nobody waits for a turn any more, or gets one. */
void resolver_turns_stop(struct resolver_turns *turns);

/* Waits for a place for a question about name. false: none before the deadline. */
bool resolver_turns_take(struct resolver_turns *turns, const char *name, struct deadline deadline);
/* The question is answered. */
void resolver_turns_give(struct resolver_turns *turns, const char *name);

#endif
