/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Shared by the tests of the policy cache: a cache on a real store in a directory of its own, with
 * DNS, HTTPS and the clocks made up. TXT says what world.txt says, every policy host serves what
 * world.body says, and time passes when told.
 */
#ifndef TESTS_UNIT_STS_WORLD_H
#define TESTS_UNIT_STS_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/http.h"
#include "policy/facts/sts_cache.h"

#define DAY	(24 * 3600)
#define START	1700000000
#define ENFORCE	"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 864000\n"
#define OTHER	"version: STSv1\nmode: enforce\nmx: other.example\nmax_age: 864000\n"
#define TESTING	"version: STSv1\nmode: testing\nmx: mx.example\nmax_age: 864000\n"
#define NONE	"version: STSv1\nmode: none\nmax_age: 864000\n"
#define ONCE	"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 0\n"

struct world {
	pthread_mutex_t lock;
	enum dns_state txt_state;
	bool exists;
	const char *txt;	/* NULL: no record */
	const char *txt_afresh;	/* past the cache; NULL: as txt */
	enum dns_state host_state;	/* of the policy host's addresses */
	bool host_not_asked;	/* failed by our own doing */
	enum http_outcome outcome;
	long status;
	int x509_error;
	const char *content_type, *body;
	unsigned fetch_ms;	/* how long a fetch takes */
	atomic_bool stopped;	/* HTTP is: fetches end at once */
	int64_t wall, count;	/* both clocks */
	int boot;	/* which run of the machine */
	atomic_uint fetches, questions, afresh, forgets;
	char url[300];
};
extern struct world world;

struct fixture {
	char directory[64];
	struct conf conf;
	struct store *store;
	struct sts_cache *cache;
	struct arena *arena;
};

int setup(void **state);
int teardown(void **state);
void open_cache(struct fixture *fixture);
void free_cache(struct sts_cache *cache);	/* as at the end of the process */
void restart(struct fixture *fixture);
void reboot(struct fixture *fixture, int64_t off);	/* the wall clock runs on meanwhile */
void pass(int64_t seconds);	/* on both clocks */
void step(int64_t seconds);	/* on the wall clock alone */
void wait_fetched(void); /* until what was fetched is kept: no thread but the test's is left */

/* Of example.com. */
const struct sts_facts *get(struct fixture *fixture);
void assert_policy(const struct sts_facts *sts, const char *id, enum sts_mode mode,
    bool from_cache);
void assert_finding(const struct sts_facts *sts, enum result_type type, const char *reason);

#endif
