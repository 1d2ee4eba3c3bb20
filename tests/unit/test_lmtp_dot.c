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
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "shim/lmtp/lmtp_dot.h"

/* Decodes wire in pieces of that many octets. Returns how much was taken. */
static size_t
decode(const char *wire, size_t length, size_t piece, struct lmtp_dot *dot, struct buf *content)
{
	size_t at = 0, made, taken, part;

	while (at < length && dot->state != LMTP_DOT_END) {
		char *out;

		part = length - at < piece ? length - at : piece;
		out = malloc(part + LMTP_DOT_HELD);	/* a sanitizer sees one octet more */
		assert_non_null(out);
		taken = lmtp_dot_decode(dot, wire + at, part, out, &made);
		assert_true(made <= part + LMTP_DOT_HELD);
		assert_true(taken == part || dot->state == LMTP_DOT_END);
		buf_add(content, out, made);
		free(out);
		at += taken;
	}
	return at;
}

static void
test_ends(void **state)
{
	static const struct {
		const char *wire, *content, *rest;
	} cases[] = {
		{ ".\r\n", "", "" },
		{ ".\r\nQUIT\r\n", "", "QUIT\r\n" },
		{ "a\r\n.\r\n.\r\n", "a\r\n", ".\r\n" },
		{ "..\r\n.\r\n", ".\r\n", "" },
		{ ".a\r\n...\r\n.\r\n", "a\r\n..\r\n", "" },
		{ "a\r\r\n.\r\n", "a\r\r\n", "" },
		{ "\r\n.\r\n", "\r\n", "" },
		{ ".\r.\r\n.\r\n", "\r.\r\n", "" },
		{ ".\r\r\n.\r\n", "\r\r\n", "" },
		{ "a\n..b\r\n.\r\n", "a\n..b\r\n", "" },
		{ "a\r..b\r\n.\r\n", "a\r..b\r\n", "" },
		{ ".\n.\r\n\r\n.\r\n", "\n.\r\n\r\n", "" },
	};
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (piece = 1; piece < 12; piece++) {
			struct lmtp_dot dot = { LMTP_DOT_LINE_START };
			struct buf content = { 0 };
			size_t taken = decode(cases[i].wire, strlen(cases[i].wire), piece, &dot,
			    &content);

			assert_int_equal(dot.state, LMTP_DOT_END);
			assert_string_equal(cases[i].wire + taken, cases[i].rest);
			assert_string_equal(buf_text(&content), cases[i].content);
			buf_free(&content);
		}
	}
}

/* Octets that some implementation takes for the end, but that are not. */
static void
test_does_not_end(void **state)
{
	static const char *const cases[] = {
		"a\n.\n",
		"a\n.\r\n",
		"a\r\n.\n",
		"a\r.\r",
		"a\r.\r\n",
		"a\r\n.\r",
		"a\r\n. \r\n",
		".\n",
		".\r.\n",
		"a.\r\n",
		"a\r\n..\r\n",
		"\n.\r\n",
		"\r.\r\n",
		"a\r\n.\r\r\n",
		"a\r\n\n.\r\n",
		"a\r\n.\n.\r\n",
	};
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (piece = 1; piece < 10; piece++) {
			struct lmtp_dot dot = { LMTP_DOT_LINE_START };
			struct buf content = { 0 };

			decode(cases[i], strlen(cases[i]), piece, &dot, &content);
			if (dot.state == LMTP_DOT_END)
				fail_msg("case %zu ended", i);
			buf_free(&content);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_does_not_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
