/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What the parts of the resolver share: resolver.c asks, resolver_shared.c holds engines for as
 * long as they are asked, resolver_test.c tests the servers and chooses the path.
 */
#ifndef POLICY_DNS_RESOLVER_INSIDE_H
#define POLICY_DNS_RESOLVER_INSIDE_H

#include <pthread.h>

#include "policy/dns/resolver.h"
#include "policy/dns/resolver_answers.h"
#include "policy/dns/resolver_engine.h"
#include "policy/dns/resolver_files.h"
#include "policy/dns/resolver_setup.h"
#include "policy/dns/resolver_watch.h"

/* An engine and how many use it: the resolver's own use, and one for each running question. */
struct resolver_shared {
	struct resolver_engine *engine;
	struct resolver_engine *servers;	/* not validating, while bypassed; or NULL */
	struct resolver_sites *sites;	/* names that are still asked at the servers */
	struct resolver_answers *answers;	/* NULL for one that is asked past all caches */
	unsigned users;	/* under the resolver's lock */
	int64_t made_ms;
};

/* NULL with why. small: little is kept, and no answers. */
struct resolver_shared *resolver_shared_new(const struct conf *conf,
    const struct resolver_servers *servers, enum resolver_path path, bool small, char *why,
    size_t why_room);
bool resolver_shared_is_dead(const struct resolver_shared *shared);
void resolver_shared_cancel(struct resolver_shared *shared);	/* NULL is allowed */
/* With the resolver's lock held. Gives what is to be freed, without the lock, or NULL. */
struct resolver_shared *resolver_shared_release(struct resolver_shared *shared);
void resolver_shared_free(struct resolver_shared *shared);	/* NULL is allowed */
/* Asks for what was not answered a moment ago. Without the lock. */
void resolver_shared_ask(struct resolver_shared *shared, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline);

struct resolver {
	const struct conf *conf;	/* under the lock, as it may be replaced */
	const char *resolv_conf;
	struct resolver_anchors anchors;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct resolver_shared *engine;	/* that answers questions */
	unsigned engines;	/* there have been */
	struct resolver_shared *fresh;	/* for questions past the cache, or NULL */
	bool fresh_is_stale;	/* it uses an earlier path */
	struct resolver_shared *probed;	/* by the self-test, or NULL */
	struct resolver_servers servers;	/* the configured ones */
	unsigned server_lists;	/* there have been */
	enum resolver_path path;	/* of engine */
	struct resolver_file resolv_conf_seen;
	int64_t next_look_ms;	/* at resolv.conf */
	int64_t next_revival_ms, revival_ms;	/* of an engine that is dead: when, and how long
						   after the last */
	enum resolver_health health;
	char why[DNS_WHY_MAX];	/* what the self-test has seen, unless all is well */
	struct resolver_watch watch;
	unsigned tests;	/* self-tests that have ended */
	bool stop;
	bool testing;	/* the thread exists */
	pthread_t tester;
	struct buf setup;	/* resolver_files_describe(); of the thread that loads */
};

/* With the lock held: from now on questions go to engine. Gives what is to be freed. */
struct resolver_shared *resolver_switch(struct resolver *resolver, struct resolver_shared *engine,
    enum resolver_path path);

int resolver_test_start(struct resolver *resolver);	/* the thread; 0 or an errno */
/* With the lock held, which is given up meanwhile: until no self-test is due or running. */
void resolver_test_await(struct resolver *resolver, struct deadline deadline);

#endif
