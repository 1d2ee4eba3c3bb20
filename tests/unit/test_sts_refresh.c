/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The background work of the policy cache, and its reaction to clock steps.
 */
#include "config.h"

#include <unistd.h>

#include "base/alarm.h"
#include "base/metrics.h"
#include "tests/unit/sts_world.h"

/* Ticks until fetches have been made, or for a while. */
static void
tick_until(struct fixture *fixture, unsigned fetches)
{
	struct deadline deadline = deadline_in(30000);

	do {
		sts_cache_maintain(fixture->cache, deadline_in(1000));
		usleep(10 * 1000);
	} while (world.fetches < fetches && !deadline_passed(deadline));
	wait_fetched();
}

static void
tick_some(struct fixture *fixture)
{
	for (int i = 0; i < 5; i++) {
		sts_cache_maintain(fixture->cache, deadline_in(1000));
		wait_fetched();
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
	sts_cache_maintain(fixture->cache, deadline_in(30000));
	while (world.fetches == COUNT)
		usleep(1000);
	assert_in_range(world.fetches, COUNT + 1, COUNT + 16);	/* a few at a time */
	tick_until(fixture, 2 * COUNT);
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
	pass(10);
	step(36500LL * DAY);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	world.forgets = 0;
	for (int i = 0; i < 3; i++)
		sts_cache_maintain(fixture->cache, deadline_in(0));
	assert_int_equal(world.forgets, 1);	/* answers that live by the wall clock */
	assert_true(alarm_stands(ALARM_CLOCK, ""));
	sts_cache_purge(fixture->cache);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	world.txt_state = DNS_INSECURE;
	world.txt = "v=STSv1; id=two;";
	sts = get(fixture);
	assert_policy(sts, "two", STS_MODE_ENFORCE, false);
	assert_int_equal(sts->fetched, world.wall);
	step(-36500LL * DAY);
	restart(fixture);
	sts_cache_maintain(fixture->cache, deadline_in(0));
	assert_false(alarm_stands(ALARM_CLOCK, ""));
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
	pass(DAY);
	tick_until(fixture, 3);
	assert_int_equal(get(fixture)->fetched, START + 10 + DAY);
}

/* The restart is no way around it: the store knows how the clocks stood. */
static void
test_clock_steps_over_a_restart(void **state)
{
	static const int64_t steps[] = { 25 * 3600, -25 * 3600, 36500LL * DAY, -START };
	struct fixture *fixture = *state;

	get(fixture);
	world.txt = NULL;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		step(steps[i]);
		restart(fixture);
		sts_cache_maintain(fixture->cache, deadline_in(0));
		assert_true(alarm_stands(ALARM_CLOCK, ""));
		assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
		assert_int_equal(get(fixture)->fetched, world.wall);
		step(-steps[i]);
		sts_cache_maintain(fixture->cache, deadline_in(0));
		assert_false(alarm_stands(ALARM_CLOCK, ""));
	}
	step(-25 * 3600);
	restart(fixture);
	pass(10 * DAY - 1);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	pass(1);
	assert_int_equal(get(fixture)->state, STS_NONE);
}

/* Without a battery, and set right later: neither forgotten nor kept for ever. */
static void
test_booted_with_a_dead_clock(void **state)
{
	struct fixture *fixture = *state;

	restart(fixture);
	get(fixture);
	world.txt = NULL;
	reboot(fixture, 600 - START);
	sts_cache_maintain(fixture->cache, deadline_in(0));
	assert_true(alarm_stands(ALARM_CLOCK, ""));
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	step(START);
	sts_cache_maintain(fixture->cache, deadline_in(0));
	assert_false(alarm_stands(ALARM_CLOCK, ""));
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	pass(10 * DAY);
	assert_int_equal(get(fixture)->state, STS_NONE);
}

/* Years ahead at first: what looks as if it were over is not deleted, and holds again. */
static void
test_booted_with_a_clock_ahead(void **state)
{
	struct fixture *fixture = *state;

	restart(fixture);
	get(fixture);
	world.txt = NULL;
	reboot(fixture, 3650LL * DAY);
	sts_cache_purge(fixture->cache);
	tick_some(fixture);
	assert_int_equal(get(fixture)->state, STS_NONE);
	step(-3650LL * DAY);
	sts_cache_maintain(fixture->cache, deadline_in(0));
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	alarm_end(ALARM_CLOCK, "", "next test");
}

static void
test_off_for_longer_than_max_age(void **state)
{
	struct fixture *fixture = *state;

	restart(fixture);
	get(fixture);
	world.txt = NULL;
	reboot(fixture, 10 * DAY - 1);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	reboot(fixture, 2);
	assert_int_equal(get(fixture)->state, STS_NONE);
}

/* A store that lost its anchor, and a clock that was a century ahead: the policy has a date that
 * cannot be true, and gets another one as soon as it is used. */
static void
test_fetched_in_the_future(void **state)
{
	struct fixture *fixture = *state;

	step(36500LL * DAY);
	store_delete(fixture->store, STORE_CLOCK, "anchor", STORE_SYNC);
	free_cache(fixture->cache);
	store_delete(fixture->store, STORE_CLOCK, "anchor", STORE_SYNC);
	store_close(fixture->store);
	open_cache(fixture);
	get(fixture);
	free_cache(fixture->cache);
	store_delete(fixture->store, STORE_CLOCK, "anchor", STORE_SYNC);
	store_close(fixture->store);
	step(START - world.wall);
	open_cache(fixture);
	world.txt_state = DNS_FAILED;
	tick_some(fixture);
	assert_int_equal(world.fetches, 1);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	assert_int_equal(get(fixture)->expires, START + 10 * DAY);
	tick_until(fixture, 2);
	assert_int_equal(get(fixture)->fetched, START);
}

