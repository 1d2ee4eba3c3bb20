/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Many who ask the policy cache at once (case F14).
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "tests/unit/sts_world.h"

struct asker {
	struct fixture *fixture;
	int64_t patience_ms;
	const char *domain;
	enum sts_state state;
	bool right;
	pthread_t thread;
};

static void *
asker_run(void *context)
{
	struct asker *asker = context;
	struct arena *arena = arena_new();
	struct sts_facts sts;

	sts_cache_get(asker->fixture->cache, arena, asker->domain, deadline_in(asker->patience_ms),
	    &sts);
	asker->state = sts.state;
	asker->right = sts.state == STS_VALID && sts.policy->mx_count == 1 &&
	    strcmp(sts.policy->mx[0], "mx.example") == 0;
	arena_free(arena);
	return NULL;
}

/* F14; the first in the queue leaves early, without effect on the others. */
static void
test_a_thousand_askers_one_fetch(void **state)
{
	enum { COUNT = 1000 };
	static struct asker askers[COUNT];
	struct fixture *fixture = *state;
	pthread_attr_t small;

	world.fetch_ms = 1500;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 * 1024);
	for (int i = 0; i < COUNT; i++) {
		askers[i] = (struct asker){ fixture, i % 10 == 0 ? 50 : 20000, "example.com",
			STS_NONE, false, 0 };
		assert_int_equal(pthread_create(&askers[i].thread, &small, asker_run, &askers[i]),
		    0);
	}
	pthread_attr_destroy(&small);
	for (int i = 0; i < COUNT; i++) {
		pthread_join(askers[i].thread, NULL);
		if (askers[i].patience_ms > 50)
			assert_true(askers[i].right);
		else	/* too early to know is no reason to deliver */
			assert_true(askers[i].right || askers[i].state == STS_UNKNOWN);
	}
	assert_int_equal(world.fetches, 1);
	assert_int_equal(askers[0].state, STS_UNKNOWN);
}

static void
test_a_thousand_askers_one_failure(void **state)
{
	enum { COUNT = 200 };
	static struct asker askers[COUNT];
	struct fixture *fixture = *state;

	world.fetch_ms = 300;
	world.outcome = HTTP_UNREACHABLE;
	for (int i = 0; i < COUNT; i++) {
		askers[i] = (struct asker){ fixture, 20000, "example.com", STS_NONE, false, 0 };
		assert_int_equal(pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]), 0);
	}
	for (int i = 0; i < COUNT; i++) {
		pthread_join(askers[i].thread, NULL);
		assert_int_equal(askers[i].state, STS_FETCH_FAILED);
	}
	assert_int_equal(world.fetches, 1);
}

static unsigned
fetches(void)
{
	unsigned count;

	pthread_mutex_lock(&world.lock);
	count = world.fetches;
	pthread_mutex_unlock(&world.lock);
	return count;
}

/* While the fetch for one id is under way a new id comes: no caller gets the old one's result. */
static void
test_a_new_id_during_a_fetch(void **state)
{
	struct fixture *fixture = *state;
	struct asker first = { fixture, 20000, "example.com", STS_NONE, false, 0 };
	const struct sts_facts *sts;

	world.fetch_ms = 300;
	world.outcome = HTTP_UNREACHABLE;
	assert_int_equal(pthread_create(&first.thread, NULL, asker_run, &first), 0);
	while (fetches() == 0)
		usleep(1000);
	pthread_mutex_lock(&world.lock);
	world.txt = "v=STSv1; id=two;";
	pthread_mutex_unlock(&world.lock);
	sts = get(fixture);
	pthread_join(first.thread, NULL);
	assert_int_equal(first.state, STS_FETCH_FAILED);
	assert_int_equal(sts->state, STS_FETCH_FAILED);
	assert_int_equal(world.fetches, 2);
}

/* Many policy hosts that do not answer: none of them keeps another from being asked in time. */
static void
test_no_fetch_waits_for_its_turn(void **state)
{
	enum { COUNT = 300 };
	struct fixture *fixture = *state;
	char domain[32];

	world.fetch_ms = 60000;
	for (int i = 0; i < COUNT; i++) {
		struct asker asker = { fixture, 1, domain, STS_NONE, false, 0 };

		snprintf(domain, sizeof(domain), "d%d.example", i);
		asker_run(&asker);
		assert_int_equal(asker.state, STS_UNKNOWN);
	}
	while (fetches() < LIMIT_HTTP_TRANSFERS / 2)
		usleep(1000);
	for (int i = 0; i < 200; i++) {
		assert_true(fetches() < LIMIT_HTTP_TRANSFERS);
		usleep(1000);
	}
}

/* The end of the process does not wait for a policy host; what it cut short is no failure. */
static void
test_stopping_does_not_wait(void **state)
{
	struct fixture *fixture = *state;
	struct asker asker = { fixture, 20, "example.com", STS_NONE, false, 0 };
	int64_t began = clock_monotonic_ms();

	world.fetch_ms = 60000;
	assert_int_equal(pthread_create(&asker.thread, NULL, asker_run, &asker), 0);
	pthread_join(asker.thread, NULL);
	assert_int_equal(asker.state, STS_UNKNOWN);
	restart(fixture);
	assert_true(clock_monotonic_ms() - began < 30000);
	world.fetch_ms = 0;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
}

/* A policy is in force and its successor is slow: a message waits for it for two seconds, the next
 * ones do not, and once it has come it is used. */
static void
test_a_slow_new_policy(void **state)
{
	struct fixture *fixture = *state;
	const struct sts_facts *sts;
	int64_t began_ms;

	get(fixture);
	world.txt = "v=STSv1; id=two;";
	world.body = OTHER;
	world.fetch_ms = 4000;
	began_ms = clock_monotonic_ms();
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	assert_in_range(clock_monotonic_ms() - began_ms, 1900, 3500);
	world.txt = "v=STSv1; id=three;";
	began_ms = clock_monotonic_ms();
	sts = get(fixture);
	assert_policy(sts, "one", STS_MODE_ENFORCE, true);
	assert_string_equal(sts->why, "its policy is still being fetched");
	assert_true(clock_monotonic_ms() - began_ms < 1000);
	world.txt = "v=STSv1; id=two;";
	while (strcmp(get(fixture)->policy->id, "two") != 0)
		usleep(50 * 1000);
	assert_int_equal(world.fetches, 2);
	assert_string_equal(get(fixture)->policy->mx[0], "other.example");
}

/* Without one in force there is nothing to go on with. */
static void
test_a_slow_first_policy(void **state)
{
	struct fixture *fixture = *state;

	world.fetch_ms = 3000;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_a_thousand_askers_one_fetch),
		TEST(test_a_thousand_askers_one_failure),
		TEST(test_a_new_id_during_a_fetch),
		TEST(test_no_fetch_waits_for_its_turn),
		TEST(test_stopping_does_not_wait),
		TEST(test_a_slow_new_policy),
		TEST(test_a_slow_first_policy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
