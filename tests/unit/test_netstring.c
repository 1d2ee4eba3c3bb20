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

#include "base/limits.h"
#include "base/netstring.h"

#define LIMIT	20

static void
test_parse(void **state)
{
	static const struct {
		const char *octets;
		enum netstring_status status;
		const char *payload;	/* OK */
		size_t used;
	} cases[] = {
		{ "5:hello,", NETSTRING_OK, "hello", 8 },
		{ "5:hello,3:", NETSTRING_OK, "hello", 8 },
		{ "0:,", NETSTRING_OK, "", 3 },
		{ "20:12345678901234567890,", NETSTRING_OK, "12345678901234567890", 24 },
		{ "3:a,b,", NETSTRING_OK, "a,b", 6 },
		{ "", NETSTRING_MORE, NULL, 0 },
		{ "5", NETSTRING_MORE, NULL, 0 },
		{ "0", NETSTRING_MORE, NULL, 0 },
		{ "5:", NETSTRING_MORE, NULL, 0 },
		{ "5:hello", NETSTRING_MORE, NULL, 0 },
		/* H21 */
		{ "01:a,", NETSTRING_BAD, NULL, 0 },
		{ "00:,", NETSTRING_BAD, NULL, 0 },
		{ ":,", NETSTRING_BAD, NULL, 0 },
		{ "x:a,", NETSTRING_BAD, NULL, 0 },
		{ "2:a,", NETSTRING_MORE, NULL, 0 },
		{ "1:ab", NETSTRING_BAD, NULL, 0 },
		{ "21:123456789012345678901,", NETSTRING_BAD, NULL, 0 },
		{ "21", NETSTRING_BAD, NULL, 0 },
		{ "99999999999999999999999999", NETSTRING_BAD, NULL, 0 },
		{ "18446744073709551617:a,", NETSTRING_BAD, NULL, 0 },
		{ "-1:a,", NETSTRING_BAD, NULL, 0 },
		{ "+1:a,", NETSTRING_BAD, NULL, 0 },
		{ " 1:a,", NETSTRING_BAD, NULL, 0 },
		{ "1 :a,", NETSTRING_BAD, NULL, 0 },
		{ "1;a,", NETSTRING_BAD, NULL, 0 },
		{ "1:a\n", NETSTRING_BAD, NULL, 0 },
	};
	const char *payload;
	size_t i, length, used;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum netstring_status status = netstring_parse(cases[i].octets,
		    strlen(cases[i].octets), LIMIT, &payload, &length, &used);

		if (status != cases[i].status)
			fail_msg("%s: status %d", cases[i].octets, (int)status);
		if (status != NETSTRING_OK)
			continue;
		assert_int_equal(used, cases[i].used);
		assert_int_equal(length, strlen(cases[i].payload));
		assert_memory_equal(payload, cases[i].payload, length);
	}
}

/* Every beginning of a good one asks for more: a peer may write octet by octet. */
static void
test_octet_by_octet(void **state)
{
	static const char whole[] = "15:sts example.com,";
	const char *payload;
	size_t i, length, used;

	(void)state;
	for (i = 0; i < strlen(whole); i++)
		assert_int_equal(netstring_parse(whole, i, LIMIT, &payload, &length, &used),
		    NETSTRING_MORE);
	assert_int_equal(netstring_parse(whole, i, LIMIT, &payload, &length, &used), NETSTRING_OK);
	assert_int_equal(length, 15);
}

static void
test_add(void **state)
{
	struct buf buf = { 0 };
	char big[LIMIT_NETSTRING_OUT];

	(void)state;
	netstring_add(&buf, "NOTFOUND ", 9);
	netstring_add(&buf, "", 0);
	netstring_add(&buf, "a\0b", 3);
	assert_int_equal(buf.length, 12 + 3 + 6);
	assert_memory_equal(buf.data, "9:NOTFOUND ,0:,3:a\0b,", buf.length);
	buf_clear(&buf);
	memset(big, 'x', sizeof(big));
	netstring_add(&buf, big, sizeof(big));
	assert_int_equal(buf.length, LIMIT_NETSTRING_OUT + NETSTRING_FRAME);
	buf_free(&buf);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_octet_by_octet),
		cmocka_unit_test(test_add),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
