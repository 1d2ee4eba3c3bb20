/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which addresses have lately failed, so that nobody waits for them again (smtp.host-retry)? One
 * that failed is passed over for an interval, which doubles with each failure in a row. When it is
 * over, one delivery probes the address while all others go on passing it over. Only what says
 * that nobody serves there counts: refused, timed out, lost, greeted with 421. The table is
 * bounded, and forgets what failed longest ago. Any thread; time is monotonic, in milliseconds,
 * and the caller's.
 */
#ifndef SHIM_HOST_MEMORY_H
#define SHIM_HOST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

#define HOST_MEMORY_TEXT	200

struct host_memory;

struct host_memory *host_memory_new(int64_t retry_ms);
/* For failures to come. */
void host_memory_set_retry(struct host_memory *memory, int64_t retry_ms);
void host_memory_free(struct host_memory *memory);	/* NULL is allowed */

/* What is remembered. */
struct host_key {
	struct ip ip;
	uint16_t port;
	struct ip source;	/* all zero when the system chooses */
};

/* Why an address is passed over. */
struct host_note {
	unsigned failures;	/* in a row */
	int64_t wait_ms;	/* until it may be probed; 0: it is being probed */
	char last[HOST_MEMORY_TEXT];	/* how it failed the last time */
};

/* Is it passed over now? Then fills note. Claims nothing. */
bool host_memory_passes(struct host_memory *memory, const struct host_key *key, int64_t now_ms,
    struct host_note *note);
/* The same, for one who tries the address at once when it is not: false obliges him to tell what
 * came of it. *probing is for him to hand back. */
bool host_memory_claim(struct host_memory *memory, const struct host_key *key, int64_t now_ms,
    bool *probing, struct host_note *note);

enum host_news {
	HOST_SERVED,	/* somebody is there: the address is forgotten */
	HOST_FAILED,
	HOST_UNTOLD	/* tried to no end, for reasons that are not the host's */
};
/* how is NULL but for HOST_FAILED. */
void host_memory_tell(struct host_memory *memory, const struct host_key *key, int64_t now_ms,
    bool probing, enum host_news news, const char *how);

#endif
