/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What happened in the last five minutes? Counts and latencies for the status, in slots of ten
 * seconds. Global, like the metrics; any thread.
 */
#ifndef BASE_RECENT_H
#define BASE_RECENT_H

#include <stdbool.h>
#include <stdint.h>

enum recent {
	RECENT_MESSAGES,	/* accepted for delivery */
	RECENT_ATTEMPTS,	/* at which TLS was judged */
	RECENT_KEPT,	/* of them, on a kept connection */
	RECENT_HANDSHAKES,
	RECENT_RESUMED,	/* of them, by an earlier TLS session */
	RECENT_LOOKUPS,	/* of an MTA-STS policy */
	RECENT_CACHED,	/* of them, answered from the cache */
	RECENT_SPOOL_FULL,	/* messages refused with 452 4.3.1 */
	RECENT_NO_DESCRIPTOR,	/* connections that only the reserve had a descriptor for */
	RECENTS	/* how many */
};

void recent_count(enum recent what);
void recent_latency(int64_t ms);	/* of a recipient: end of data to reply */

struct recent_figures {
	uint64_t counts[RECENTS];
	double seconds;	/* that they are about: since the start, five minutes at most */
	double p50, p95, p99;	/* seconds, within an eighth; 0 without a recipient */
};
void recent_read(struct recent_figures *figures);

/* Did it happen within the last ms? */
bool recent_within(enum recent what, int64_t ms);

#endif
