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
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <time.h>

#include "base/deadline.h"

static void
test_left_and_passed(void **state)
{
	struct deadline soon = deadline_in(60000), now = deadline_in(0), past = deadline_in(-5);

	(void)state;
	assert_false(deadline_passed(soon));
	assert_true(deadline_passed(now));
	assert_true(deadline_passed(past));
	assert_in_range(deadline_left_ms(soon), 50000, 60000);
	assert_int_equal(deadline_left_ms(now), 0);
	assert_int_equal(deadline_left_ms(past), 0);
}

static void
test_earlier(void **state)
{
	struct deadline a = { 5 }, b = { 9 };

	(void)state;
	assert_int_equal(deadline_earlier(a, b).at_ms, 5);
	assert_int_equal(deadline_earlier(b, a).at_ms, 5);
}

static void
test_extremes_do_not_wrap(void **state)
{
	struct deadline never = deadline_in(INT64_MAX), always = deadline_in(INT64_MIN);

	(void)state;
	assert_false(deadline_passed(never));
	assert_int_equal(deadline_left_ms(never), INT_MAX);
	assert_true(deadline_passed(always));
	assert_int_equal(deadline_left_ms(always), 0);
	assert_true(deadline_timespec(always).tv_sec >= 0);
	assert_int_equal(deadline_left_ms(deadline_in((int64_t)INT_MAX * 1000)), INT_MAX);
}

static void
test_timespec_fits_a_monotonic_condition(void **state)
{
	struct deadline deadline = { 12345 };
	pthread_condattr_t attributes;
	pthread_cond_t condition;
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct timespec at = deadline_timespec(deadline);
	int64_t start = clock_monotonic_ms();

	(void)state;
	assert_int_equal(at.tv_sec, 12);
	assert_int_equal(at.tv_nsec, 345000000);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&condition, &attributes);
	pthread_mutex_lock(&mutex);
	at = deadline_timespec(deadline_in(30));
	assert_int_equal(pthread_cond_timedwait(&condition, &mutex, &at), ETIMEDOUT);
	at = deadline_timespec(deadline_in(INT64_MIN));
	assert_int_equal(pthread_cond_timedwait(&condition, &mutex, &at), ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
	assert_in_range(clock_monotonic_ms() - start, 29, 20000);
	pthread_cond_destroy(&condition);
	pthread_condattr_destroy(&attributes);
}

static void
test_wall_clock_is_in_this_century(void **state)
{
	(void)state;
	assert_in_range(clock_wall_s(), 1600000000, 4102444800);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_left_and_passed),
		cmocka_unit_test(test_earlier),
		cmocka_unit_test(test_extremes_do_not_wrap),
		cmocka_unit_test(test_timespec_fits_a_monotonic_condition),
		cmocka_unit_test(test_wall_clock_is_in_this_century),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
