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

#include "shim/message/address.h"

#define A50	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A250	A50 A50 A50 A50 A50

static struct arena *arena;

static int
setup(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static void
test_accepted(void **state)
{
	static const struct {
		const char *path, *mailbox, *next_hop, *wire;
		bool utf8;
	} cases[] = {
		{ "a@b.example", "a@b.example", "b.example", "a@b.example", false },
		{ "Some.One+tag@B.Example", "Some.One+tag@B.Example", "b.example",
		    "Some.One+tag@B.Example", false },
		{ "a@b.example.", "a@b.example", "b.example", "a@b.example", false },
		{ "a@b", "a@b", "b", "a@b", false },
		{ "!#$%&'*+-/=?^_`{|}~@b.example", "!#$%&'*+-/=?^_`{|}~@b.example", "b.example",
		    "!#$%&'*+-/=?^_`{|}~@b.example", false },
		{ "a..b.@b.example", "a..b.@b.example", "b.example", "a..b.@b.example", false },
		{ ".a@b.example", ".a@b.example", "b.example", ".a@b.example", false },
		{ "-a@b.example", "-a@b.example", "b.example", "-a@b.example", false },
		{ "a@my_host.example", "a@my_host.example", "my_host.example", "a@my_host.example",
		    false },
		{ "a@xn--bcher-kva.example", "a@xn--bcher-kva.example", "xn--bcher-kva.example",
		    "a@xn--bcher-kva.example", false },
		/* Quoted local parts. */
		{ "\"a b\"@c.example", "\"a b\"@c.example", "c.example", "\"a b\"@c.example",
		    false },
		{ "\"a@b\"@c.example", "\"a@b\"@c.example", "c.example", "\"a@b\"@c.example",
		    false },
		{ "\"a\\\"@\\\\\"@c.example", "\"a\\\"@\\\\\"@c.example", "c.example",
		    "\"a\\\"@\\\\\"@c.example", false },
		{ "\"\"@c.example", "\"\"@c.example", "c.example", "\"\"@c.example", false },
		{ "\"<x>\"@c.example", "\"<x>\"@c.example", "c.example", "\"<x>\"@c.example",
		    false },
		/* Source routes. */
		{ "@r.example:a@b.example", "a@b.example", "b.example", "a@b.example", false },
		{ "@r.example,@s.example:a@b.example", "a@b.example", "b.example", "a@b.example",
		    false },
		{ "@[IPv6:2001:db8::1]:a@b.example", "a@b.example", "b.example", "a@b.example",
		    false },
		/* Beyond ASCII. */
		{ "a@b\xc3\xbc"
		  "cher.example",
		    "a@b\xc3\xbc"
		    "cher.example",
		    "xn--bcher-kva.example", "a@xn--bcher-kva.example", true },
		{ "j\xc3\xb6rg@b.example", "j\xc3\xb6rg@b.example", "b.example", NULL, true },
		{ "\"j\xc3\xb6 rg\"@b.example", "\"j\xc3\xb6 rg\"@b.example", "b.example", NULL,
		    true },
		{ "\xf0\x9f\x93\xae@b.example", "\xf0\x9f\x93\xae@b.example", "b.example", NULL,
		    true },
		{ A250 "@b.example", A250 "@b.example", "b.example", A250 "@b.example", false },
	};
	struct address address;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (address_parse(arena, cases[i].path, strlen(cases[i].path), false, &address,
			&why) != 0)
			fail_msg("%s: %s", cases[i].path, why);
		assert_string_equal(address.mailbox, cases[i].mailbox);
		assert_string_equal(address.next_hop, cases[i].next_hop);
		if (cases[i].wire == NULL)
			assert_null(address.wire);
		else
			assert_string_equal(address.wire, cases[i].wire);
		assert_int_equal(address.utf8, cases[i].utf8);
		assert_false(address.literal);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *path;
		size_t length;	/* 0: strlen */
	} cases[] = {
		{ "", 0 },
		{ "a", 0 },
		{ "a@", 0 },
		{ "@", 0 },
		{ "@b.example", 0 },
		{ "postmaster", 0 },
		{ "a@b@c.example", 0 },
		{ "a b@c.example", 0 },
		{ " a@c.example", 0 },
		{ "a@c.example ", 0 },
		{ "a@c .example", 0 },
		{ "a@b..example", 0 },
		{ "a@.example", 0 },
		{ "a@..", 0 },
		{ "a@.", 0 },
		{ "a@-b.example", 0 },
		{ "a@b-.example", 0 },
		{ "a@b.example-", 0 },
		{ "a@c.-b.example", 0 },
		{ "a@b!c.example", 0 },
		{ "a@b/c", 0 },
		{ "a@" A50 A50 ".example", 0 },
		{ "a,b@c.example", 0 },
		{ "a:b@c.example", 0 },
		{ "a;b@c.example", 0 },
		{ "(a)@c.example", 0 },
		{ "<a@c.example", 0 },
		{ "a\\b@c.example", 0 },
		{ "a\"b\"@c.example", 0 },
		{ "\"a@c.example", 0 },
		{ "\"a\\\"@c.example", 0 },
		{ "\"a\"b@c.example", 0 },
		{ "\"a\"", 0 },
		{ "\"a\\", 0 },
		{ "@r.example:", 0 },
		{ "@r.example", 0 },
		{ "@r.example:b", 0 },
		{ "a\x01@b.example", 0 },
		{ "a\x7f@b.example", 0 },
		{ "a@b.example\r", 0 },
		{ "\"a\r\nRCPT TO:<x\"@b.example", 0 },
		{ "\"a\tb\"@c.example", 0 },
		{ "a@b.example\0", 12 },
		{ "a\0@b.example", 12 },
		/* Not UTF-8: lone, overlong, surrogate, beyond Unicode, cut off. */
		{ "\xe4@b.example", 0 },
		{ "\x80@b.example", 0 },
		{ "\xc0\xaf@b.example", 0 },
		{ "\xe0\x80\xaf@b.example", 0 },
		{ "\xed\xa0\x80@b.example", 0 },
		{ "\xf4\x90\x80\x80@b.example", 0 },
		{ "\xf0\x80\x80\xaf@b.example", 0 },
		{ "\xff@b.example", 0 },
		{ "a@b.example\xc3", 0 },
		{ "\xe2\x82@b.example", 0 },
		{ "a@b\xe4.example", 0 },
		{ "a@\xe2\x80\xae.example", 0 },
		{ A250 "aaaaaa@b.example", 0 },
		{ "\"" A250 "aaaa\"@b.example", 0 },
		{ "a@b.example:" A250 A250 A250 A250 A250, 0 },
		/* Address literals that are none. */
		{ "a@[]", 0 },
		{ "a@[", 0 },
		{ "a@[192.0.2.1", 0 },
		{ "a@192.0.2.1]", 0 },
		{ "a@[300.1.1.1]", 0 },
		{ "a@[192.0.2]", 0 },
		{ "a@[2001:db8::1]", 0 },
		{ "a@[IPv6:192.0.2.1]", 0 },
		{ "a@[IPv6:]", 0 },
		{ "a@[IPv6:fe80::1%lo]", 0 },
		{ "a@[192.0.2.1].example", 0 },
		{ "a@[example]", 0 },
		{ "a@[tag:x]", 0 },
		{ "a@[IPv6:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", 0 },
	};
	struct address address = { .mailbox = "untouched" };
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t length = cases[i].length > 0 ? cases[i].length : strlen(cases[i].path);

		why = NULL;
		if (address_parse(arena, cases[i].path, length, false, &address, &why) == 0)
			fail_msg("accepted: %s", cases[i].path);
		assert_non_null(why);
		assert_string_equal(address.mailbox, "untouched");
	}
}

