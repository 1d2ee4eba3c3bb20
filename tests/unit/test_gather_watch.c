/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A watch of the gathering learns what it waits for, and can end it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/gather_world.h"

static struct {
	char heard[200];	/* "dns address tlsa " */
	const char *leaves_at;	/* NULL: stays to the end */
} watcher;

static bool
ended(void *context, const char *what)
{
	(void)context;
	strcat(watcher.heard, what);
	strcat(watcher.heard, " ");
	return watcher.leaves_at != NULL && strcmp(watcher.leaves_at, what) == 0;
}

static const struct gather_watch watch = { ended, NULL };

static const char *
heard(struct deadline *left)
{
	struct gatherer watched = gatherer;
	struct facts *facts;

	watched.watch = &watch;
	watcher.heard[0] = '\0';
	(void)gather_plan(&watched, arena, "example.com", NULL, deadline_in(60 * 1000), &facts);
	*left = world.left;
	return watcher.heard;
}

static void
publish(void)
{
	add_mx(add("example.com", DNS_MX, DNS_SECURE), 10, "mx.example");
	add_host("mx.example", DNS_SECURE, DNS_SECURE);
	conf.dns.private_addresses = true;
	watcher.leaves_at = NULL;
}

static void
test_what_is_waited_for(void **state)
{
	struct deadline left;

	(void)state;
	publish();
	assert_string_equal(heard(&left), "dns address ");
	conf.dane.enforce = ENFORCE_ON;
	assert_string_equal(heard(&left), "dns address tlsa ");
	conf.sts.enforce = ENFORCE_OFF;
	assert_string_equal(heard(&left), "mx address tlsa ");
	conf.sts.enforce = ENFORCE_ON;
	world.fetch_waits = 5;	/* looked for before and after each wait */
	assert_string_equal(heard(&left), "dns address tlsa policy policy policy ");
	assert_false(deadline_passed(left));
	world.sts.state = STS_TXT_BOGUS;
	assert_string_equal(heard(&left), "dns address tlsa txt ");
}

/* The policy that a recheck announces is awaited like the rest. */
static void
test_what_is_found_at_last_is_waited_for(void **state)
{
	struct deadline left;

	(void)state;
	publish();
	world.sts.state = STS_TXT_BOGUS;
	world.sts_anew.state = STS_UNKNOWN;
	world.recheck_news = true;
	world.fetch_waits_again = 5;
	assert_string_equal(heard(&left), "dns address txt policy policy policy ");
	assert_false(deadline_passed(left));
	world.fetch_waits_again = 1000;
	watcher.leaves_at = "policy";
	assert_string_equal(heard(&left), "dns address txt policy ");
	assert_true(deadline_passed(left));
}

static void
test_a_relay_has_no_mx_records(void **state)
{
	struct deadline left;

	(void)state;
	publish();
	configure("example.com");
	destination.relay_host = (char[]){ "relay.example" };
	add_host("relay.example", DNS_SECURE, DNS_SECURE);
	assert_string_equal(heard(&left), "txt address ");
}

/* The rest is as at the deadline: nothing more is waited for. */
static void
test_nobody_waits_any_more(void **state)
{
	struct deadline left;

	(void)state;
	publish();
	world.fetch_waits = 1000;
	watcher.leaves_at = "policy";
	assert_string_equal(heard(&left), "dns address policy ");
	assert_true(deadline_passed(left));
	watcher.leaves_at = "address";
	assert_string_equal(heard(&left), "dns address ");
	assert_true(deadline_passed(left));
	watcher.leaves_at = "txt";
	world.fetch_waits = 0;
	world.sts.state = STS_TXT_BOGUS;
	world.calls[0] = '\0';
	assert_string_equal(heard(&left), "dns address txt ");
	assert_null(strchr(world.calls, 'k'));
}

static void
test_a_refresh_is_watched(void **state)
{
	struct gatherer watched = gatherer;
	struct sts_facts sts;

	(void)state;
	watched.watch = &watch;
	watcher.heard[0] = '\0';
	watcher.leaves_at = NULL;
	world.fetch_waits = 3;
	assert_int_equal(gather_refresh(&watched, arena, "example.com", deadline_in(60 * 1000),
			     &sts),
	    0);
	assert_string_equal(watcher.heard, "policy policy ");
	world.fetch_waits = 1000;
	watcher.leaves_at = "policy";
	assert_int_equal(gather_refresh(&watched, arena, "example.com", deadline_in(60 * 1000),
			     &sts),
	    -1);
	assert_string_equal(watcher.heard, "policy policy policy ");
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_what_is_waited_for),
		TEST(test_what_is_found_at_last_is_waited_for),
		TEST(test_a_relay_has_no_mx_records),
		TEST(test_nobody_waits_any_more),
		TEST(test_a_refresh_is_watched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