/* However the wall clock is set, a refresh is due by the time that passes. */
static void
test_refreshes_keep_their_time(void **state)
{
	static const int64_t steps[] = { 3 * DAY, -6 * DAY, 36500LL * DAY, -36503LL * DAY, DAY };
	struct fixture *fixture = *state;

	get(fixture);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		step(steps[i]);
		pass(3600);
		tick_some(fixture);
		restart(fixture);
		tick_some(fixture);
	}
	assert_int_equal(world.fetches, 1);
	pass(DAY - 5 * 3600);
	tick_until(fixture, 2);
	step(-3 * DAY);
	tick_some(fixture);
	assert_int_equal(world.fetches, 2);
	alarm_end(ALARM_CLOCK, "", "next test");
}

/* For any due time in the store. */
static void
test_no_refresh_within_the_retry_interval(void **state)
{
	struct fixture *fixture = *state;

	fixture->conf.sts.refresh_interval = 1000;
	restart(fixture);
	get(fixture);
	for (int i = 0; i < 20; i++) {
		pass(100);
		tick_some(fixture);
	}
	assert_in_range(world.fetches, 2, 1 + 2000 / 300);
}

static void
test_grace_with_a_clock_that_steps(void **state)
{
	struct fixture *fixture = *state;

	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	step(7200);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	step(-DAY);
	restart(fixture);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(3599);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(1);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
}

/* A policy that ends while its host cannot be reached is an alarm until there is one again. */
static void
test_a_policy_runs_out(void **state)
{
	struct fixture *fixture = *state;
	int64_t before = metrics_get(METRIC_POLICY_ALARMS, "ran-out", NULL);

	get(fixture);
	world.outcome = HTTP_UNREACHABLE;
	for (int day = 0; day < 10; day++) {
		assert_false(alarm_stands(ALARM_RAN_OUT, "example.com"));
		pass(DAY);
		tick_until(fixture, world.fetches);
		tick_some(fixture);
	}
	assert_true(alarm_stands(ALARM_RAN_OUT, "example.com"));
	assert_int_equal(get(fixture)->state, STS_FETCH_FAILED);
	assert_int_equal(metrics_get(METRIC_POLICY_ALARMS, "ran-out", NULL), before + 1);
	world.outcome = HTTP_ANSWERED;
	world.txt = "v=STSv1; id=two;";
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, false);
	assert_false(alarm_stands(ALARM_RAN_OUT, "example.com"));
}

static void
test_what_is_no_running_out(void **state)
{
	static const struct {
		const char *name, *body;
		int64_t idle;
	} cases[] = {
		{ "testing", TESTING, 0 },
		{ "idle", "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 31557600\n",
		    366 * DAY },
		{ "short", "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 60\n", 0 },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world.body = cases[i].body;
		get(fixture);
		pass(cases[i].idle > 0 ? cases[i].idle : 10 * DAY + 1);
		tick_some(fixture);
		if (alarm_stands(ALARM_RAN_OUT, "example.com"))
			fail_msg("%s", cases[i].name);
	}
}

/* Other ends of the alarm than a fetch: on request, or by the domain's own record. */
static void
test_running_out_is_settled(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 2; i++) {
		world.txt = "v=STSv1; id=one;";
		world.txt_state = DNS_INSECURE;
		get(fixture);
		pass(10 * DAY);
		tick_some(fixture);
		assert_true(alarm_stands(ALARM_RAN_OUT, "example.com"));
		world.txt = NULL;
		get(fixture);
		assert_true(alarm_stands(ALARM_RAN_OUT, "example.com"));
		world.txt_state = DNS_SECURE;
		if (i == 0)
			sts_cache_forget(fixture->cache, "example.com");
		else
			get(fixture);
		assert_false(alarm_stands(ALARM_RAN_OUT, "example.com"));
	}
}

static void
test_every_fetch_fails(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts;

	world.outcome = HTTP_UNREACHABLE;
	for (int i = 0; i < 5; i++) {
		assert_false(alarm_stands(ALARM_FETCH_OUTAGE, ""));
		sts_cache_get(fixture->cache, fixture->arena,
		    arena_printf(fixture->arena, "d%d.example", i), deadline_in(5000), &sts);
		assert_int_equal(sts.state, STS_FETCH_FAILED);
	}
	assert_true(alarm_stands(ALARM_FETCH_OUTAGE, ""));
	world.outcome = HTTP_ANSWERED;
	get(fixture);
	assert_false(alarm_stands(ALARM_FETCH_OUTAGE, ""));
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
		TEST(test_clock_steps_over_a_restart),
		TEST(test_booted_with_a_dead_clock),
		TEST(test_booted_with_a_clock_ahead),
		TEST(test_off_for_longer_than_max_age),
		TEST(test_fetched_in_the_future),
		TEST(test_refreshes_keep_their_time),
		TEST(test_no_refresh_within_the_retry_interval),
		TEST(test_a_policy_runs_out),
		TEST(test_what_is_no_running_out),
		TEST(test_running_out_is_settled),
		TEST(test_every_fetch_fails),
		TEST(test_grace_with_a_clock_that_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
