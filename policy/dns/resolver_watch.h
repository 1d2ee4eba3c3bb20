/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * When is the self-test of a resolver due? After each hour, soon after one that was not good, and
 * at once when answers give reason for it. Plain values under the caller's lock.
 */
#ifndef POLICY_DNS_RESOLVER_WATCH_H
#define POLICY_DNS_RESOLVER_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/dns/resolver.h"

struct resolver_watch {
	int64_t due_ms;	/* monotonic; INT64_MAX: never */
	int64_t tested_ms;	/* when the last one ended */
	unsigned failures;	/* tests in a row that were not good */
	unsigned bogus;	/* answers since the last test */
	unsigned failed;	/* answers since the last test or the last one that is known */
	unsigned unasked;	/* the same for local failures */
};

/* Untested, and due now. */
void resolver_watch_start(struct resolver_watch *watch, int64_t now_ms);
void resolver_watch_stop(struct resolver_watch *watch);	/* never due */
void resolver_watch_tested(struct resolver_watch *watch, enum resolver_health health,
    int64_t now_ms);
/* So many look-ups in a row failed that the engine itself may be at fault. */
bool resolver_watch_doubts_engine(const struct resolver_watch *watch);
/* true: some are bogus, and a test that finds the cause is due or running. */
bool resolver_watch_answers(struct resolver_watch *watch, enum resolver_health health,
    const struct dns_question *questions, size_t count, int64_t now_ms);

#endif
