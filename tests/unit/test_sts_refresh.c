/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What the policy cache does by itself, and what it makes of clocks that step.
 */
#include "config.h"

#include <unistd.h>

#include "tests/unit/sts_world.h"

/* Ticks until fetches have been made, or for a while. */
static void
tick_until(struct fixture *fixture, unsigned fetches)
{
	struct deadline deadline = deadline_in(30000);

	do {
		sts_cache_tick(fixture->cache, deadline_in(1000));
		usleep(10 * 1000);
	} while (world.fetches < fetches && !deadline_passed(deadline));
	usleep(50 * 1000);	/* for the last one to be kept */
}

static void
tick_some(struct fixture *fixture)
{
	for (int i = 0; i < 5; i++) {
		sts_cache_tick(fixture->cache, deadline_in(1000));
		usleep(10 * 1000);
	}
}

/* F9, F12, F13 */
static void
test_background_refresh(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	pass(DAY / 2 - 1);
	tick_some(fixture);
	assert_int_equal(world.fetches, 1);	/* lately updated */
	pass(DAY / 2 + 1);
	world.body = OTHER;
	tick_until(fixture, 2);
	tick_some(fixture);
	assert_int_equal(world.fetches, 2);
	assert_string_equal(get(fixture)->policy->mx[0], "other.example");
	assert_int_equal(get(fixture)->fetched, START + DAY);
	pass(DAY);
	world.status = 500;
	tick_until(fixture, 3);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	tick_some(fixture);
	assert_int_equal(world.fetches, 3);	/* in back-off */
	pass(300 + 75);
	world.status = 200;
	restart(fixture);	/* the due time lives in the store */
	tick_until(fixture, 4);
	assert_int_equal(world.fetches, 4);
	assert_int_equal(get(fixture)->fetched, world.wall);
}

/* Only a proven absence lets a policy run out; one that may be forged does not. */
static void
test_refresh_without_txt(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	world.txt = NULL;
	pass(DAY);
	tick_until(fixture, 2);
	assert_int_equal(world.fetches, 2);
	world.txt_state = DNS_FAILED;
	pass(DAY);
	tick_until(fixture, 3);
	assert_int_equal(world.fetches, 3);
	world.txt_state = DNS_SECURE;
	for (int i = 0; i < 8; i++) {
		pass(DAY);
		tick_some(fixture);
	}
	assert_int_equal(world.fetches, 3);
	world.txt_state = DNS_INSECURE;
	pass(DAY);
	tick_until(fixture, 4);
	assert_int_equal(world.fetches, 4);	/* it was only put off */
	pass(DAY);
	world.txt = "v=STSv1; id=two;";
	tick_until(fixture, 5);
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
}

static void
test_idle_policies_are_not_refreshed(void **state)
{
	struct fixture *fixture = *state;
	struct sts_entry entry;

	world.body = "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 31557600\n";
	get(fixture);
	pass(181 * DAY);
	tick_some(fixture);
	assert_int_equal(world.fetches, 1);
	assert_int_equal(sts_cache_peek(fixture->cache, fixture->arena, "example.com", &entry),
	    STORE_OK);
	assert_int_equal(entry.refresh, 0);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);	/* kept to its end */
	pass(DAY);
	tick_until(fixture, 2);	/* and refreshed from then on */
	assert_int_equal(world.fetches, 2);
}

static void
test_expired_policies_are_not_refreshed(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	pass(11 * DAY);
	tick_some(fixture);
	assert_int_equal(world.fetches, 1);
}

static void
test_many_due_at_once(void **state)
{
	enum { COUNT = 60 };
	struct fixture *fixture = *state;
	struct sts_facts sts;

	for (int i = 0; i < COUNT; i++)
		sts_cache_get(fixture->cache, fixture->arena,
		    arena_printf(fixture->arena, "d%d.example", i), deadline_in(5000), &sts);
	assert_int_equal(world.fetches, COUNT);
	pass(DAY + 1);
	world.fetch_ms = 400;
	sts_cache_tick(fixture->cache, deadline_in(30000));
	usleep(20 * 1000);
	assert_in_range(world.fetches, COUNT + 1, COUNT + 16);	/* a few at a time */
	tick_until(fixture, 2 * COUNT);
	usleep(100 * 1000);
	tick_some(fixture);
	assert_int_equal(world.fetches, 2 * COUNT);
}

/* The wall clock leaps a century ahead and comes back: nothing is forgotten. */
static void
test_clock_steps_forward(void **state)
{
	struct fixture *fixture = *state;
	const struct sts_facts *sts;

	get(fixture);
	world.wall += 36500LL * DAY;
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	sts_cache_tick(fixture->cache, deadline_in(0));
	assert_int_equal(store_purge(fixture->store, STORE_POLICIES, sts_cache_clock(fixture->cache)), STORE_OK);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	world.txt_state = DNS_INSECURE;
	world.txt = "v=STSv1; id=two;";
	sts = get(fixture);
	assert_policy(sts, "two", STS_MODE_ENFORCE, false);
	world.wall -= 36500LL * DAY;
	restart(fixture);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
	pass(DAY);
	tick_until(fixture, 3);
	assert_int_equal(get(fixture)->fetched, START + DAY);
}

/* Started a century ahead: what was fetched then has a date that cannot be true, and gets another
 * as soon as it is used. */
static void
test_started_with_a_clock_ahead(void **state)
{
	struct fixture *fixture = *state;

	world.wall += 36500LL * DAY;
	restart(fixture);
	get(fixture);
	world.wall = START;
	restart(fixture);
	world.txt_state = DNS_FAILED;
	tick_some(fixture);
	assert_int_equal(world.fetches, 1);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	tick_until(fixture, 2);
	assert_int_equal(get(fixture)->fetched, START);
}

static void
test_clock_steps_back(void **state)
{
	struct fixture *fixture = *state;

	world.wall = 0;	/* started without a battery */
	restart(fixture);
	get(fixture);
	world.wall = START;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	world.txt = "v=STSv1; id=two;";
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, false);
	restart(fixture);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
}

static void
test_grace_with_a_clock_that_steps(void **state)
{
	struct fixture *fixture = *state;

	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	world.wall += 7200;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	world.wall -= 2 * 7200;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(7200 + 3600);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_background_refresh),
		TEST(test_refresh_without_txt),
		TEST(test_idle_policies_are_not_refreshed),
		TEST(test_expired_policies_are_not_refreshed),
		TEST(test_many_due_at_once),
		TEST(test_clock_steps_forward),
		TEST(test_started_with_a_clock_ahead),
		TEST(test_clock_steps_back),
		TEST(test_grace_with_a_clock_that_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
