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
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf/conf_value.h"

#define COUNT(table)	(sizeof(table) / sizeof((table)[0]))

#define L63	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L61	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONGEST	L63 "." L63 "." L63 "." L61

static void
test_numbers(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t number;
	} cases[] = {
		{ "0", 0, 0 },
		{ "007", 0, 7 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -1, 0 },
		{ "99999999999999999999999999", -1, 0 },
		{ "", -1, 0 },
		{ "-1", -1, 0 },
		{ "+1", -1, 0 },
		{ " 1", -1, 0 },
		{ "1 ", -1, 0 },
		{ "0x10", -1, 0 },
		{ "1.5", -1, 0 },
		{ "1e3", -1, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		uint64_t number = 0;

		if (conf_number(cases[i].text, &number) != cases[i].result)
			fail_msg("\"%s\"", cases[i].text);
		assert_true(number == cases[i].number);
	}
}

static void
test_durations(void **state)
{
	static const struct {
		const char *text;
		int result;
		int64_t ms;
	} cases[] = {
		{ "0s", 0, 0 },
		{ "1s", 0, 1000 },
		{ "90s", 0, 90000 },
		{ "5m", 0, 300000 },
		{ "24h", 0, 86400000 },
		{ "14d", 0, 1209600000 },
		{ "106751991167d", 0, INT64_C(9223372036828800000) },
		{ "106751991168d", -1, 0 },
		{ "9223372036854775807s", -1, 0 },
		{ "18446744073709551616s", -1, 0 },
		{ "18446744073709552s", -1, 0 },
		{ "", -1, 0 },
		{ "s", -1, 0 },
		{ "30", -1, 0 },
		{ "0", -1, 0 },
		{ "-1s", -1, 0 },
		{ "1.5h", -1, 0 },
		{ "5 m", -1, 0 },
		{ "5M", -1, 0 },
		{ "5S", -1, 0 },
		{ "5ms", -1, 0 },
		{ "5min", -1, 0 },
		{ "1w", -1, 0 },
		{ "1h30m", -1, 0 },
		{ "5m ", -1, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		int64_t ms = 0;

		if (conf_duration(cases[i].text, &ms) != cases[i].result)
			fail_msg("\"%s\"", cases[i].text);
		assert_true(ms == cases[i].ms);
	}
}

static void
test_sizes(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t octets;
	} cases[] = {
		{ "0", 0, 0 },
		{ "104857600", 0, 104857600 },
		{ "64K", 0, 65536 },
		{ "256M", 0, 268435456 },
		{ "17592186044415M", 0, UINT64_C(18446744073708503040) },
		{ "17592186044416M", -1, 0 },
		{ "18446744073709551615K", -1, 0 },
		{ "64k", -1, 0 },
		{ "1G", -1, 0 },
		{ "1KB", -1, 0 },
		{ "1.5M", -1, 0 },
		{ "K", -1, 0 },
		{ "", -1, 0 },
		{ "-1", -1, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		uint64_t octets = 0;

		if (conf_size(cases[i].text, &octets) != cases[i].result)
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].result == 0)
			assert_true(octets == cases[i].octets);
	}
}

static void
test_flags_and_modes(void **state)
{
	static const char *const bad_modes[] = { "", "0", "66", "0668", "00660", "1777", "rw",
		"0o660", "-660", " 660", "660 " };
	static const char *const bad_flags[] = { "", "True", "1", "0", "truee", "enable" };
	mode_t mode;
	bool flag;
	size_t i;

	(void)state;
	assert_int_equal(conf_mode("0660", &mode), 0);
	assert_int_equal(mode, 0660);
	assert_int_equal(conf_mode("777", &mode), 0);
	assert_int_equal(mode, 0777);
	assert_int_equal(conf_mode("0000", &mode), 0);
	assert_int_equal(mode, 0);
	for (i = 0; i < COUNT(bad_modes); i++)
		if (conf_mode(bad_modes[i], &mode) == 0)
			fail_msg("mode \"%s\"", bad_modes[i]);
	assert_true(conf_flag("true", &flag) == 0 && flag);
	assert_true(conf_flag("no", &flag) == 0 && !flag);
	assert_true(conf_flag("on", &flag) == 0 && flag);
	assert_true(conf_flag("false", &flag) == 0 && !flag);
	for (i = 0; i < COUNT(bad_flags); i++)
		if (conf_flag(bad_flags[i], &flag) == 0)
			fail_msg("flag \"%s\"", bad_flags[i]);
}