static void
test_literals(void **state)
{
	static const struct {
		const char *path, *next_hop, *ip;
	} cases[] = {
		{ "a@[192.0.2.1]", "[192.0.2.1]", "192.0.2.1" },
		{ "a@[IPv6:2001:DB8:0::1]", "[IPv6:2001:db8::1]", "2001:db8::1" },
		{ "a@[ipv6:::1]", "[IPv6:::1]", "::1" },
		{ "@r.example:a@[192.0.2.1]", "[192.0.2.1]", "192.0.2.1" },
	};
	struct address address;
	struct ip ip;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(address_parse(arena, cases[i].path, strlen(cases[i].path), false,
				     &address, &why),
		    0);
		assert_true(address.literal);
		assert_string_equal(address.next_hop, cases[i].next_hop);
		assert_int_equal(ip_parse(cases[i].ip, &ip), 0);
		assert_true(ip_equal(&address.ip, &ip));
		assert_non_null(address.wire);
	}
}

static void
test_null_sender(void **state)
{
	struct address address;
	const char *why;

	(void)state;
	assert_int_equal(address_parse(arena, "", 0, true, &address, &why), 0);
	assert_string_equal(address.mailbox, "");
	assert_string_equal(address.next_hop, "");
	assert_string_equal(address.wire, "");
	assert_false(address.utf8);
	assert_int_equal(address_parse(arena, "", 0, false, &address, &why), -1);
	/* Only nothing at all is the null sender. */
	assert_int_equal(address_parse(arena, "@r.example:", 11, true, &address, &why), -1);
	assert_int_equal(address_parse(arena, " ", 1, true, &address, &why), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_literals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null_sender, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
