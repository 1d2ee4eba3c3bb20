/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The pure parts of the policy cache: its clock, the grace of a failing domain, its notes.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "policy/sts_clock.h"
#include "policy/sts_grace.h"
#include "policy/sts_notes.h"

#define T	1700000000
#define DAY	(24 * 3600)

static void
test_clock(void **state)
{
	static const struct {
		int64_t wall, count, earlier, later, step;
	} cases[] = {
		{ T, 500, T, T, 0 },
		{ T + 100, 600, T + 100, T + 100, 0 },
		{ T + 101, 600, T + 101, T + 101, 1 },	/* the seconds do not turn together */
		{ T + 99, 600, T + 99, T + 99, -1 },
		{ T + 7300, 600, T + 100, T + 7300, 7200 },
		{ T - 7100, 600, T - 7100, T + 100, -7200 },
		{ 0, 600, 0, T + 100, -T - 100 },
	};
	static const struct sts_clock clock = { T, 500 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sts_now now = sts_clock_at(&clock, cases[i].wall, cases[i].count);

		assert_int_equal(now.earlier, cases[i].earlier);
		assert_true(now.later >= cases[i].later - 1 && now.later <= cases[i].later + 1);
		assert_true(now.earlier <= now.later);
		assert_int_equal(now.step, cases[i].step);
	}
}

static void
test_clock_of_this_machine(void **state)
{
	struct sts_clock clock;
	struct sts_now now;

	(void)state;
	sts_clock_start(&clock);
	now = sts_clock_now(&clock);
	assert_in_range(now.step + 1, 0, 2);
	assert_in_range(now.earlier - clock.wall_s, 0, 5);
}

static struct sts_now
at(int64_t seconds)
{
	return (struct sts_now){ seconds, seconds, 0 };
}

static void
test_failures(void **state)
{
	struct sts_failures failures = { 0, 0 };

	(void)state;
	assert_true(sts_failures_add(&failures, at(T)));
	assert_false(sts_failures_over(&failures, at(T), 3600));
	assert_false(sts_failures_add(&failures, at(T + 30)));	/* not worth writing */
	assert_true(sts_failures_add(&failures, at(T + 60)));
	assert_int_equal(failures.first, T);
	assert_int_equal(failures.last, T + 60);
	assert_false(sts_failures_over(&failures, at(T + 3599), 3600));
	assert_true(sts_failures_over(&failures, at(T + 3600), 3600));
	assert_true(sts_failures_add(&failures, at(T + 60 + DAY - 1)));
	assert_int_equal(failures.first, T);
	assert_true(sts_failures_add(&failures, at(failures.last + DAY)));	/* a day in peace */
	assert_int_equal(failures.first, failures.last);
	assert_false(sts_failures_over(&failures, at(failures.first), 3600));
}

static void
test_failures_from_the_future(void **state)
{
	struct sts_failures failures = { T + 100 * DAY, T + 100 * DAY };

	(void)state;
	assert_true(sts_failures_add(&failures, at(T)));
	assert_int_equal(failures.first, T);
	failures = (struct sts_failures){ T, T + 100 * DAY };
	assert_true(sts_failures_add(&failures, at(T + 100)));
	assert_int_equal(failures.first, T);
	assert_int_equal(failures.last, T + 100);
}

static const struct note_failure failure = {
	.finding = { RESULT_STS_POLICY_FETCH_ERROR, "http-404" }, .why = "words"
};

static void
test_back_off(void **state)
{
	struct sts_notes *notes = sts_notes_new(10);
	struct note_failure known;

	(void)state;
	assert_false(sts_notes_backs_off(notes, "a.example", "1", 0, 300, &known));
	assert_int_equal(sts_notes_failed(notes, "a.example", "1", 1000, &failure), 1);
	assert_int_equal(sts_notes_failed(notes, "a.example", "1", 1100, &failure), 2);
	assert_true(sts_notes_backs_off(notes, "a.example", "1", 1399, 300, &known));
	assert_string_equal(known.finding.reason, "http-404");
	assert_string_equal(known.why, "words");
	assert_false(sts_notes_backs_off(notes, "a.example", "1", 1400, 300, &known));
	assert_false(sts_notes_backs_off(notes, "a.example", "2", 1399, 300, &known));
	assert_false(sts_notes_backs_off(notes, "b.example", "1", 1399, 300, &known));
	sts_notes_succeeded(notes, "a.example");
	assert_false(sts_notes_backs_off(notes, "a.example", "1", 1399, 300, &known));
	assert_int_equal(sts_notes_failed(notes, "a.example", "1", 1500, &failure), 1);
	sts_notes_forget(notes, "a.example");
	assert_false(sts_notes_backs_off(notes, "a.example", "1", 1500, 300, &known));
	sts_notes_free(notes);
}

static void
test_once(void **state)
{
	struct sts_notes *notes = sts_notes_new(10);

	(void)state;
	assert_true(sts_notes_once(notes, "a.example", NOTE_RECHECK, 0, 300));
	assert_false(sts_notes_once(notes, "a.example", NOTE_RECHECK, 299, 300));
	assert_true(sts_notes_once(notes, "a.example", NOTE_STUCK, 299, 300));
	assert_true(sts_notes_once(notes, "b.example", NOTE_RECHECK, 299, 300));
	assert_true(sts_notes_once(notes, "a.example", NOTE_RECHECK, 300, 300));
	sts_notes_free(notes);
}

static void
test_notes_are_bounded(void **state)
{
	struct sts_notes *notes = sts_notes_new(100);
	struct note_failure known;
	char name[32];

	(void)state;
	sts_notes_failed(notes, "old.example", "1", 0, &failure);
	for (int i = 0; i < 99; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		sts_notes_failed(notes, name, "1", 0, &failure);
	}
	sts_notes_failed(notes, "old.example", "1", 0, &failure);	/* used again */
	sts_notes_failed(notes, "new.example", "1", 0, &failure);
	assert_true(sts_notes_backs_off(notes, "new.example", "1", 1, 300, &known));
	assert_true(sts_notes_backs_off(notes, "old.example", "1", 1, 300, &known));
	assert_true(sts_notes_backs_off(notes, "d98.example", "1", 1, 300, &known));
	assert_false(sts_notes_backs_off(notes, "d0.example", "1", 1, 300, &known));
	sts_notes_free(notes);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_clock_of_this_machine),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_failures_from_the_future),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_once),
		cmocka_unit_test(test_notes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
