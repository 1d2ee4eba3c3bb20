/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/store/store_record.h"

static void
test_round_trip(void **state)
{
	static const struct {
		const char *key, *value;
		size_t length;
		int64_t purge_at;
	} cases[] = {
		{ "example.com", "text", 4, 0 },
		{ "k", "", 0, 1 },
		{ "k", "a\0b", 3, INT64_MAX },
		{ "", "x", 1, -1 },
	};
	struct buf record = { 0 };
	const void *value;
	size_t i, length;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		store_record_pack(&record, cases[i].key, cases[i].value, cases[i].length,
		    cases[i].purge_at);
		assert_int_equal(record.length, STORE_RECORD_HEAD + cases[i].length);
		assert_int_equal(store_record_unpack(cases[i].key, strlen(cases[i].key),
				     record.data, record.length, &value, &length),
		    0);
		assert_int_equal(length, cases[i].length);
		assert_memory_equal(value, cases[i].value, length);
	}
	buf_free(&record);
}

/* The form on the disk may not change without a new format number. */
static void
test_form(void **state)
{
	static const unsigned char expected[] = { 0, 0, 0, 0, 0x68, 0x6a, 0x5c, 0x00, 0xad, 0x5c,
		0xb2, 0x14, 'v' };
	struct buf record = { 0 };

	(void)state;
	store_record_pack(&record, "k", "v", 1, 0x686a5c00);
	assert_int_equal(record.length, sizeof(expected));
	assert_memory_equal(record.data, expected, sizeof(expected));
	buf_free(&record);
}

static void
test_every_bit_counts(void **state)
{
	struct buf record = { 0 };
	const void *value;
	size_t bit, length;

	(void)state;
	store_record_pack(&record, "example.com", "mode: enforce", 13, 1000);
	for (bit = 0; bit < record.length * 8; bit++) {
		record.data[bit / 8] = (char)(record.data[bit / 8] ^ (1 << bit % 8));
		assert_int_equal(store_record_unpack("example.com", 11, record.data, record.length,
				     &value, &length),
		    -1);
		record.data[bit / 8] = (char)(record.data[bit / 8] ^ (1 << bit % 8));
	}
	for (length = 0; length < record.length; length++)
		assert_int_equal(store_record_unpack("example.com", 11, record.data, length, &value,
				     &bit),
		    -1);
	/* another's record is not taken for ours */
	assert_int_equal(store_record_unpack("example.net", 11, record.data, record.length, &value,
			     &length),
	    -1);
	buf_free(&record);
}

static void
test_due(void **state)
{
	struct buf record = { 0 };

	(void)state;
	store_record_pack(&record, "k", "v", 1, 1000);
	assert_false(store_record_is_due(record.data, record.length, 999));
	assert_true(store_record_is_due(record.data, record.length, 1000));
	assert_true(store_record_is_due(record.data, STORE_RECORD_HEAD, 1001));
	assert_false(store_record_is_due(record.data, STORE_RECORD_HEAD - 1, 1001));
	store_record_pack(&record, "k", "v", 1, 0);
	assert_false(store_record_is_due(record.data, record.length, INT64_MAX));
	buf_free(&record);
}

static bool
join(void *context, const char *key, const struct buf *record)
{
	buf_printf(context, "%s=%s;", key, record->data + STORE_RECORD_HEAD);
	return true;
}

static const char *
strange_line(char which)
{
	static const char *const lines[] = { " 7\n", " zz\n", " 6B\n", " \n" };

	if (which == '#')
		return "HEADER=END\n";
	return which >= '1' && which <= '4' ? lines[which - '1'] : "\n";
}

/* Writes the text of a dump: a small letter is a key, the capital its record. */
static FILE *
dump_of(const char *text)
{
	struct buf record = { 0 };
	FILE *dump = tmpfile();
	size_t i;

	assert_non_null(dump);
	for (; *text != '\0'; text++) {
		if (*text >= 'a' && *text <= 'z') {	/* a key */
			(void)fprintf(dump, " %02x\n", *text);
		} else if (*text >= 'A' && *text <= 'Z') {	/* the record of that key */
			store_record_pack(&record, (const char[]){ (char)(*text + 32), '\0' }, "v",
			    1, 0);
			(void)fputc(' ', dump);
			for (i = 0; i < record.length; i++)
				(void)fprintf(dump, "%02x", (unsigned char)record.data[i]);
			(void)fputc('\n', dump);
		} else {
			(void)fputs(strange_line(*text), dump);
		}
	}
	rewind(dump);
	buf_free(&record);
	return dump;
}

static void
test_dump(void **state)
{
	static const struct {
		const char *dump, *entries;
		size_t left_over;
	} cases[] = {
		{ "#aAbB#", "a=v;b=v;", 0 },
		{ "", "", 0 },
		{ "a", "", 1 },	/* cut after a key */
		{ "aA", "a=v;", 0 },
		{ "AbBcC", "b=v;c=v;", 1 },	/* a key is missing: the rest is not shifted */
		{ "abBcC", "b=v;c=v;", 1 },	/* a record is missing */
		{ "aBcC", "c=v;", 2 },	/* another's record */
		{ "a1bB", "b=v;", 2 },	/* half an octet */
		{ "a2bB", "b=v;", 2 },	/* no octet */
		{ "3aA", "a=v;", 1 },	/* Berkeley DB writes lower case */
		{ "44", "", 2 },
		{ "a#A", "a=v;", 0 },
		{ "\n\n", "", 0 },
	};
	struct buf entries = { 0 };
	FILE *dump;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		dump = dump_of(cases[i].dump);
		buf_clear(&entries);
		assert_int_equal(store_record_read_dump(dump, join, &entries), cases[i].left_over);
		assert_string_equal(buf_text(&entries), cases[i].entries);
		(void)fclose(dump);
	}
	buf_free(&entries);
}

static bool
stop(void *context, const char *key, const struct buf *record)
{
	(void)key, (void)record;
	(*(int *)context)++;
	return false;
}

static void
test_dump_stops(void **state)
{
	FILE *dump = dump_of("aAbB");
	int calls = 0;

	(void)state;
	(void)store_record_read_dump(dump, stop, &calls);
	assert_int_equal(calls, 1);
	(void)fclose(dump);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_due),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_dump_stops),
	};

	return cmocka_run_group_tests_name("store_record", tests, NULL, NULL);
}
