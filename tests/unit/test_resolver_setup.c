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

#include "policy/dns/resolver_setup.h"

static void
test_resolv_conf(void **state)
{
	static const struct {
		const char *text, *servers;	/* joined by spaces */
	} cases[] = {
		{ "nameserver 192.0.2.1\n", "192.0.2.1@53" },
		{ "search a.example\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0\n",
		    "192.0.2.1@53 2001:db8::1@53" },
		{ "nameserver \t 192.0.2.1 \t # office\nnameserver\t192.0.2.2\r\nnameserver ::1",
		    "192.0.2.1@53 192.0.2.2@53 ::1@53" },
		{ "nameserver fe80::1%eth0\n", "fe80::1%eth0@53" },
		{ "#nameserver 192.0.2.1\n; nameserver 192.0.2.2\nnameserver 192.0.2.3\n",
		    "192.0.2.3@53" },
		{ "nameservers 192.0.2.1\n nameserver 192.0.2.2\n", "127.0.0.1@53" },
		{ "nameserver\nnameserver resolver.example\nnameserver 192.0.2.1@5353\n",
		    "127.0.0.1@53" },
		{ "nameserver 192.0.2.1\"\nnameserver fe80::1%\nnameserver fe80::1%a\"b\n",
		    "127.0.0.1@53" },
		{ "nameserver fe80::1%an-interface-with-a-long-name\n", "127.0.0.1@53" },
		{ "", "127.0.0.1@53" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct resolver_servers servers = { .count = 7 };
		char joined[512] = "";

		resolver_setup_resolv_conf(cases[i].text, &servers);
		for (size_t j = 0; j < servers.count; j++) {
			strcat(joined, j > 0 ? " " : "");
			strcat(joined, servers.at[j]);
		}
		assert_string_equal(joined, cases[i].servers);
	}
}

static void
test_more_servers_than_there_is_room_for(void **state)
{
	struct resolver_servers servers;
	struct buf text = { 0 };

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_printf(&text, "nameserver 192.0.2.%d\n", i);
	resolver_setup_resolv_conf(buf_text(&text), &servers);
	assert_int_equal(servers.count, RESOLVER_SERVERS_MAX);
	buf_free(&text);
}

static void
test_anchor_owners(void **state)
{
	static const struct {
		const char *text;
		size_t count;
		const char *first, *last;
	} cases[] = {
		{ ". IN DNSKEY 257 3 8 AwEAAa ; keytag 20326\n. IN DNSKEY 257 3 8 AwEAAb\n", 1, ".",
		    "." },
		{ "; comment\n\n$TTL 60\nexample. DS 1 8 2 00\nEXAMPLE. DS 2 8 2 00\n"
		  "lab. DS 3 8 2 00",
		    2, "example.", "lab." },
		{ ".\t172800 IN DNSKEY 257 3 8 ( AwEAAa\nAwEAAb ; (\nAwEAAc )\n"
		  "org. DS 1 8 2 00\n",
		    2, ".", "org." },
		{ "", 0, NULL, NULL },
		{ " . IN DS 1 8 2 00\n", 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct resolver_anchors anchors = { .count = 0 };

		resolver_setup_anchors(cases[i].text, &anchors);
		assert_int_equal(anchors.count, cases[i].count);
		if (anchors.count == 0)
			continue;
		assert_string_equal(anchors.at[0], cases[i].first);
		assert_string_equal(anchors.at[anchors.count - 1], cases[i].last);
	}
}

static void
test_unbound_conf(void **state)
{
	static char corp[] = "corp.lan", lab[] = "lab.test", *insecure[] = { corp };
	struct conf_server own = { .port = 5300 }, forwarder = { .port = 53 };
	struct conf_zone zone = { lab, &own, 1 };
	struct resolver_servers servers = { .count = 0 };
	struct conf conf = { .hostname = NULL };
	struct buf text = { 0 };

	(void)state;
	ip_parse("2001:db8::53", &own.ip);
	ip_parse("192.0.2.53", &forwarder.ip);
	conf.dns.insecure = (struct conf_strings){ insecure, 1 };
	conf.dns.zones = &zone;
	conf.dns.zone_count = 1;
	resolver_setup_unbound(&conf, &servers, RESOLVER_BY_SERVERS, false, &text);
	assert_non_null(strstr(text.data, "domain-insecure: \"corp.lan.\"\n"));
	assert_non_null(strstr(text.data, "local-zone: \"corp.lan.\" transparent\n"));
	assert_non_null(strstr(text.data, "local-zone: \"lab.test.\" transparent\n"));
	assert_non_null(strstr(text.data,
	    "forward-zone:\n  name: \"lab.test.\"\n  forward-addr: 2001:db8::53@5300\n"));
	assert_null(strstr(text.data, "name: \".\""));
	buf_clear(&text);
	assert_true(resolver_servers_add(&servers, &forwarder));
	resolver_setup_unbound(&conf, &servers, RESOLVER_BY_SERVERS, true, &text);
	assert_non_null(strstr(text.data,
	    "forward-zone:\n  name: \".\"\n  forward-addr: 192.0.2.53@53\n"));
	assert_non_null(strstr(text.data, "module-config: \"validator iterator\"\n"));
	buf_clear(&text);
	resolver_setup_unbound(&conf, &servers, RESOLVER_UNVALIDATED, true, &text);
	assert_non_null(strstr(text.data, "module-config: \"iterator\"\n"));
	assert_non_null(strstr(text.data,
	    "forward-zone:\n  name: \".\"\n  forward-addr: 192.0.2.53@53\n"));
	buf_free(&text);
}

/* From the root on, but for the site's own names: those with a zone at its servers, and those that
 * are insecure at the configured ones. */
static void
test_unbound_conf_around_the_servers(void **state)
{
	static char corp[] = "corp.lan", lab[] = "lab.test", below[] = "dept.lab.test";
	static char *insecure[] = { corp, lab, below };
	struct conf_server own = { .port = 5300 }, forwarder = { .port = 53 };
	struct conf_zone zone = { lab, &own, 1 };
	struct resolver_servers servers = { .count = 0 };
	struct conf conf = { .hostname = NULL };
	struct resolver_sites *sites;
	struct buf text = { 0 };

	(void)state;
	ip_parse("192.0.2.99", &own.ip);
	ip_parse("192.0.2.53", &forwarder.ip);
	conf.dns.insecure = (struct conf_strings){ insecure, 3 };
	conf.dns.zones = &zone;
	conf.dns.zone_count = 1;
	assert_true(resolver_servers_add(&servers, &forwarder));
	resolver_setup_unbound(&conf, &servers, RESOLVER_AROUND, false, &text);
	assert_non_null(strstr(text.data,
	    "forward-zone:\n  name: \"corp.lan.\"\n  forward-addr: 192.0.2.53@53\n"));
	assert_non_null(strstr(text.data,
	    "forward-zone:\n  name: \"lab.test.\"\n  forward-addr: 192.0.2.99@5300\n"));
	assert_null(strstr(text.data, "name: \"dept.lab.test.\""));
	assert_null(strstr(text.data, "name: \".\""));
	assert_non_null(strstr(text.data, "domain-insecure: \"corp.lan.\"\n"));
	buf_free(&text);
	sites = resolver_sites_new(&conf);
	assert_true(resolver_sites_have(sites, "corp.lan"));
	assert_true(resolver_sites_have(sites, "A.Corp.LAN."));
	assert_true(resolver_sites_have(sites, "x.dept.lab.test"));
	assert_false(resolver_sites_have(sites, "xcorp.lan"));
	assert_false(resolver_sites_have(sites, "lan"));
	assert_false(resolver_sites_have(sites, ""));
	resolver_sites_free(sites);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resolv_conf),
		cmocka_unit_test(test_more_servers_than_there_is_room_for),
		cmocka_unit_test(test_anchor_owners),
		cmocka_unit_test(test_unbound_conf),
		cmocka_unit_test(test_unbound_conf_around_the_servers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
