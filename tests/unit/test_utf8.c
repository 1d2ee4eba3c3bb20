/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"

static void
test_length(void **state)
{
	static const struct {
		const char *name, *text;
		size_t length;
	} cases[] = {
		{ "ascii", "a", 1 },
		{ "two octets", "\xc3\xb6", 2 },
		{ "three octets", "\xe2\x82\xac", 3 },
		{ "four octets", "\xf0\x9f\x93\xac", 4 },
		{ "highest", "\xf4\x8f\xbf\xbf", 4 },
		{ "beyond U+10FFFF", "\xf4\x90\x80\x80", 0 },
		{ "first octet f5", "\xf5\x80\x80\x80", 0 },
		{ "overlong slash", "\xc0\xaf", 0 },
		{ "overlong in three", "\xe0\x9f\xbf", 0 },
		{ "overlong in four", "\xf0\x8f\xbf\xbf", 0 },
		{ "last before the surrogates", "\xed\x9f\xbf", 3 },
		{ "first surrogate", "\xed\xa0\x80", 0 },
		{ "lone continuation", "\x80", 0 },
		{ "cut after one", "\xc3", 0 },
		{ "cut after two", "\xe2\x82", 0 },
		{ "cut after three", "\xf0\x9f\x93", 0 },
		{ "no continuation", "\xc3(", 0 },
		{ "third octet is none", "\xe2\x82(", 0 },
		{ "fourth octet is none", "\xf0\x9f\x93(", 0 },
		{ "ff", "\xff", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (utf8_length(cases[i].text, strlen(cases[i].text)) != cases[i].length)
			fail_msg("%s", cases[i].name);
	assert_int_equal(utf8_length("", 0), 0);
	assert_int_equal(utf8_length("\0", 1), 1);
}

static void
test_valid(void **state)
{
	(void)state;
	assert_true(utf8_is_valid("", 0));
	assert_true(utf8_is_valid("m\xc3\xbcller", 7));
	assert_false(utf8_is_valid("m\xc3\xbcller", 2));
	assert_false(utf8_is_valid("m\xfcller", 6));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
