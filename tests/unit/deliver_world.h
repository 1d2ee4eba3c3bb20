/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One delivery to scripted hosts, for tests. With deliver_plan.c the first plan is given by the
 * test; everything else is as in the daemon. With gather_world.c the plans are made as in the
 * daemon, from answers of the DNS and the policy cache that the test gives. All hosts are one peer
 * on loopback, which tells connections apart by their order.
 */
#ifndef TESTS_UNIT_DELIVER_WORLD_H
#define TESTS_UNIT_DELIVER_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/conf/conf.h"
#include "policy/plan.h"
#include "shim/message/txn.h"
#include "shim/smtp/deliver.h"
#include "tests/unit/peer.h"

#define WORLD_HOSTS	4

struct world {
	/* Set by world_init(), and the test's to change before world_deliver(). */
	struct conf conf;
	struct plan plan;
	struct plan_host hosts[WORLD_HOSTS];
	const char *sender, *content;
	size_t content_length;	/* 0: strlen(content) */
	bool smtputf8;
	enum sender_wish wish;
	int64_t time_ms;	/* of the transaction */
	const char *abandon_after; /* once a host has heard this the MTA hangs up; NULL: it stays */
	bool gone;	/* the MTA hung up before this group had its turn: there is no plan */
	struct conn_limit *conn_limit;
	unsigned before; /* messages to before@example.net that go first, and on whose connections
				   the one of the test may go */
	struct host_backoff *host_backoff;	/* the test's own; NULL: nothing is remembered */
	const char *sigalgs;	/* of the peer, see struct peer_tls */
	int max_version;
	struct conf_destination destination;	/* in force with conf.destination_count 1 */

	/* Results, until world_free(). */
	struct arena *arena;
	struct peer *peer;
	struct txn *txn;
	struct rcpt *rcpts;
	const char *heard;	/* peer_heard() */
	unsigned connections;
	int64_t took_ms;
	struct buf log;	/* only with world_deliver_logged() */
};

extern const struct plan *world_plan;	/* of the world that delivers */

int world_begin(void **state);	/* group setup: certificates, trust store */
int world_end(void **state);

/* count hosts mx1.example.net and so on, opportunistic, one message to someone@example.net. */
void world_init(struct world *world, size_t host_count);
/* Host number index demands a verified certificate. */
void world_enforce(struct world *world, size_t index, bool enforce);
/* Delivers to recipients, a list that ends with NULL, or to someone@example.net. */
void world_deliver(struct world *world, const char *const *const *scripts,
    const char *const *recipients);
void world_deliver_logged(struct world *world, const char *const *const *scripts,
    const char *const *recipients);
/*
 * For time-outs of the code under test: the first time is short, so that tests are quick. On a busy
 * machine it may cut off what was only late, and then the same story is told again with more time:
 *
 *	for (ms = WORLD_SHORT_MS; ; ms *= 8) {
 *		... a world whose time-out is ms ...
 *		if (ms > WORLD_LONG_MS || it went as it should)
 *			break;
 *		world_free(&world);
 *	}
 */
#define WORLD_SHORT_MS	150
#define WORLD_LONG_MS	5000
/* Did the first recipient hear what starts so, after that many connections? */
bool world_went(const struct world *world, const char *reply, unsigned connections);

/* "250 2.0.0 text" of a recipient. */
const char *world_reply(const struct world *world, size_t rcpt);
bool world_was_content_heard(const struct world *world);
void world_free(struct world *world);

#define WORLD_SCRIPT(...)	\
	(const char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}
#define WORLD_SCRIPTS(...)	\
	(const char *const *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

#define HELLO	"S 220 mx ESMTP", "C EHLO out.example.org", "S 250-mx", "S 250 PIPELINING"
#define MAIL_TO_DATA	\
	"C MAIL FROM:<sender@example.org>", "S 250 2.1.0 Ok", "C RCPT TO:<someone@example.net>", \
	    "S 250 2.1.5 Ok", "C DATA", "S 354 Go on"
#define TAKE	MAIL_TO_DATA, "D", "S 250 2.0.0 Ok: queued as 1", "C QUIT"
#define TO_STARTTLS	\
	"S 220 mx ESMTP", "C EHLO out.example.org", "S 250-mx", "S 250 STARTTLS", "C STARTTLS"
#define HELLO_TLS	\
	TO_STARTTLS, "S 220 2.0.0 Go ahead", "T", "C EHLO out.example.org", "S 250-mx", \
	    "S 250 PIPELINING"

#endif
