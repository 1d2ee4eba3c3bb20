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

#define HOST_BACKOFF_TEXT	200

struct host_backoff;

struct host_backoff *host_backoff_new(int64_t retry_ms);
/* For failures to come. */
void host_backoff_set_retry(struct host_backoff *backoff, int64_t retry_ms);
void host_backoff_free(struct host_backoff *backoff);	/* NULL is allowed */

/* The mail for which an address failed. Each includes less mail than the one before. */
enum host_backoff_scope {
	HOST_BACKOFF_NONE,	/* no mail: the host is not the cause */
	HOST_BACKOFF_ALL,
	HOST_BACKOFF_NEXT_HOP,	/* mail for one next-hop domain */
	HOST_BACKOFF_SENDER	/* the same, from one sender's domain */
};

/* From where to where, and with what mail. */
struct host_backoff_key {
	struct ip ip;
	uint16_t port;
	struct ip source;	/* all zero when the system chooses */
	const char *next_hop;	/* the domain */
	const char *sender;	/* its domain, in any case; "" for the null sender */
};

/* Why an address is skipped. */
struct host_backoff_note {
	enum host_backoff_scope scope;
	unsigned failures;	/* in a row */
	int64_t wait_ms;	/* until it may be probed; 0: it is being probed */
	char last[HOST_BACKOFF_TEXT];	/* how it failed the last time */
};

/* Is it skipped now? Then fills note. Claims nothing. */
bool host_backoff_passes(struct host_backoff *backoff, const struct host_backoff_key *key,
    int64_t now_ms, struct host_backoff_note *note);
/* Which of the failures that are remembered a delivery probes. */
struct host_backoff_probe {
	bool of[HOST_BACKOFF_SENDER + 1];
};

/* As host_backoff_passes(), for a delivery that tries the address at once when it is not passed
 * over: with false it has to tell what came of it, and to hand *probe back. */
bool host_backoff_claim(struct host_backoff *backoff, const struct host_backoff_key *key,
    int64_t now_ms, struct host_backoff_probe *probe, struct host_backoff_note *note);

/* It serves mail of this scope, and the delivery continues: failures of this scope and those before
 * it are cleared, so that no other mail waits for a long message. */
void host_backoff_serves(struct host_backoff *backoff, const struct host_backoff_key *key,
    struct host_backoff_probe *probe, enum host_backoff_scope served);

/* The result of an attempt. */
struct host_backoff_news {
	enum host_backoff_scope served;	/* failures of this scope and those before it are cleared */
	enum host_backoff_scope failed;
	const char *how;	/* it failed; else NULL */
};
void host_backoff_tell(struct host_backoff *backoff, const struct host_backoff_key *key,
    int64_t now_ms, const struct host_backoff_probe *probe, const struct host_backoff_news *news);

#endif
