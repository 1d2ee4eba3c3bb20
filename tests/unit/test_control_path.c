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

#include "shim/control/control_path.h"

static void
test_sound(void **state)
{
	static const struct {
		const char *uri;
		bool sound;
	} cases[] = {
		{ "", true },
		{ "/", true },
		{ "/v1/cache", true },
		{ "/v1/cache/a.example", true },
		{ "/v1/cache/a%2eexample", true },
		{ "/v1/cache/a%2Eexample", true },
		{ "/v1/policy/not%20a%20name", true },
		{ "/v1/policy/b\xc3\xbc.example", true },
		{ "/v1/policy/b%C3%BC.example", true },
		{ "/v1/policy/%ff", true },
		{ "/v1/tlsrpt/2026-01-01/a.example", true },
		{ "/v1/cache?after=a.example&limit=3", true },
		{ "/v1/cache?x=%2F", true },
		{ "/v1/cache?x=a?b", true },
		{ "/v1/cache/a%3fb", true },
		{ "/v1/cache/a%00", false },
		{ "%00", false },
		{ "/v1/cache/a%00.x.example", false },
		{ "/v1/cache?after=%00", false },
		{ "/v1/cache?after=a%00b", false },
		{ "/v1/cache/a%2fb", false },
		{ "/v1%2Fcache", false },
		{ "/v1/cache/a%3f%2f", false },
		{ "/v1/cache/%", false },
		{ "/v1/cache/%4", false },
		{ "/v1/cache/%4g", false },
		{ "/v1/cache/%g4", false },
		{ "/v1/cache/%%41", false },
		{ "/v1/cache?x=%", false },
		{ "/v1/cache?x=%1", false },
		{ "/v1/cache/a%0a", false },
		{ "/v1/cache/a%1f", false },
		{ "/v1/cache/a%7F", false },
		{ "/v1/cache/a\tb", false },
		{ "/v1/cache/a\x01", false },
		{ "/v1/cache/a\x7f", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (control_path_is_sound(cases[i].uri) != cases[i].sound)
			fail_msg("%s", cases[i].uri);
}

static void
test_cut(void **state)
{
	static const struct {
		char line[24];
		size_t end, next;
		bool cut;
	} cases[] = {
		{ "/a\0HTTP/1.1", 2, 3, false }, { "/a\0 \t HTTP/1.1", 2, 6, false },
		{ "/a\0\0HTTP/1.1", 2, 4, true }, { "/a\0.b\0HTTP/1.1", 2, 6, true },
		{ "/a\0\0b\0HTTP/1.1", 2, 6, true }, { "/a\0b HTTP/1.1", 2, 5, true },
		{ "HTTP/1.1\0/a", 11, 0, false },	/* it lies elsewhere */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (control_path_is_cut(cases[i].line + cases[i].end,
			cases[i].line + cases[i].next) != cases[i].cut)
			fail_msg("case %zu", i);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
