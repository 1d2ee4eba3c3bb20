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
 * with them. Any thread. Locks: that of keep before that of slots.
 */
#ifndef SHIM_SMTP_CONN_CACHE_H
#define SHIM_SMTP_CONN_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/ip.h"
#include "policy/proof.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/smtp_client.h"

struct keep;

struct keep_rules {
	int64_t idle_ms;	/* 0: nothing is kept */
	int64_t time_ms;	/* since it was dialled */
	unsigned messages;
};

struct keep *keep_new(const struct keep_rules *rules, struct slots *slots);
/* Closes all that are idle. */
void keep_clear(struct keep *keep);
void keep_set_rules(struct keep *keep, const struct keep_rules *rules);	/* for what is kept next */
/* Closes all that are idle; from now on none is kept. */
void keep_stop(struct keep *keep);
void keep_free(struct keep *keep);	/* NULL is allowed */

struct kept {
	struct smtp_client client;	/* stream, features and state; the rest is the visit's */
	struct proof proof;
	int64_t dialled_ms;	/* monotonic */
	int64_t measured_s;	/* wall clock, when the proof's certificate was measured */
	unsigned messages;	/* served so far */
};

/* The caller has a slot, and has finished with its connection for now. true: it waits for the next
 * message, and the slot is given back. false: it may not be kept; connection and slot stay the
 * caller's. */
bool keep_put(struct keep *keep, const char *key, const struct ip *ip, const char *domain,
    const struct kept *kept);
/* The caller has a slot: the connection of this key that was used last, and is alive as far as is
 * visible without a command. It is now the caller's. */
bool keep_take(struct keep *keep, const char *key, struct kept *kept);
/* The caller has a slot and is about to dial. */
void keep_make_room(struct keep *keep, const struct ip *ip, const char *domain,
    unsigned domain_limit);

/* QUIT and close; kept->client is used up. */
void keep_close(struct kept *kept);

#endif
