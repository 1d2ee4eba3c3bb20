/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Which servers a resolver asks, and what its self-test makes of them. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/resolver_world.h"

static void
test_forward(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(*state), RESOLVER_VALIDATES);
	assert_string_equal(asked(*state), "192.0.2.1@53");
	assert_int_equal(anchors_asked, 2);
}

static void
test_recurse(void **state)
{
	start(*state, DNS_MODE_RECURSE, "192.0.2.1");
	assert_int_equal(health(*state), RESOLVER_VALIDATES);
	assert_string_equal(asked(*state), "root");
}

static void
test_recursion_that_does_not_validate(void **state)
{
	root_validates = false;
	start(*state, DNS_MODE_RECURSE, "192.0.2.1");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
}

static void
test_forwarder_that_drops_dnssec_is_passed_by(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_RECURSES);
	assert_string_equal(asked(*state), "root");
	assert_engines(2);	/* one asks the servers whether a name that is absent is so there */
}

/* They are tried again after 5 s. */
static void
test_forwarder_that_works_again_is_asked_again(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_RECURSES);
	heals = true;
	assert_health(*state, RESOLVER_VALIDATES);
	assert_string_equal(asked(*state), "192.0.2.2@53");
	assert_engines(1);
}

static void
test_broken_is_left_when_the_servers_work_again(void **state)
{
	char words[RESOLVER_FAULT_MAX];

	root_validates = false;
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
	assert_int_equal(resolver_fault(((struct fixture *)*state)->resolver, words),
	    RESOLVER_BROKEN);
	assert_non_null(strstr(words, "192.0.2.2"));
	heals = true;
	assert_health(*state, RESOLVER_VALIDATES);
	assert_int_equal(resolver_fault(((struct fixture *)*state)->resolver, words),
	    RESOLVER_VALIDATES);
	assert_string_equal(words, "");
}

/* A name that only the root reports as absent is not known; one that the servers do not know either
 * is absent. */
static void
test_absence_while_the_servers_are_passed_by(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_state state;
	} rows[] = {
		{ "host.example", DNS_MX, DNS_SECURE },
		{ "nobody.example", DNS_MX, DNS_SECURE },
		{ "only.example", DNS_MX, DNS_FAILED },
		{ "only.example", DNS_A, DNS_FAILED },
		{ "only.example", DNS_AAAA, DNS_FAILED },
		{ "only.example", DNS_TXT, DNS_SECURE },	/* nothing bounces for that */
		{ "fail.example", DNS_MX, DNS_FAILED },
		{ "only.corp.lan", DNS_MX, DNS_SECURE },	/* asked of the servers anyway */
		{ "only.Zone.lan", DNS_MX, DNS_SECURE },
		{ "only.xcorp.lan", DNS_MX, DNS_FAILED },
	};
	static char corp[] = "corp.lan", zone[] = "zone.lan";
	struct fixture *fixture = *state;
	char *insecure[] = { corp };
	struct conf_zone zones[] = { { .name = zone } };

	fixture->conf.dns.insecure = (struct conf_strings){ insecure, 1 };
	fixture->conf.dns.zones = zones;
	fixture->conf.dns.zone_count = 1;
	start(fixture, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(fixture), RESOLVER_RECURSES);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ask(fixture, rows[i].name, rows[i].type)->state != rows[i].state)
			fail_msg("%s %d", rows[i].name, rows[i].type);
	/* At the servers themselves absence is absence. */
	heals = true;
	assert_health(fixture, RESOLVER_VALIDATES);
	assert_int_equal(ask(fixture, "nobody.example", DNS_MX)->state, DNS_SECURE);
	assert_true(ask(fixture, "only.example", DNS_MX)->exists);
}

/* A bogus answer waits for the test that tells whose fault it is, once the last is old; here many
 * of them make it old. */
static void
test_bogus_answers_are_given_after_a_test(void **state)
{
	struct fixture *fixture = *state;
	struct deadline deadline = deadline_in(15 * 1000);
	enum dns_state seen = DNS_BOGUS;

	start(fixture, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	strips = true;
	while (seen == DNS_BOGUS && !deadline_passed(deadline)) {
		assert_int_equal(resolver_health(fixture->resolver), RESOLVER_VALIDATES);
		seen = ask(fixture, "host.example", DNS_MX)->state;
		usleep(100 * 1000);
	}
	assert_int_equal(seen, DNS_SECURE);	/* of the root, on the question that was bogus */
	assert_int_equal(resolver_health(fixture->resolver), RESOLVER_RECURSES);
}

static void
test_no_way_validates(void **state)
{
	root_validates = false;
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
	assert_string_equal(asked(*state), "192.0.2.2@53");
}

static void
test_silence_is_no_reason_to_pass_servers_by(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.3");
	assert_int_equal(health(*state), RESOLVER_SILENT);
	assert_string_equal(asked(*state), "192.0.2.3@53");
}

static void
test_without_anchors(void **state)
{
	struct fixture *fixture = *state;

	fixture->conf.dns.trust_anchors.count = 0;
	start(fixture, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(fixture), RESOLVER_UNANCHORED);
	assert_int_equal(anchors_asked, 0);
}

static void
test_files_that_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;
	char why[256] = "";

	fixture->conf.dns.mode = DNS_MODE_SYSTEM;
	assert_null(resolver_new_with(&fixture->conf, "/nonexistent/resolv.conf", why,
	    sizeof(why)));
	assert_non_null(strstr(why, "/nonexistent/resolv.conf"));
	fixture->anchors[0] = strdup("/nonexistent/root.key");
	assert_null(resolver_new_with(&fixture->conf, fixture->resolv_conf, why, sizeof(why)));
	assert_non_null(strstr(why, "/nonexistent/root.key"));
	free(fixture->anchors[0]);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_forward),
		TEST(test_recurse),
		TEST(test_recursion_that_does_not_validate),
		TEST(test_forwarder_that_drops_dnssec_is_passed_by),
		TEST(test_forwarder_that_works_again_is_asked_again),
		TEST(test_broken_is_left_when_the_servers_work_again),
		TEST(test_absence_while_the_servers_are_passed_by),
		TEST(test_bogus_answers_are_given_after_a_test),
		TEST(test_no_way_validates),
		TEST(test_silence_is_no_reason_to_pass_servers_by),
		TEST(test_without_anchors),
		TEST(test_files_that_cannot_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
