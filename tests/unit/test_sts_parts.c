/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The pure parts of the policy cache: the grace of a failing domain, its backoff,
 * whether all fetches fail.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/facts/cold_failure.h"
#include "policy/facts/sts_backoff.h"
#include "policy/facts/sts_outage.h"

#define T	1700000000
#define DAY	(24 * 3600)

static void
test_failures(void **state)
{
	struct cold_failure_times failures = { 0 };

	(void)state;
	assert_true(cold_failure_add(&failures, T, 3600));
	assert_false(cold_failure_add(&failures, T + 30, 3600));	/* not worth writing */
	assert_true(cold_failure_add(&failures, T + 60, 3600));
	assert_int_equal(failures.first, T);
	assert_int_equal(failures.last, T + 60);
	assert_true(cold_failure_add(&failures, T + 3599, 3600));
	assert_int_equal(failures.given_up, 0);
	assert_true(cold_failure_add(&failures, T + 3600, 3600));	/* worth it at once */
	assert_int_equal(failures.given_up, T + 3600);
	assert_true(cold_failure_add(&failures, failures.last + 14 * DAY - 1, 3600));
	assert_int_equal(failures.given_up, T + 3600);
	assert_true(cold_failure_add(&failures, failures.last + 14 * DAY, 3600));
	assert_int_equal(failures.first, failures.last);
	assert_int_equal(failures.given_up, 0);
	assert_true(cold_failure_add(&failures, failures.last + DAY, 2 * DAY));	/* a day in peace */
	assert_int_equal(failures.first, failures.last);
}

static void
test_failures_from_the_future(void **state)
{
	struct cold_failure_times failures = { T + 100 * DAY, T + 100 * DAY, 0 };

	(void)state;
	assert_true(cold_failure_add(&failures, T, 3600));
	assert_int_equal(failures.first, T);
	failures = (struct cold_failure_times){ T, T + 100 * DAY, 0 };
	assert_true(cold_failure_add(&failures, T + 100, 3600));
	assert_int_equal(failures.first, T);
	assert_int_equal(failures.last, T + 100);
}

static const struct sts_backoff_failure failure = {
	.finding = { RESULT_STS_POLICY_FETCH_ERROR, "http-404" }, .why = "words"
};

static void
test_back_off(void **state)
{
	struct sts_backoff *backoff = sts_backoff_new(10);
	struct sts_backoff_failure known;

	(void)state;
	assert_false(sts_backoff_applies(backoff, "a.example", "1", 0, 300, &known));
	assert_int_equal(sts_backoff_failed(backoff, "a.example", "1", 1000, &failure), 1);
	assert_int_equal(sts_backoff_failed(backoff, "a.example", "1", 1100, &failure), 2);
	assert_true(sts_backoff_applies(backoff, "a.example", "1", 1399, 300, &known));
	assert_string_equal(known.finding.reason, "http-404");
	assert_string_equal(known.why, "words");
	assert_false(sts_backoff_applies(backoff, "a.example", "1", 1400, 300, &known));
	assert_false(sts_backoff_applies(backoff, "a.example", "2", 1399, 300, &known));
	assert_false(sts_backoff_applies(backoff, "b.example", "1", 1399, 300, &known));
	sts_backoff_succeeded(backoff, "a.example");
	assert_false(sts_backoff_applies(backoff, "a.example", "1", 1399, 300, &known));
	assert_int_equal(sts_backoff_failed(backoff, "a.example", "1", 1500, &failure), 1);
	sts_backoff_forget(backoff, "a.example");
	assert_false(sts_backoff_applies(backoff, "a.example", "1", 1500, 300, &known));
	sts_backoff_free(backoff);
}

static void
test_once(void **state)
{
	struct sts_backoff *backoff = sts_backoff_new(10);

	(void)state;
	assert_true(sts_backoff_once(backoff, "a.example", STS_ACTION_RECHECK, 0, 300));
	assert_false(sts_backoff_once(backoff, "a.example", STS_ACTION_RECHECK, 299, 300));
	assert_true(sts_backoff_once(backoff, "a.example", STS_ACTION_STUCK, 299, 300));
	assert_true(sts_backoff_once(backoff, "b.example", STS_ACTION_RECHECK, 299, 300));
	assert_true(sts_backoff_once(backoff, "a.example", STS_ACTION_RECHECK, 300, 300));
	sts_backoff_free(backoff);
}

static void
test_notes_are_bounded(void **state)
{
	struct sts_backoff *backoff = sts_backoff_new(100);
	struct sts_backoff_failure known;
	char name[32];

	(void)state;
	sts_backoff_failed(backoff, "old.example", "1", 0, &failure);
	for (int i = 0; i < 99; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		sts_backoff_failed(backoff, name, "1", 0, &failure);
	}
	sts_backoff_failed(backoff, "old.example", "1", 0, &failure);	/* used again */
	sts_backoff_failed(backoff, "new.example", "1", 0, &failure);
	assert_true(sts_backoff_applies(backoff, "new.example", "1", 1, 300, &known));
	assert_true(sts_backoff_applies(backoff, "old.example", "1", 1, 300, &known));
	assert_true(sts_backoff_applies(backoff, "d98.example", "1", 1, 300, &known));
	assert_false(sts_backoff_applies(backoff, "d0.example", "1", 1, 300, &known));
	sts_backoff_free(backoff);
}

static void
test_outage(void **state)
{
	static const struct {
		const char *domain;	/* NULL: a fetch that succeeds */
		int64_t minute;
		bool outage;
	} fetches[] = {
		{ "a", 0, false },
		{ "b", 1, false },
		{ "c", 2, false },
		{ "d", 3, false },
		{ "a", 4, false },	/* still four */
		{ "e", 5, true },
		{ "f", 6, true },
		{ NULL, 7, false },
		{ "a", 8, false },
		{ "b", 8, false },
		{ "c", 8, false },
		{ "d", 8, false },
		{ "e", 19, false },	/* the others were too long ago */
		{ "a", 19, false },
		{ "b", 19, false },
		{ "c", 19, false },
		{ "d", 19, true },
	};
	struct sts_outage *outage = sts_outage_new();

	(void)state;
	for (size_t i = 0; i < sizeof(fetches) / sizeof(fetches[0]); i++) {
		if (fetches[i].domain == NULL)
			sts_outage_succeeded(outage);
		else if (sts_outage_failed(outage, fetches[i].domain, fetches[i].minute * 60000) !=
		    fetches[i].outage)
			fail_msg("fetch %zu", i);
	}
	sts_outage_free(outage);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failures_from_the_future),
		cmocka_unit_test(test_outage),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_notes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
