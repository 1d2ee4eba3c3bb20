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
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "base/ip.h"

static void
test_parse_and_format(void **state)
{
	static const struct {
		const char *text, *formatted;
		bool v6;
	} cases[] = {
		{ "192.0.2.1", "192.0.2.1", false },
		{ "0.0.0.0", "0.0.0.0", false },
		{ "255.255.255.255", "255.255.255.255", false },
		{ "::", "::", true },
		{ "::1", "::1", true },
		{ "2001:DB8:0:0:0:0:0:1", "2001:db8::1", true },
		{ "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", true },
		{ "2001:0:0:1:0:0:0:1", "2001:0:0:1::1", true },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", true },
		{ "::ffff:192.0.2.1", "::ffff:192.0.2.1", true },
		{ "64:ff9b::192.0.2.1", "64:ff9b::c000:201", true },
		{ "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true },
	};
	char text[IP_TEXT_MAX];
	struct ip ip, again;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ip_parse(cases[i].text, &ip), 0);
		assert_int_equal(ip.v6, cases[i].v6);
		ip_format(&ip, text);
		assert_string_equal(text, cases[i].formatted);
		assert_int_equal(ip_parse(text, &again), 0);
		assert_true(ip_equal(&ip, &again));
	}
}

static void
test_what_is_no_address(void **state)
{
	static const char *const cases[] = { "", " ", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1",
		"1.2.3.4 ", " 1.2.3.4", "01.2.3.4", "0x1.2.3.4", "1.2.3.4:25", "[::1]", "::1%lo",
		"fe80::1%eth0", ":::", "1::2::3", "12345::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
		"localhost", "::g", "IPv6:::1", "1.2.3.4/32" };
	struct ip ip = { .v6 = true, .octets = { 42 } };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ip_parse(cases[i], &ip), -1);
		assert_int_equal(ip.octets[0], 42);
	}
}

static void
test_equal(void **state)
{
	struct ip a, b, mapped, noise = { .v6 = false, .octets = { 1, 2, 3, 4, 5, 6 } };

	(void)state;
	assert_int_equal(ip_parse("1.2.3.4", &a), 0);
	assert_int_equal(ip_parse("1.2.3.5", &b), 0);
	assert_int_equal(ip_parse("::ffff:1.2.3.4", &mapped), 0);
	assert_true(ip_equal(&a, &a));
	assert_true(ip_equal(&a, &noise));
	assert_false(ip_equal(&a, &b));
	assert_false(ip_equal(&a, &mapped));
	assert_int_equal(ip_parse("102:304::", &b), 0);
	assert_false(ip_equal(&a, &b));
}

