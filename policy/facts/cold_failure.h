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

enum cold_failure {
	COLD_FAILURE_DEFER,	/* wait: defer the mail */
	COLD_FAILURE_OVER,
	COLD_FAILURE_UNKNOWN	/* the store cannot be read or written */
};

/* Failures of one domain, in seconds of sts_clock_now(); all 0: none. */
struct cold_failure_times {
	int64_t first, last;
	int64_t given_up;	/* 0: not yet */
};

/* One more failure. true when failures has changed enough to be written. Pure. */
bool cold_failure_add(struct cold_failure_times *failures, int64_t now, int64_t grace_s);

/* The look-up failed just now: may the domain be delivered to without a policy? now is by
 * sts_clock_now(). */
enum cold_failure cold_failure_count(struct store *store, const char *domain, int64_t now,
    int64_t grace_s);
/* The look-up was answered. */
void cold_failure_end(struct store *store, const char *domain);

#endif
