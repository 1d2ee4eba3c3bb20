/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which addresses have recently failed, and for which mail, so that deliveries do not wait for them
 * again (smtp.host-retry)? One that failed is skipped for an interval, which doubles with each
 * failure in a row. When it is over, one delivery probes the address while all others still skip
 * it. An address that does not serve, up to its greeting, is skipped by all mail. What fails later
 * may be the doing of one next-hop domain of many that share the host, and counts for that one
 * alone; what is refused at MAIL, for that one and the sender's domain. The table is bounded, and
 * forgets what failed longest ago. Any thread; time is monotonic, in milliseconds, and the
 * caller's.
 */
#ifndef SHIM_SMTP_HOST_BACKOFF_H
#define SHIM_SMTP_HOST_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"

#define HOST_MEMORY_TEXT	200

struct host_memory;

struct host_memory *host_memory_new(int64_t retry_ms);
/* For failures to come. */
void host_memory_set_retry(struct host_memory *memory, int64_t retry_ms);
void host_memory_free(struct host_memory *memory);	/* NULL is allowed */

/* The mail for which an address failed. Each includes less mail than the one before. */
enum host_scope {
	HOST_SCOPE_NONE,	/* no mail: the host is not the cause */
	HOST_SCOPE_ALL,
	HOST_SCOPE_NEXT_HOP,	/* mail for one next-hop domain */
	HOST_SCOPE_SENDER	/* the same, from one sender's domain */
};

/* From where to where, and with what mail. */
struct host_key {
	struct ip ip;
	uint16_t port;
	struct ip source;	/* all zero when the system chooses */
	const char *next_hop;	/* the domain */
	const char *sender;	/* its domain, in any case; "" for the null sender */
};

/* Why an address is skipped. */
struct host_note {
	enum host_scope scope;
	unsigned failures;	/* in a row */
	int64_t wait_ms;	/* until it may be probed; 0: it is being probed */
	char last[HOST_MEMORY_TEXT];	/* how it failed the last time */
};

/* Is it skipped now? Then fills note. Claims nothing. */
bool host_memory_passes(struct host_memory *memory, const struct host_key *key, int64_t now_ms,
    struct host_note *note);
/* Which of the failures that are remembered a delivery probes. */
struct host_probe {
	bool of[HOST_SCOPE_SENDER + 1];
};

/* As host_memory_passes(), for a delivery that tries the address at once when it is not passed
 * over: with false it has to tell what came of it, and to hand *probe back. */
bool host_memory_claim(struct host_memory *memory, const struct host_key *key, int64_t now_ms,
    struct host_probe *probe, struct host_note *note);

/* It serves mail of this scope, and the delivery continues: failures of this scope and those before
 * it are cleared, so that no other mail waits for a long message. */
void host_memory_serves(struct host_memory *memory, const struct host_key *key,
    struct host_probe *probe, enum host_scope served);

/* The result of an attempt. */
struct host_news {
	enum host_scope served;	/* failures of this scope and those before it are cleared */
	enum host_scope failed;
	const char *how;	/* it failed; else NULL */
};
void host_memory_tell(struct host_memory *memory, const struct host_key *key, int64_t now_ms,
    const struct host_probe *probe, const struct host_news *news);

#endif