/* Both edges of every special block, and their neighbours. */
static void
test_public(void **state)
{
	static const char *const public[] = { "1.0.0.0", "9.255.255.255", "11.0.0.0",
		"100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255",
		"169.255.0.0", "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.0.9",
		"192.0.0.10", "192.0.1.0", "192.0.1.255", "192.0.3.0", "192.88.98.255",
		"192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
		"198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
		"8.8.8.8", "2000::", "2001:200::", "2001:4860:4860::8888",
		"2001:db7:ffff::", "2001:db9::", "2001:1::1", "2001:1::2", "2001:1::3",
		"2001:3::", "2001:3:ffff::", "2001:4:112::", "2001:4:112:ffff::1",
		"2001:20::", "2001:2f:ffff::", "2001:30::", "2001:3f:ffff::1",
		"2003::", "2620:4f:8000::1", "2a00::1",
		"3ffe:ffff::", "3fff:1000::", "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1" };
	static const char *const private[] = { "0.0.0.0", "0.255.255.255", "10.0.0.0",
		"10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.0", "127.0.0.1",
		"127.255.255.255", "169.254.0.0", "169.254.169.254", "169.254.255.255",
		"172.16.0.0", "172.31.255.255", "192.0.0.0", "192.0.0.8", "192.0.0.11",
		"192.0.0.170", "192.0.0.255", "192.0.2.0", "192.0.2.255", "192.88.99.0",
		"192.88.99.255", "192.168.0.0", "192.168.255.255", "198.18.0.0", "198.19.255.255",
		"198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0",
		"239.255.255.255", "240.0.0.0", "255.255.255.254", "255.255.255.255", "::", "::1",
		"::2", "::8.8.8.8", "::fffe:8.8.8.8", "::1:0:0:0",
		"64:ff9b:1::", "64:ff9b:1:ffff::8.8.8.8", "64:ff9b::1:808:808",
		"100::", "100:0:0:1::", "1fff:ffff::", "2001::", "2001:0:808:808::1",
		"2001:1::", "2001:1::4", "2001:2::", "2001:4:111::", "2001:4:113::", "2001:10::",
		"2001:40::", "2001:1ff:ffff::", "2001:db8::", "2001:db8:ffff::1",
		"3fff::", "3fff:fff:ffff::1", "4000::", "5f00::", "5f00:ffff::1",
		"fbff::", "fc00::", "fdff:ffff::1", "fe00::", "fe80::1", "febf:ffff::", "fec0::1",
		"feff:ffff::", "ff00::", "ff02::1", "ffff::", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
		"::ffff:192.168.1.1", "64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "2002:7f00:1::1",
		"2002:a00:1::1", "2002:c0a8:101::" };
	struct ip ip;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(public) / sizeof(public[0]); i++) {
		assert_int_equal(ip_parse(public[i], &ip), 0);
		if (!ip_is_public(&ip))
			fail_msg("%s is public", public[i]);
	}
	for (i = 0; i < sizeof(private) / sizeof(private[0]); i++) {
		assert_int_equal(ip_parse(private[i], &ip), 0);
		if (ip_is_public(&ip))
			fail_msg("%s is not public", private[i]);
	}
}

static void
test_self(void **state)
{
	static const char *const self[] = { "127.0.0.1", "127.255.255.255", "0.0.0.0", "0.1.2.3",
		"::", "::1", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "64:ff9b::127.0.0.1",
		"2002:7f00:1::1" };
	static const char *const other[] = { "126.255.255.255", "128.0.0.0", "10.0.0.1", "1.0.0.0",
		"::2", "::1:0", "100::1", "fe80::1", "::ffff:10.0.0.1", "2001:db8::1",
		"2002:a00:1::" };
	struct ip ip;

	(void)state;
	for (size_t i = 0; i < sizeof(self) / sizeof(self[0]); i++) {
		assert_int_equal(ip_parse(self[i], &ip), 0);
		if (!ip_is_self(&ip))
			fail_msg("%s is this host", self[i]);
	}
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
		assert_int_equal(ip_parse(other[i], &ip), 0);
		if (ip_is_self(&ip))
			fail_msg("%s is another host", other[i]);
	}
}

static void
test_sockaddr_round_trip(void **state)
{
	static const char *const cases[] = { "192.0.2.7", "2001:db8::7" };
	struct sockaddr_storage address;
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	struct ip ip, back;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(ip_parse(cases[i], &ip), 0);
		memset(&address, 0xff, sizeof(address));
		if (ip.v6) {
			assert_int_equal(ip_to_sockaddr(&ip, 25, &address),
			    sizeof(struct sockaddr_in6));
			assert_int_equal(((struct sockaddr_in6 *)&address)->sin6_port, htons(25));
			assert_int_equal(((struct sockaddr_in6 *)&address)->sin6_scope_id, 0);
		} else {
			assert_int_equal(ip_to_sockaddr(&ip, 25, &address),
			    sizeof(struct sockaddr_in));
			assert_int_equal(((struct sockaddr_in *)&address)->sin_port, htons(25));
		}
		assert_int_equal(ip_from_sockaddr((struct sockaddr *)&address, &back), 0);
		assert_true(ip_equal(&ip, &back));
	}
	assert_int_equal(ip_from_sockaddr((struct sockaddr *)&local, &back), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_and_format),
		cmocka_unit_test(test_what_is_no_address),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_self),
		cmocka_unit_test(test_sockaddr_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
