/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Connections between two messages: which one may the next message take over (smtp.keep-idle,
 * keep-messages, keep-time)? The taker judges it again; here it only waits, under a key that names
 * everything that must be the same, and a thread of its own closes it in time.
 *
 * While it waits it holds no slot, so that it keeps nobody from connecting. But it is a connection
 * all the same: whoever dials makes room first, and then idle ones are closed until the limits hold
 * with them. Any thread. Locks: that of conn_cache before that of conn_limit.
 */
#ifndef SHIM_SMTP_CONN_CACHE_H
#define SHIM_SMTP_CONN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "policy/proof.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/smtp_client.h"

struct conn_cache;

struct conn_cache_rules {
	int64_t idle_ms;	/* 0: nothing is kept */
	int64_t time_ms;	/* since it was dialled */
	unsigned messages;
};

struct conn_cache *conn_cache_new(const struct conn_cache_rules *rules, struct conn_limit *limit);
/* Closes all that are idle. */
void conn_cache_clear(struct conn_cache *cache);
void conn_cache_set_rules(struct conn_cache *cache,
    const struct conn_cache_rules *rules);	/* for what is kept next */
/* Closes all that are idle; from now on none is kept. */
void conn_cache_stop(struct conn_cache *cache);
void conn_cache_free(struct conn_cache *cache);	/* NULL is allowed */

struct kept {
	struct smtp_client client;	/* stream, features and state; the rest is the attempt's */
	struct proof proof;
	int64_t dialled_ms;	/* monotonic */
	int64_t measured_s;	/* wall clock, when the proof's certificate was measured */
	unsigned messages;	/* served so far */
};

/* The caller has a slot, and has finished with its connection for now. true: it waits for the next
 * message, and the slot is given back. false: it may not be kept; connection and slot stay the
 * caller's. */
bool conn_cache_put(struct conn_cache *cache, const char *key, const struct ip *ip,
    const char *domain, const struct kept *kept);
/* The caller has a slot: the connection of this key that was used last, and is alive as far as is
 * visible without a command. It is now the caller's. */
bool conn_cache_take(struct conn_cache *cache, const char *key, struct kept *kept);
/* The caller has a slot and is about to dial. */
void conn_cache_make_room(struct conn_cache *cache, const struct ip *ip, const char *domain,
    unsigned domain_limit);

/* QUIT and close; kept->client is used up. */
void conn_cache_close(struct kept *kept);

#endif
