/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Short-term memory about domains: recent failed fetches, and recent actions that must not be
 * repeated too soon. Bounded: the least recently used entry is dropped first, and then an action
 * may be repeated too early. Any thread.
 */
#ifndef POLICY_FACTS_STS_BACKOFF_H
#define POLICY_FACTS_STS_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "policy/finding.h"
#include "policy/facts/sts_fault.h"

struct sts_backoff;

/* Actions with a minimum interval for each domain. */
enum sts_backoff_action {
	STS_ACTION_RECHECK,	/* TXT asked bypassing the cache */
	STS_ACTION_REFRESH,	/* in the background; by the clock of policies */
	STS_ACTION_TXT_GONE,	/* alarms */
	STS_ACTION_STUCK,
	STS_ACTION_FUTURE,
	STS_ACTIONS	/* how many */
};

struct sts_backoff_failure {
	enum sts_fault fault;
	struct finding finding;
	char why[200];
	char served[LIMIT_STS_SERVED + 1];	/* what came instead of a policy, or "" */
};

struct sts_backoff *sts_backoff_new(size_t max);
void sts_backoff_free(struct sts_backoff *backoff);

/* Was this id fetched in vain less than interval_ms ago? Then *failure tells how. */
bool sts_backoff_applies(struct sts_backoff *backoff, const char *domain, const char *id,
    int64_t now_ms, int64_t interval_ms, struct sts_backoff_failure *failure);
/* A fetch failed. Returns how many have in a row, with this one. */
unsigned sts_backoff_failed(struct sts_backoff *backoff, const char *domain, const char *id,
    int64_t now_ms, const struct sts_backoff_failure *failure);
void sts_backoff_succeeded(struct sts_backoff *backoff, const char *domain);

/* true, and noted, when it was not done within interval_ms. */
bool sts_backoff_once(struct sts_backoff *backoff, const char *domain, enum sts_backoff_action kind,
    int64_t now_ms, int64_t interval_ms);
void sts_backoff_forget(struct sts_backoff *backoff, const char *domain);

#endif
