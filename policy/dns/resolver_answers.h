/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Recent answers of one engine, for as long as they may be repeated: a question that libunbound has
 * in its cache still costs a message to its thread and back for each delivery. Only validated and
 * provably unsigned answers are kept, never a failure. Any thread.
 */
#ifndef POLICY_DNS_RESOLVER_ANSWERS_H
#define POLICY_DNS_RESOLVER_ANSWERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/dns/resolver.h"

struct resolver_answers;

struct resolver_answers *resolver_answers_new(void);
void resolver_answers_free(struct resolver_answers *answers);	/* NULL is allowed */

/* true: question->answer is filled, in the arena, its ttl what is left of it. */
bool resolver_answers_find(struct resolver_answers *answers, struct arena *arena,
    struct dns_question *question, int64_t now_ms);
/* Would it be found? */
bool resolver_answers_have(struct resolver_answers *answers, const char *name, enum dns_type type,
    int64_t now_ms);
void resolver_answers_keep(struct resolver_answers *answers, const struct dns_question *question,
    int64_t now_ms);
/* An answer that bypassed libunbound's cache, which may still repeat an older one: it replaces the
 * older one for LIMIT_DNS_CORRECTED_S at most. One that may not be kept removes the older one. */
void resolver_answers_correct(struct resolver_answers *answers, const struct dns_question *question,
    int64_t now_ms);

#endif
