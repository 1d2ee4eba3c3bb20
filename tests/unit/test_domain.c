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

#include "base/domain.h"

#define L63	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
test_accepted(void **state)
{
	static const struct {
		const char *text, *name;
	} cases[] = {
		{ "example.com", "example.com" },
		{ "Example.COM.", "example.com" },
		{ "localhost", "localhost" },
		{ "a", "a" },
		{ "a.b.c.d.e.f", "a.b.c.d.e.f" },
		{ "_dmarc.my_host.example", "_dmarc.my_host.example" },
		{ "3com.example", "3com.example" },
		{ "1.2.3.4", "1.2.3.4" },
		{ "r3---sn-x.example", "r3---sn-x.example" },
		{ "-x.example", "-x.example" },
		{ "XN--NXASMQ6B.example", "xn--nxasmq6b.example" },
		{ "xn--999999999.example", "xn--999999999.example" },
		{ L63 ".example", L63 ".example" },
		{ L63 "." L63 "." L63 "." L61, L63 "." L63 "." L63 "." L61 },
		{ L63 "." L63 "." L63 "." L61 ".", L63 "." L63 "." L63 "." L61 },
		{ "bücher.example", "xn--bcher-kva.example" },
		{ "BÜCHER.Example.", "xn--bcher-kva.example" },
		{ "bu\xcc\x88"
		  "cher.example",
		    "xn--bcher-kva.example" },
		{ "faß.example", "xn--fa-hia.example" },
		{ "x.ñaca.com", "x.xn--aca-6ma.com" },
		{ "møx.example", "xn--mx-lka.example" },
		{ "例え。テスト", "xn--r8jz45g.xn--zckzah" },
		{ "例え.テスト。", "xn--r8jz45g.xn--zckzah" },
		{ "my_host.bücher.example", "my_host.xn--bcher-kva.example" },
		{ "παράδειγμα.δοκιμή", "xn--hxajbheg2az3al.xn--jxalpdlp" },
		{ "i❤.example", "xn--i-7iq.example" },
		{ "I❤.Example.", "xn--i-7iq.example" },
		{ "💩.bücher.example", "xn--ls8h.xn--bcher-kva.example" },
		{ "☃.example", "xn--n3h.example" },
	};
	struct domain domain, again;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (domain_parse(cases[i].text, strlen(cases[i].text), &domain) != 0)
			fail_msg("%s was refused", cases[i].text);
		assert_string_equal(domain.name, cases[i].name);
		assert_true(domain_is_host(domain.name));
		assert_int_equal(domain_parse(domain.name, strlen(domain.name), &again), 0);
		assert_string_equal(again.name, domain.name);
	}
}

static void
test_refused(void **state)
{
	static const char *const cases[] = { "", ".", "..", ".example.com", "example..com",
		"example.com..", "a b.example", " example.com", "example.com ", "ex\tample",
		"exa/mple", "user@example", "[192.0.2.1]", "192.0.2.1:25", "a*b.example",
		"*.example.com", "example.com\n", "a%b", "a\\b", "\"a\"", "a,b", L63 "a.example",
		L63 "." L63 "." L63 "." L61 "a", "\xff.example", "\xc3.example",
		"b\xc3\xbc\xe2.example", "\xed\xa0\x80.example", "\xc0\xaf.example", "ü..example",
		".ü.example", "。", "ü.example..", "ü.example.。", "ü ü.example", "ü/x.example",
		"\xe2\x84\x80.example", "x\xe2\x80\xae.example", "xn--999999999.ü.example",
		"ü@example", "\xef\xbc\x8f.example",
		/* Another name by one mapping than by another. */
		"fa\xc3\x9f❤.example", "❤\xcf\x82.example", "👨\xe2\x80\x8d👩.example", "❤ ❤.example",
		"❤/x.example", "❤..example", "❤\xe2\x80\xae.example" };
	struct domain domain = { "untouched" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (domain_parse(cases[i], strlen(cases[i]), &domain) != -1)
			fail_msg("%s was accepted as %s", cases[i], domain.name);
		assert_string_equal(domain.name, "untouched");
	}
	assert_int_equal(domain_parse("exam\0ple.com", 12, &domain), -1);
	assert_int_equal(domain_parse("example.com\0", 12, &domain), -1);
	assert_int_equal(domain_parse("\xc3\xbc.example\0", 11, &domain), -1);
}

static void
test_length_counts_not_the_nul(void **state)
{
	struct domain domain;

	(void)state;
	assert_int_equal(domain_parse("example.com>", 11, &domain), 0);
	assert_string_equal(domain.name, "example.com");
	assert_int_equal(domain_parse("bücher.example>", 15, &domain), 0);
	assert_string_equal(domain.name, "xn--bcher-kva.example");
}

static void
test_huge(void **state)
{
	static char text[70000];
	struct domain domain;

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	assert_int_equal(domain_parse(text, sizeof(text) - 1, &domain), -1);
	assert_false(domain_is_host(text));
	memcpy(text, "ü", 2);
	assert_int_equal(domain_parse(text, sizeof(text) - 1, &domain), -1);
	assert_int_equal(domain_parse(text, 1024, &domain), -1);
}

static void
test_host(void **state)
{
	(void)state;
	assert_true(domain_is_host("mail.example.com"));
	assert_true(domain_is_host("MAIL_1.example"));
	assert_true(domain_is_host(L63 "." L63 "." L63 "." L61));
	assert_false(domain_is_host(L63 "." L63 "." L63 "." L61 "a"));
	assert_false(domain_is_host(L63 "a"));
	assert_false(domain_is_host(""));
	assert_false(domain_is_host("."));
	assert_false(domain_is_host("mail.example.com."));
	assert_false(domain_is_host("mail..com"));
	assert_false(domain_is_host("mail.example.com\r\n"));
	assert_false(domain_is_host("m\xc3\xb8x.example"));
	assert_false(domain_is_host("a b"));
	assert_false(domain_is_host("a:b"));
}

static void
test_equal(void **state)
{
	(void)state;
	assert_true(domain_equal("Example.com", "example.COM."));
	assert_true(domain_equal("", ""));
	assert_true(domain_equal(".", ""));
	assert_false(domain_equal("example.com", "example.com.."));
	assert_false(domain_equal("example.com", "example.co"));
	assert_false(domain_equal("example.com", "example.net"));
	assert_false(domain_equal("a[.example", "a{.example"));
	assert_false(domain_equal("a@", "a`"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_length_counts_not_the_nul),
		cmocka_unit_test(test_huge),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