static void
test_blocks(void **state)
{
	static const struct {
		const char *text, *address;
		int bits;	/* -1: refused */
	} cases[] = {
		{ "192.0.2.0/24", "192.0.2.0", 24 },
		{ "192.0.2.1", "192.0.2.1", 32 },
		{ "192.0.2.1/32", "192.0.2.1", 32 },
		{ "0.0.0.0/0", "0.0.0.0", 0 },
		{ "192.0.2.128/25", "192.0.2.128", 25 },
		{ "2001:db8::/32", "2001:db8::", 32 },
		{ "2001:DB8::1", "2001:db8::1", 128 },
		{ "::/0", "::", 0 },
		{ "192.0.2.1/24", NULL, -1 },
		{ "192.0.2.128/24", NULL, -1 },
		{ "2001:db8::1/64", NULL, -1 },
		{ "192.0.2.0/33", NULL, -1 },
		{ "2001:db8::/129", NULL, -1 },
		{ "192.0.2.0/", NULL, -1 },
		{ "192.0.2.0/-1", NULL, -1 },
		{ "192.0.2.0/24/8", NULL, -1 },
		{ "192.0.2.0/4294967320", NULL, -1 },
		{ "192.0.2", NULL, -1 },
		{ "[2001:db8::]/32", NULL, -1 },
		{ "localhost", NULL, -1 },
		{ "", NULL, -1 },
		{ "/24", NULL, -1 },
	};
	char address[IP_TEXT_MAX];
	struct conf_block block;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if ((conf_block(cases[i].text, &block, &why) == 0) != (cases[i].bits >= 0))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].bits < 0) {
			assert_int_equal(strncmp(why, "must ", 5), 0);
			continue;
		}
		ip_format(&block.ip, address);
		assert_string_equal(address, cases[i].address);
		assert_int_equal(block.bits, cases[i].bits);
	}
}

static void
test_servers(void **state)
{
	static const struct {
		const char *text, *address;
		int port;	/* -1: refused */
	} cases[] = {
		{ "127.0.0.1", "127.0.0.1", 53 },
		{ "192.0.2.53@5353", "192.0.2.53", 5353 },
		{ "2001:db8::53", "2001:db8::53", 53 },
		{ "::1@65535", "::1", 65535 },
		{ "127.0.0.1@0", NULL, -1 },
		{ "127.0.0.1@65536", NULL, -1 },
		{ "127.0.0.1@", NULL, -1 },
		{ "127.0.0.1:53", NULL, -1 },
		{ "127.0.0.1@53@53", NULL, -1 },
		{ "[::1]@53", NULL, -1 },
		{ "ns.example.com", NULL, -1 },
		{ "", NULL, -1 },
		{ "@53", NULL, -1 },
	};
	char address[IP_TEXT_MAX];
	struct conf_server server;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if ((conf_server(cases[i].text, &server) == 0) != (cases[i].port >= 0))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].port < 0)
			continue;
		ip_format(&server.ip, address);
		assert_string_equal(address, cases[i].address);
		assert_int_equal(server.port, cases[i].port);
	}
}

static void
test_places(void **state)
{
	static const struct {
		const char *text, *host;
		int port;	/* -1: refused */
		bool literal;
	} cases[] = {
		{ "mail.example.com", "mail.example.com", 0, false },
		{ "MAIL.Example.com.", "mail.example.com", 0, false },
		{ "mail.example.com:587", "mail.example.com", 587, false },
		{ "mail.bücher.example:26", "mail.xn--bcher-kva.example", 26, false },
		{ "mailhub", "mailhub", 0, false },
		{ "[192.0.2.1]", "192.0.2.1", 0, true },
		{ "[192.0.2.1]:25", "192.0.2.1", 25, true },
		{ "[2001:DB8::1]", "2001:db8::1", 0, true },
		{ "[2001:db8::1]:65535", "2001:db8::1", 65535, true },
		{ "192.0.2.1:25", "192.0.2.1", 25, true },
		{ LONGEST ":1", LONGEST, 1, false },
		{ "2001:db8::1", NULL, -1, false },
		{ "::1", NULL, -1, false },
		{ "mail.example.com:", NULL, -1, false },
		{ "mail.example.com:0", NULL, -1, false },
		{ "mail.example.com:65536", NULL, -1, false },
		{ "mail.example.com:smtp", NULL, -1, false },
		{ "mail.example.com:25:25", NULL, -1, false },
		{ "[192.0.2.1]25", NULL, -1, false },
		{ "[192.0.2.1]:", NULL, -1, false },
		{ "[192.0.2.1", NULL, -1, false },
		{ "[mail.example.com]", NULL, -1, false },
		{ "[]", NULL, -1, false },
		{ "[192.0.2.256]", NULL, -1, false },
		{ "user@mail.example.com", NULL, -1, false },
		{ "mail example.com", NULL, -1, false },
		{ "a..b", NULL, -1, false },
		{ "*.example.com", NULL, -1, false },
		{ "x" LONGEST, NULL, -1, false },
		{ ":25", NULL, -1, false },
		{ "", NULL, -1, false },
		{ ".", NULL, -1, false },
	};
	struct conf_place place;
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if ((conf_place(cases[i].text, &place, &why) == 0) != (cases[i].port >= 0))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].port < 0) {
			assert_int_equal(strncmp(why, "must ", 5), 0);
			continue;
		}
		assert_string_equal(place.host, cases[i].host);
		assert_int_equal(place.port, cases[i].port);
		assert_int_equal(place.literal, cases[i].literal);
	}
}

