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

#include "base/utc.h"

#define NOW	INT64_C(1796083200)	/* 2026-12-01T00:00:00Z */
#define NONE	INT64_MIN

static void
test_since(void **state)
{
	static const struct {
		const char *text;
		int64_t at;
	} rows[] = {
		{ "2026-12-01T00:00:00Z", NOW },
		{ "1970-01-01T00:00:01Z", 1 },
		{ "7d", NOW - 7 * 86400 },
		{ "12h", NOW - 12 * 3600 },
		{ "30m", NOW - 1800 },
		{ "0s", NOW },
		{ "3650d", NOW - 3650 * INT64_C(86400) },
		{ "3651d", NONE },
		{ "315360001s", NONE },
		{ "99999999999999999999d", NONE },
		{ "", NONE },
		{ "7", NONE },
		{ "d", NONE },
		{ "7w", NONE },
		{ "7dd", NONE },
		{ " 7d", NONE },
		{ "-7d", NONE },
		{ "2026-02-30T00:00:00Z", NONE },
		{ "2026-12-01", NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t at = NONE;

		if (utc_read_since(rows[i].text, NOW, &at) != (rows[i].at == NONE ? -1 : 0))
			fail_msg("%s", rows[i].text);
		if (rows[i].at != NONE)
			assert_int_equal(at, rows[i].at);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_since),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
