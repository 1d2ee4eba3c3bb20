/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Short-term memory about domains: recent failed fetches, and recent actions that must not be
 * repeated too soon. Bounded: the least recently used note is dropped first, and then an action may
 * be repeated too early. Any thread.
 */
#ifndef POLICY_FACTS_STS_BACKOFF_H
#define POLICY_FACTS_STS_BACKOFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "policy/finding.h"
#include "policy/facts/sts_fault.h"

struct sts_notes;

/* Actions with a minimum interval for each domain. */
enum note_kind {
	NOTE_RECHECK,	/* TXT asked bypassing the cache */
	NOTE_REFRESH,	/* in the background; by the clock of policies */
	NOTE_TXT_GONE,	/* alarms */
	NOTE_STUCK,
	NOTE_FUTURE,
	NOTE_KINDS	/* how many */
};

struct note_failure {
	enum sts_fault fault;
	struct finding finding;
	char why[200];
	char served[LIMIT_STS_SERVED + 1];	/* what came instead of a policy, or "" */
};

struct sts_notes *sts_notes_new(size_t max);
void sts_notes_free(struct sts_notes *notes);

/* Was this id fetched in vain less than interval_ms ago? Then *failure tells how. */
bool sts_notes_backs_off(struct sts_notes *notes, const char *domain, const char *id,
    int64_t now_ms, int64_t interval_ms, struct note_failure *failure);
/* A fetch failed. Returns how many have in a row, with this one. */
unsigned sts_notes_failed(struct sts_notes *notes, const char *domain, const char *id,
    int64_t now_ms, const struct note_failure *failure);
void sts_notes_succeeded(struct sts_notes *notes, const char *domain);

/* true, and noted, when it was not done within interval_ms. */
bool sts_notes_once(struct sts_notes *notes, const char *domain, enum note_kind kind,
    int64_t now_ms, int64_t interval_ms);
void sts_notes_forget(struct sts_notes *notes, const char *domain);

#endif
