/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How long has the TXT look-up of a domain without a cached policy been failing? First failures are
 * remembered in the store, so that a restart does not reset them; any answer ends them, and so do
 * 24 hours without a failure, or 14 days once the look-up was given up. Any thread.
 */
#ifndef POLICY_FACTS_COLD_FAILURE_H
#define POLICY_FACTS_COLD_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/store/store.h"

enum sts_grace {
	GRACE_RUNNING,	/* wait: defer the mail */
	GRACE_OVER,
	GRACE_UNKNOWN	/* the store cannot be read or written */
};

/* Failures of one domain, in seconds of sts_clock_now(); all 0: none. */
struct sts_failures {
	int64_t first, last;
	int64_t given_up;	/* 0: not yet */
};

/* One more failure. true when failures has changed enough to be written. Pure. */
bool sts_failures_add(struct sts_failures *failures, int64_t now, int64_t grace_s);

/* The look-up failed just now: may the domain be delivered to without a policy? now is by
 * sts_clock_now(). */
enum sts_grace sts_grace_failed(struct store *store, const char *domain, int64_t now,
    int64_t grace_s);
/* The look-up was answered. */
void sts_grace_answered(struct store *store, const char *domain);

#endif
