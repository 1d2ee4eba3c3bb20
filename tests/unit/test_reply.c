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
#include <string.h>

#include "base/reply.h"

static void
test_set_and_line(void **state)
{
	static const struct {
		int code;
		const char *enhanced, *text, *line;
	} cases[] = {
		{ 250, "2.0.0", "ok", "250 2.0.0 ok" },
		{ 451, "4.7.5", "no MX host matches", "451 4.7.5 no MX host matches" },
		{ 550, "5.7.30", "REQUIRETLS", "550 5.7.30 REQUIRETLS" },
		{ 354, "", "go ahead", "354 go ahead" },
		{ 354, NULL, "go ahead", "354 go ahead" },
		{ 250, "2.0.0", "", "250 2.0.0" },
		{ 250, "", "", "250" },
		{ 550, "5.1.1", "a\r\n250 2.0.0 b\tc\x7f\xc3\xa9",
		    "550 5.1.1 a??250 2.0.0 b?c???" },
		{ 550, "5.1.1\r\n", "x", "550 5.1.1?? x" },
		{ 550, "5.999.999", "x", "550 5.999.999 x" },
	};
	char line[REPLY_LINE_MAX + 1];
	struct reply reply = { .remote = true };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reply_set(&reply, cases[i].code, cases[i].enhanced, "%s", cases[i].text);
		assert_int_equal(reply.code, cases[i].code);
		assert_false(reply.remote);
		reply_line(&reply, line);
		assert_string_equal(line, cases[i].line);
	}
}

static void
test_long_text_is_cut(void **state)
{
	char text[2000], line[REPLY_LINE_MAX + 1];
	struct reply reply;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	reply_set(&reply, 451, "4.4.0", "%s", text);
	assert_int_equal(strlen(reply.text), sizeof(reply.text) - 1);
	reply_line(&reply, line);
	assert_int_equal(strlen(line), REPLY_LINE_MAX);
	assert_memory_equal(line, "451 4.4.0 xxx", 13);
}

static void
test_a_reply_may_quote_itself(void **state)
{
	struct reply reply;

	(void)state;
	reply_set(&reply, 550, "5.5.1", "busy");
	reply_set(&reply, 451, reply.enhanced, "said: %d %s", reply.code, reply.text);
	assert_string_equal(reply.enhanced, "5.5.1");
	assert_string_equal(reply.text, "said: 550 busy");
}

static void
test_classes(void **state)
{
	static const int codes[] = { 0, 199, 200, 250, 299, 354, 399, 400, 421, 499, 500, 599,
		600 };
	struct reply reply;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		reply_set(&reply, codes[i], "", "x");
		assert_int_equal(reply_is_positive(&reply), codes[i] >= 200 && codes[i] < 300);
		assert_int_equal(reply_is_transient(&reply), codes[i] >= 400 && codes[i] < 500);
		assert_int_equal(reply_is_permanent(&reply), codes[i] >= 500 && codes[i] < 600);
	}
}

static void
test_an_unset_reply_is_a_passing_failure(void **state)
{
	struct reply reply = { 0 };
	char line[REPLY_LINE_MAX + 1];

	(void)state;
	reply_line(&reply, line);
	assert_string_equal(line, "451 4.3.0");
	reply.code = 1000;
	strcpy(reply.enhanced, "2.0.0");
	strcpy(reply.text, "x\ny");
	reply_line(&reply, line);
	assert_string_equal(line, "451 4.3.0 x?y");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_and_line),
		cmocka_unit_test(test_long_text_is_cut),
		cmocka_unit_test(test_a_reply_may_quote_itself),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_an_unset_reply_is_a_passing_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
