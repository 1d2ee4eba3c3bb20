/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Lines and octets as they are read from a stream. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/stream_pair.h"

static void
test_line_ends(void **state)
{
	static const char said[] = "one\r\ntwo\n\r\n\nthr\ree\r\r\n\r\rx\nnul\0nul\r\n\0\n";
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, said, sizeof(said) - 1);
	expect_line(pair.stream, 100, STREAM_OK, "one", 3);
	assert_true(stream_has_input(pair.stream));
	expect_line(pair.stream, 100, STREAM_OK, "two", 3);
	expect_line(pair.stream, 100, STREAM_OK, "", 0);
	expect_line(pair.stream, 100, STREAM_OK, "", 0);
	expect_line(pair.stream, 100, STREAM_OK, "thr\ree\r", 7);
	expect_line(pair.stream, 100, STREAM_OK, "\r\rx", 3);
	expect_line(pair.stream, 100, STREAM_OK, "nul\0nul", 7);
	expect_line(pair.stream, 100, STREAM_OK, "\0", 1);
	assert_false(stream_has_input(pair.stream));
	peer_leaves(&pair);
	expect_line(pair.stream, 100, STREAM_END, "", 0);
	pair_free(pair);
}

static void
test_long_lines(void **state)
{
	static const char said[] = "abc\r\nabcd\r\nabcdefg\nabc\r\r\nabc\n";
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, said, sizeof(said) - 1);
	expect_line(pair.stream, 4, STREAM_OK, "abc", 3);
	expect_line(pair.stream, 4, STREAM_LONG, "abc", 3);
	expect_line(pair.stream, 4, STREAM_OK, "d", 1);
	expect_line(pair.stream, 4, STREAM_LONG, "abc", 3);
	expect_line(pair.stream, 4, STREAM_LONG, "def", 3);
	expect_line(pair.stream, 4, STREAM_OK, "g", 1);
	expect_line(pair.stream, 4, STREAM_LONG, "abc", 3);
	expect_line(pair.stream, 4, STREAM_OK, "\r", 1);
	expect_line(pair.stream, 4, STREAM_OK, "abc", 3);
	pair_free(pair);
}

static void
test_a_cut_line_is_no_line(void **state)
{
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, "half", 4);
	peer_leaves(&pair);
	expect_line(pair.stream, 100, STREAM_END, "half", 4);
	pair_free(pair);
}

/* What a line must be, found the obvious way in all the octets at once. */
static enum stream_status
model_line(const char **from, const char *end, size_t room, const char **line, size_t *length)
{
	const char *lf = *from < end ? memchr(*from, '\n', (size_t)(end - *from)) : NULL;

	*line = *from;
	*length = (size_t)((lf != NULL ? lf : end) - *from);
	if (*length > 0 && (*from)[*length - 1] == '\r')
		--*length;
	if (*length > room - 1) {
		*length = room - 1;
		*from += *length;
		return STREAM_LONG;
	}
	*from = lf != NULL ? lf + 1 : end;
	return lf != NULL ? STREAM_OK : STREAM_END;
}

static void
test_any_segments_give_the_same_lines(void **state)
{
	static const char alphabet[] = { 'a', 'b', '\r', '\r', '\n', '\0' };
	char octets[300], line[64];
	const char *from, *expected;
	size_t i, room, length, got;
	enum stream_status status;
	unsigned round, seed = 1;
	struct script script;
	struct pair pair;

	(void)state;
	for (round = 0; round < 3000; round++) {
		for (i = 0; i < sizeof(octets); i++)
			octets[i] = alphabet[(unsigned)rand_r(&seed) % sizeof(alphabet)];
		script = (struct script){ .octets = octets,
			.length = sizeof(octets),
			.seed = round,
			.most = 1 + round % 40 };
		pair = pair_new();
		upgrade_to_script(pair, &script);
		room = 2 + round % 12;
		from = octets;
		do {
			status = model_line(&from, octets + sizeof(octets), room, &expected,
			    &length);
			assert_int_equal(stream_read_line(pair.stream, line, room, &got,
					     deadline_in(SOON)),
			    status);
			assert_int_equal(got, length);
			assert_memory_equal(line, expected, length);
			assert_int_equal(line[length], '\0');
		} while (status != STREAM_END);
		pair_free(pair);
		assert_true(script.closed);
	}
}

static void
test_a_long_run_without_an_end_is_linear(void **state)
{
	size_t size = 4 << 20, got, total = 0;
	char *octets = malloc(size), line[100];
	struct script script = { .octets = octets, .length = size, .most = 3 };
	struct pair pair = pair_new();
	int64_t start = clock_monotonic_ms();
	enum stream_status status;

	(void)state;
	assert_non_null(octets);
	memset(octets, '\r', size);
	upgrade_to_script(pair, &script);
	while ((status = stream_read_line(pair.stream, line, sizeof(line), &got,
		    deadline_in(60000))) == STREAM_LONG)
		total += got;
	assert_int_equal(status, STREAM_END);
	assert_in_range(total + got, size - 1, size);
	assert_in_range(clock_monotonic_ms() - start, 0, 10000);
	pair_free(pair);
	free(octets);
}

static void
test_read_and_peek(void **state)
{
	struct pair pair = pair_new();
	char octets[10];
	const char *seen;
	size_t got;

	(void)state;
	peer_says(pair, "line\r\nrest\0of it", 16);
	expect_line(pair.stream, 100, STREAM_OK, "line", 4);
	assert_int_equal(stream_peek(pair.stream, &seen, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 10);
	assert_memory_equal(seen, "rest\0of it", 10);
	stream_skip(pair.stream, 4);
	assert_int_equal(stream_read(pair.stream, octets, 3, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 3);
	assert_memory_equal(octets, "\0of", 3);
	assert_int_equal(stream_read(pair.stream, octets, 10, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 3);
	stream_skip(pair.stream, 100);
	peer_says(pair, "new", 3);
	assert_int_equal(stream_peek(pair.stream, &seen, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 3);
	stream_skip(pair.stream, 3);
	peer_leaves(&pair);
	assert_int_equal(stream_peek(pair.stream, &seen, &got, deadline_in(SOON)), STREAM_END);
	assert_int_equal(got, 0);
	assert_int_equal(stream_read(pair.stream, octets, 3, &got, deadline_in(SOON)), STREAM_END);
	assert_int_equal(got, 0);
	pair_free(pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_a_cut_line_is_no_line),
		cmocka_unit_test(test_any_segments_give_the_same_lines),
		cmocka_unit_test(test_a_long_run_without_an_end_is_linear),
		cmocka_unit_test(test_read_and_peek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
