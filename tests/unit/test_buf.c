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

#include "base/buf.h"

static void
test_starts_empty(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_string_equal(buf_text(&buf), "");
	buf_clear(&buf);
	assert_string_equal(buf_text(&buf), "");
	buf_free(&buf);
}

static void
test_additions_follow_each_other(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	buf_add_text(&buf, "one");
	buf_add_char(&buf, ' ');
	buf_add(&buf, "two\0x", 5);
	buf_printf(&buf, "%d%s", 3, "!");
	assert_int_equal(buf.length, 11);
	assert_memory_equal(buf_text(&buf), "one two\0x3!", 12);
	buf_add(&buf, NULL, 0);
	assert_int_equal(buf.length, 11);
	buf_free(&buf);
	assert_int_equal(buf.length, 0);
	buf_add_text(&buf, "again");
	assert_string_equal(buf_text(&buf), "again");
	buf_free(&buf);
}

static void
test_grows_and_stays_terminated(void **state)
{
	struct buf buf = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 5000; i++) {
		buf_add_char(&buf, (char)('a' + i % 26));
		assert_int_equal(buf.length, i + 1);
		assert_int_equal(buf.data[buf.length], '\0');
		assert_true(buf.room > buf.length);
	}
	for (i = 0; i < 5000; i++)
		assert_int_equal(buf.data[i], (char)('a' + i % 26));
	buf_free(&buf);
}

static void
test_printf_of_every_length(void **state)
{
	struct buf buf = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		buf_printf(&buf, "%*s", i, "");
		assert_int_equal(strlen(buf_text(&buf)), buf.length);
		assert_int_equal(buf.length, i);
		buf_free(&buf);
	}
}

static void
test_clear_keeps_memory(void **state)
{
	struct buf buf = { 0 };
	size_t room;

	(void)state;
	buf_printf(&buf, "%500s", "");
	room = buf.room;
	buf_clear(&buf);
	assert_int_equal(buf.length, 0);
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf.room, room);
	buf_free(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_starts_empty),
		cmocka_unit_test(test_additions_follow_each_other),
		cmocka_unit_test(test_grows_and_stays_terminated),
		cmocka_unit_test(test_printf_of_every_length),
		cmocka_unit_test(test_clear_keeps_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