static void
test_patterns(void **state)
{
	static const struct {
		const char *text, *pattern;
	} cases[] = {
		{ "example.com", "example.com" },
		{ "*.Example.COM.", "*.example.com" },
		{ "*.bücher.example", "*.xn--bcher-kva.example" },
		{ "*.com", "*.com" },
		{ "*." LONGEST, "*." LONGEST },
		{ ".", "." },
		{ "*", NULL },
		{ "*.", NULL },
		{ "*.*.example.com", NULL },
		{ "m*.example.com", NULL },
		{ "mx.*.com", NULL },
		{ ".example.com", NULL },
		{ "..", NULL },
		{ "", NULL },
		{ "[192.0.2.1]", NULL },
		{ "192.0.2.1", NULL },
		{ "example.com:25", NULL },
	};
	char pattern[CONF_PATTERN_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if ((conf_pattern(cases[i].text, true, pattern) == 0) != (cases[i].pattern != NULL))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].pattern != NULL)
			assert_string_equal(pattern, cases[i].pattern);
	}
	assert_int_equal(conf_pattern(".", false, pattern), -1);
}

static void
test_proxies(void **state)
{
	static const struct {
		const char *text, *url;
	} cases[] = {
		{ "proxy.example.com:3128", "http://proxy.example.com:3128" },
		{ "http://proxy.example.com:3128", "http://proxy.example.com:3128" },
		{ "HTTP://Proxy.Example.com:3128/", "http://proxy.example.com:3128" },
		{ "http://proxy.example.com", "http://proxy.example.com:80" },
		{ "http://u:p@proxy.example.com:3128", "http://u:p@proxy.example.com:3128" },
		{ "192.0.2.1:3128", "http://192.0.2.1:3128" },
		{ "http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128" },
		{ "[192.0.2.1]:3128", "http://192.0.2.1:3128" },
		{ "proxy.example.com", NULL },
		{ "https://proxy.example.com:3128", NULL },
		{ "socks5://proxy.example.com:1080", NULL },
		{ "http://proxy.example.com:3128/path", NULL },
		{ "http://proxy.example.com:3128//", NULL },
		{ "http://proxy.example.com:0", NULL },
		{ "http://", NULL },
		{ "http:///", NULL },
		{ "http://user:pass@", NULL },
		{ "http://pro xy:3128", NULL },
		{ "user:pass@proxy.example.com:3128", NULL },
		{ ":3128", NULL },
		{ "", NULL },
	};
	char url[512], tiny[10];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if ((conf_proxy(cases[i].text, url, sizeof(url)) == 0) != (cases[i].url != NULL))
			fail_msg("\"%s\"", cases[i].text);
		if (cases[i].url != NULL)
			assert_string_equal(url, cases[i].url);
	}
	assert_int_equal(conf_proxy("proxy.example.com:3128", tiny, sizeof(tiny)), -1);
}

static void
test_mail_addresses(void **state)
{
	static const char *const good[] = { "a@b", "tls-reports@example.com", "a+b@bücher.example",
		"böb@example.com" };
	static const char *const bad[] = { "", "a", "@b", "a@", "a b@example.com", "<a@b>",
		"a@b,c@d", "a@b\"", "A <a@b>", "a@[192.0.2.1]", "a@192.0.2.1", "a@b c" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++)
		if (!conf_is_mail_address(good[i]))
			fail_msg("%s", good[i]);
	for (i = 0; i < COUNT(bad); i++)
		if (conf_is_mail_address(bad[i]))
			fail_msg("%s", bad[i]);
}

static void
test_files(void **state)
{
	(void)state;
	assert_int_equal(conf_file_error("/dev/null"), 0);
	assert_int_equal(conf_file_error("/nonexistent/file"), ENOENT);
	assert_int_equal(conf_file_error("/tmp"), EISDIR);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_flags_and_modes),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_proxies),
		cmocka_unit_test(test_mail_addresses),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
