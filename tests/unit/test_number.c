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

#include "base/number.h"

static void
test_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t most, number;
		size_t used;	/* 0: no number */
	} cases[] = {
		{ "0", 0, 0, 1 },
		{ "1", 0, 0, 0 },
		{ "007 x", 7, 7, 3 },
		{ "10", 10, 10, 2 },
		{ "11", 10, 0, 0 },
		{ "99", 9, 0, 0 },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, 20 },
		{ "18446744073709551616", UINT64_MAX, 0, 0 },
		{ "99999999999999999999999", UINT64_MAX, 0, 0 },
		{ "9007199254740992", NUMBER_COUNT_MAX, NUMBER_COUNT_MAX, 16 },
		{ "9007199254740993", NUMBER_COUNT_MAX, 0, 0 },
		{ "", 9, 0, 0 },
		{ "-1", 9, 0, 0 },
		{ "+1", 9, 0, 0 },
		{ " 1", 9, 0, 0 },
		{ "x", 9, 0, 0 },
		{ "0x9", 9, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *at = cases[i].text;
		uint64_t number = 0;

		if (number_take(&at, cases[i].most, &number) != (cases[i].used > 0) ||
		    number != cases[i].number || at != cases[i].text + cases[i].used)
			fail_msg("%s", cases[i].text);
	}
}

static void
test_times(void **state)
{
	const char *at = "253402300799 ", *beyond = "253402300800";
	int64_t wall_s = 0;

	(void)state;
	assert_true(number_take_wall(&at, &wall_s));
	assert_int_equal(wall_s, INT64_C(253402300799));
	assert_false(number_skip(&at, 'x'));
	assert_true(number_skip(&at, ' '));
	assert_false(number_skip(&at, ' '));
	assert_false(number_take_wall(&beyond, &wall_s));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
