/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/deadline.h"
#include "base/recent.h"

/* The clock of base/deadline.h, moved by the tests. */
static int64_t now_ms = INT64_C(1000000);

int64_t
clock_monotonic_ms(void)
{
	return now_ms;
}

static void
test_nothing(void **state)
{
	struct recent_figures figures;

	(void)state;
	recent_read(&figures);
	assert_int_equal(figures.counts[RECENT_MESSAGES], 0);
	assert_true(figures.p50 == 0 && figures.p99 == 0 && figures.seconds > 0);
	assert_false(recent_within(RECENT_MESSAGES, INT64_MAX / 2));
}

static void
test_counts_leave_after_five_minutes(void **state)
{
	struct recent_figures figures;

	(void)state;
	for (int i = 0; i < 60; i++) {
		recent_count(RECENT_MESSAGES);
		now_ms += 10000;
	}
	recent_read(&figures);
	assert_int_equal(figures.counts[RECENT_MESSAGES], 30);
	assert_true(figures.seconds == 300);
	assert_true(recent_within(RECENT_MESSAGES, 10000));
	assert_false(recent_within(RECENT_MESSAGES, 9999));
	now_ms += 400000;
	recent_read(&figures);
	assert_int_equal(figures.counts[RECENT_MESSAGES], 0);
}

/* Within an eighth, and never less than the truth. */
static void
test_latencies(void **state)
{
	static const int64_t rows[] = { 0, 1, 7, 8, 15, 16, 17, 31, 32, 100, 999, 5000, 65535,
		1800000 };
	struct recent_figures figures;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		now_ms += 400000;
		recent_latency(rows[i]);
		recent_read(&figures);
		assert_true(figures.p50 * 1000 >= (double)rows[i]);
		assert_true(figures.p50 * 1000 <= (double)rows[i] * 1.125);
	}
	now_ms += 400000;
	recent_latency(-5);
	recent_latency(INT64_MAX);
	recent_read(&figures);
	assert_true(figures.p50 == 0 && figures.p99 > 1800);
}

static void
test_quantiles(void **state)
{
	struct recent_figures figures;

	(void)state;
	now_ms += 400000;
	for (int i = 0; i < 100; i++)
		recent_latency(i < 50 ? 10 : i < 95 ? 100 : 1000);
	recent_read(&figures);
	assert_true(figures.p50 < 0.012 && figures.p95 < 0.113 && figures.p99 >= 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_counts_leave_after_five_minutes),
		cmocka_unit_test(test_latencies),
		cmocka_unit_test(test_quantiles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
