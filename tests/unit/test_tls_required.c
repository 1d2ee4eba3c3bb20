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

#include "shim/message/tls_required.h"

static bool
is_no(const char *header, size_t length, size_t piece)
{
	struct tls_required scan = { .state = TLS_REQUIRED_LINE };
	size_t at, part;

	for (at = 0; at < length; at += part) {
		part = length - at < piece ? length - at : piece;
		tls_required_scan(&scan, header + at, part);
	}
	return tls_required_is_no(&scan);
}

#define FROM	"From: a@example.com\r\n"
#define NO	"TLS-Required: No\r\n"

static void
test_header(void **state)
{
	static const struct {
		const char *header;
		bool no;
	} cases[] = {
		{ "", false },
		{ FROM "\r\n", false },
		{ NO, true },
		{ NO "\r\n", true },
		{ FROM NO FROM "\r\nbody\r\n", true },
		{ "TLS-Required: No", true },	/* the end of the message ends the field */
		{ "tls-required: no\r\n", true },
		{ "TLS-REQUIRED:NO\r\n", true },
		{ "TLS-Required: \t nO \t \r\n", true },
		{ "TLS-Required : No\r\n", true },
		{ "TLS-Required: No\n", true },
		/* Folded: RFC 8689 3 allows it, and RFC 5322 2.2.3 makes it the same. */
		{ "TLS-Required:\r\n No\r\n", true },
		{ "TLS-Required:\r\n\t \r\n No\r\n", true },
		{ "TLS-Required: No\r\n \r\n" FROM, true },
		{ "TLS-Required: N\r\n o\r\n", false },
		{ "TLS-Required: No\r\n Yes\r\n", false },
		/* Another value, and comments, which its syntax does not have. */
		{ "TLS-Required: Yes\r\n", false },
		{ "TLS-Required:\r\n", false },
		{ "TLS-Required: N\r\n", false },
		{ "TLS-Required: Not\r\n", false },
		{ "TLS-Required: N o\r\n", false },
		{ "TLS-Required: No No\r\n", false },
		{ "TLS-Required: NoNo\r\n", false },
		{ "TLS-Required: \"No\"\r\n", false },
		{ "TLS-Required: No (really)\r\n", false },
		{ "TLS-Required: (x) No\r\n", false },
		{ "TLS-Required: No;\r\n", false },
		{ "TLS-Required: =?utf-8?q?No?=\r\n", false },
		{ "TLS-Required: N\xc3\xb3\r\n", false },
		/* Another field. */
		{ "TLS-Require: No\r\n", false },
		{ "TLS-Requiredx: No\r\n", false },
		{ "X-TLS-Required: No\r\n", false },
		{ "Subject: TLS-Required: No\r\n", false },
		{ "Subject: x\r\n " NO, false },
		{ "Subject: x\r\n\tTLS-Required: No\r\n", false },
		{ "TLS-Required No\r\n", false },
		{ "TLS-Required\r\n : No\r\n", false },
		{ "TLS Required: No\r\n", false },
		/* More than one: none of them counts. */
		{ NO NO, false },
		{ NO FROM NO, false },
		{ NO "TLS-Required: Yes\r\n", false },
		{ "TLS-Required: Yes\r\n" NO, false },
		{ NO NO NO, false },
		{ "TLS-Required:\r\n" NO, false },
		{ NO "\r\n" NO, true },
		/* Where the header is over. */
		{ "\r\n" NO, false },
		{ FROM "\r\n" NO, false },
		{ "\n" NO, false },
		{ "no field\r\n" NO, false },
		{ FROM "text\r\n" NO, false },
		{ ": x\r\n" NO, false },
		{ " x\r\n" NO, false },
		{ "From someone Thu Jan  1 00:00:00 1970\r\n" NO, false },
		{ NO "text\r\n" NO, true },
		{ "\xc3\xa4: x\r\n" NO, false },
	};
	size_t i, piece, length;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		length = strlen(cases[i].header);
		for (piece = 1; piece < 8; piece++)
			if (is_no(cases[i].header, length, piece) != cases[i].no)
				fail_msg("%s", cases[i].header);
	}
	assert_false(is_no("TLS-Required: No\0\r\n", 19, 100));
	assert_false(is_no("TLS-Required\0: No\r\n", 19, 100));
}

/* However long the lines are, nothing is kept of them. */
static void
test_long(void **state)
{
	struct tls_required scan = { .state = TLS_REQUIRED_LINE };
	char blanks[4096];
	size_t i;

	(void)state;
	memset(blanks, ' ', sizeof(blanks));
	tls_required_scan(&scan, "TLS-Required:", 13);
	for (i = 0; i < 1000; i++)
		tls_required_scan(&scan, blanks, sizeof(blanks));
	tls_required_scan(&scan, "No", 2);
	for (i = 0; i < 1000; i++)
		tls_required_scan(&scan, blanks, sizeof(blanks));
	assert_true(tls_required_is_no(&scan));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
