/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The questions for a delivery, their order, and the use of the answers. DNS and the policy cache
 * are made up here.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "tests/unit/gather_world.h"

static struct facts *
gather(void)
{
	return gather_facts(&gatherer, arena, "example.com", NULL, deadline_in(1000));
}

static void
test_two_rounds(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_SECURE);
	struct facts *facts;

	(void)state;
	add_mx(mx, 20, "Mx2.Example.com");
	add_mx(mx, 10, "mx1.example.com");
	add_host("mx1.example.com", DNS_SECURE, DNS_SECURE);
	add_host("mx2.example.com", DNS_INSECURE, DNS_SECURE);
	facts = gather();
	assert_string_equal(world.calls, "brwrf");	/* the fetch begins before the addresses */
	assert_string_equal(world.asked, "2 4 ");
	assert_string_equal(facts->domain, "example.com");
	assert_int_equal(facts->mx, MX_LISTED);
	assert_int_equal(facts->mx_state, DNS_SECURE);
	assert_int_equal(facts->host_count, 2);
	assert_string_equal(facts->hosts[0].name, "mx2.example.com");
	assert_int_equal(facts->hosts[0].preference, 20);
	assert_int_equal(facts->hosts[0].address_state, DNS_INSECURE);
	assert_int_equal(facts->hosts[1].address_state, DNS_SECURE);
	assert_int_equal(facts->hosts[1].address_count, 2);
	assert_int_equal(facts->sts.state, STS_NONE);
	assert_string_equal(world.sts_domain, "example.com");
}

static void
test_kinds_of_mx(void **state)
{
	static const struct {
		enum dns_state state;
		bool nxdomain;
		const char *names[4];
		enum mx_kind kind;
		size_t hosts, bad;
		const char *first;
	} cases[] = {
		{ DNS_SECURE, false, { NULL }, MX_IMPLICIT, 1, 0, "example.com" },
		{ DNS_SECURE, true, { NULL }, MX_NO_DOMAIN, 0, 0, NULL },
		{ DNS_FAILED, false, { NULL }, MX_UNKNOWN, 0, 0, NULL },
		{ DNS_BOGUS, false, { "mx.example" }, MX_UNKNOWN, 0, 0, NULL },
		{ DNS_INSECURE, false, { "." }, MX_NULL, 0, 0, NULL },
		{ DNS_INSECURE, false, { ".", "mx.example" }, MX_LISTED, 1, 0, "mx.example" },
		{ DNS_INSECURE, false, { "b_d.example", "a b.example", "m\303\270.example" },
		    MX_LISTED, 1, 2, "b_d.example" },
		{ DNS_INSECURE, false, { "mx.example/../x" }, MX_LISTED, 0, 1, NULL },
		{ DNS_INSECURE, false, { "mx.example", "MX.example" }, MX_LISTED, 1, 0,
		    "mx.example" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct made_up *mx = add("example.com", DNS_MX, cases[i].state);
		struct facts *facts;

		mx->nxdomain = cases[i].nxdomain;
		for (size_t j = 0; j < 4 && cases[i].names[j] != NULL; j++)
			add_mx(mx, 10, cases[i].names[j]);
		facts = gather();
		assert_int_equal(facts->mx, cases[i].kind);
		assert_int_equal(facts->mx_state, cases[i].state);
		assert_int_equal(facts->host_count, cases[i].hosts);
		assert_int_equal(facts->bad_names, cases[i].bad);
		if (cases[i].first != NULL)
			assert_string_equal(facts->hosts[0].name, cases[i].first);
		if (cases[i].kind == MX_UNKNOWN)
			assert_string_equal(facts->mx_why, "example.com");
		teardown(state);
		setup(state);
	}
}

static void
test_too_many_mx_records(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_INSECURE);
	struct facts *facts;
	char name[32];

	(void)state;
	for (int i = 0; i < 130; i++) {	/* the best ones in the middle */
		snprintf(name, sizeof(name), "mx%d.example", i);
		add_mx(mx, (uint16_t)(i < 50 || i >= 120 ? 1000 + i : i), name);
	}
	facts = gather();
	assert_int_equal(facts->host_count, LIMIT_MX_RECORDS);
	for (size_t i = 0, best = 0; i < facts->host_count; i++) {
		best += facts->hosts[i].preference < 1000;
		assert_true(facts->hosts[i].preference < 1030);
		if (i + 1 == facts->host_count)
			assert_int_equal(best, 70);
	}
}

static void
test_addresses(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_SECURE), *many;
	struct facts *facts;

	(void)state;
	add_mx(mx, 10, "half.example");
	add_mx(mx, 10, "bogus.example");
	add_mx(mx, 10, "many.example");
	add_mx(mx, 10, "none.example");
	add_host("half.example", DNS_SECURE, DNS_FAILED);
	add_host("bogus.example", DNS_FAILED, DNS_BOGUS);
	many = add("many.example", DNS_A, DNS_SECURE);
	for (uint8_t i = 0; i < 40; i++)
		add_record(many, (uint8_t[]){ 192, 0, 2, i }, 4);
	add_record(add("many.example", DNS_AAAA, DNS_SECURE),
	    "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	facts = gather();
	assert_int_equal(facts->hosts[0].address_state, DNS_FAILED);
	assert_string_equal(facts->hosts[0].why, "half.example");
	assert_int_equal(facts->hosts[0].address_count, 1);
	assert_int_equal(facts->hosts[1].address_state, DNS_BOGUS);
	assert_int_equal(facts->hosts[1].address_count, 0);	/* never dialled */
	assert_int_equal(facts->hosts[2].address_count, LIMIT_ADDRESSES_PER_HOST);
	assert_true(facts->hosts[2].addresses[1].v6);	/* room for both families */
	assert_int_equal(facts->hosts[3].address_count, 0);
	assert_int_equal(facts->hosts[3].address_state, DNS_INSECURE);
}

static void
test_a_fault_of_the_resolver(void **state)
{
	struct facts *facts;

	(void)state;
	facts = gather();
	assert_string_equal(facts->resolver_fault, "");
	world.fault = RESOLVER_BROKEN;
	facts = gather();
	assert_int_equal(facts->resolver, RESOLVER_BROKEN);
	assert_string_equal(facts->resolver_fault, "repair it");
}

static void
test_families_in_use(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_SECURE);
	struct facts *facts;

	(void)state;
	conf.smtp.use_ipv6 = false;
	add_mx(mx, 10, "mx.example");
	add_host("mx.example", DNS_SECURE, DNS_BOGUS);
	facts = gather();
	assert_string_equal(world.asked, "2 1 ");
	assert_int_equal(facts->hosts[0].address_count, 1);
	assert_int_equal(facts->hosts[0].address_state, DNS_SECURE);
}

static void
test_literal(void **state)
{
	struct facts *facts;
	struct ip ip;

	(void)state;
	ip_parse("192.0.2.7", &ip);
	facts = gather_facts(&gatherer, arena, "[192.0.2.7]", &ip, deadline_in(1000));
	assert_string_equal(world.calls, "");
	assert_int_equal(facts->mx, MX_LITERAL);
	assert_string_equal(facts->domain, "[192.0.2.7]");
	assert_int_equal(facts->host_count, 1);
	assert_string_equal(facts->hosts[0].name, "");
	assert_int_equal(facts->hosts[0].address_count, 1);
	assert_true(ip_equal(&facts->hosts[0].addresses[0], &ip));
	assert_int_equal(facts->hosts[0].address_state, DNS_SECURE);
	assert_false(facts->relay_address);
	assert_int_equal(facts->sts.state, STS_NOT_ASKED);
	conf.smtp.use_ipv4 = false;
	facts = gather_facts(&gatherer, arena, "[192.0.2.7]", &ip, deadline_in(1000));
	assert_int_equal(facts->hosts[0].address_count, 0);
}

/* RFC 8461 3.4: the relay's name is the policy domain. */
static void
test_relay(void **state)
{
	static char relay[] = "relay.example", address[] = "10.0.0.25";
	struct facts *facts;

	(void)state;
	configure("example.com");
	destination.relay_host = relay;
	add_host("relay.example", DNS_SECURE, DNS_SECURE);
	facts = gather();
	assert_string_equal(world.calls, "brwrf");
	assert_string_equal(world.asked, "1 2 ");
	assert_string_equal(world.sts_domain, "relay.example");
	assert_int_equal(facts->mx, MX_RELAY);
	assert_string_equal(facts->domain, "relay.example");
	assert_string_equal(facts->hosts[0].name, "relay.example");
	assert_int_equal(facts->hosts[0].address_count, 2);
	destination.relay_host = address;
	destination.relay_literal = true;
	world.calls[0] = '\0';
	facts = gather();
	assert_string_equal(world.calls, "");
	assert_int_equal(facts->mx, MX_LITERAL);
	assert_true(facts->relay_address);
	assert_string_equal(facts->domain, "[10.0.0.25]");
	assert_int_equal(facts->hosts[0].address_count, 1);
}

static void
test_when_no_policy_is_asked(void **state)
{
	static const enum conf_tls asked[] = { TLS_POLICY, TLS_AUDIT },
				   not_asked[] = { TLS_NONE, TLS_MAY, TLS_ENCRYPT, TLS_VERIFY,
					   TLS_DANE };

	(void)state;
	configure("example.com");
	for (size_t i = 0; i < 2; i++) {
		destination.tls = asked[i];
		assert_int_equal(gather()->sts.state, STS_NONE);
	}
	for (size_t i = 0; i < 5; i++) {
		destination.tls = not_asked[i];
		world.calls[0] = '\0';
		assert_int_equal(gather()->sts.state, STS_NOT_ASKED);
		assert_string_equal(world.calls, "rr");
	}
	destination.tls = TLS_POLICY;
	conf.sts.enforce = ENFORCE_OFF;
	assert_int_equal(gather()->sts.state, STS_NOT_ASKED);
}

static struct sts_policy *
policy_for(const char *id, const char *pattern)
{
	struct sts_policy *policy = arena_alloc(arena, sizeof(*policy));

	policy->mode = STS_MODE_ENFORCE;
	strcpy(policy->id, id);
	policy->mx = arena_array(arena, 1, sizeof(char *));
	policy->mx[0] = arena_strdup(arena, pattern);
	policy->mx_count = 1;
	return policy;
}

/* F21: one refusal by policy, one more look, one new plan. */
static void
test_recheck_before_a_refusal(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_SECURE);
	struct plan *plan;
	struct facts *facts;

	(void)state;
	add_mx(mx, 10, "new.example");
	add_host("new.example", DNS_SECURE, DNS_SECURE);
	world.sts = (struct sts_facts){ .state = STS_VALID,
		.policy = policy_for("a", "old.example") };
	world.sts_anew = (struct sts_facts){ .state = STS_VALID,
		.policy = policy_for("b", "new.example") };
	conf.dns.private_addresses = true;
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), &facts);
	assert_string_equal(world.calls, "brwrfk");
	assert_int_equal(plan->verdict, PLAN_DEFER);
	world.recheck_news = true;
	world.calls[0] = '\0';
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), &facts);
	assert_string_equal(world.calls, "brwrfk");
	assert_int_equal(plan->verdict, PLAN_USE);
	assert_string_equal(plan->policy_id, "b");
	assert_string_equal(facts->sts.policy->id, "b");
	world.sts = world.sts_anew;	/* nothing to complain about */
	world.calls[0] = '\0';
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), NULL);
	assert_string_equal(world.calls, "brwrf");
	assert_int_equal(plan->verdict, PLAN_USE);
}

/* RFC 8689: the name is not authenticated, unless a policy was published recently. */
static void
test_recheck_before_a_bounce(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_INSECURE);
	const struct plan *plan;

	(void)state;
	add_mx(mx, 10, "new.example");
	add_host("new.example", DNS_INSECURE, DNS_INSECURE);
	world.sts = (struct sts_facts){ .state = STS_NONE };
	world.sts_anew = (struct sts_facts){ .state = STS_VALID,
		.policy = policy_for("b", "new.example") };
	conf.dns.private_addresses = true;
	plan = gather_plan_for(&gatherer, arena, "example.com", NULL, WISH_REQUIRETLS,
	    deadline_in(1000), NULL);
	assert_non_null(strchr(world.calls, 'k'));
	assert_int_equal(plan->verdict, PLAN_REFUSE);
	assert_string_equal(plan->reply.enhanced, "5.7.10");
	world.recheck_news = true;
	plan = gather_plan_for(&gatherer, arena, "example.com", NULL, WISH_REQUIRETLS,
	    deadline_in(1000), NULL);
	assert_int_equal(plan->verdict, PLAN_USE);
	assert_string_equal(plan->policy_id, "b");
	world.sts = (struct sts_facts){ .state = STS_NONE };
	world.calls[0] = '\0';
	plan = gather_plan_for(&gatherer, arena, "example.com", NULL, WISH_NO, deadline_in(1000),
	    NULL);
	assert_null(strchr(world.calls, 'k'));
	assert_int_equal(plan->verdict, PLAN_USE);
}

static void
test_recheck_of_what_failed(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_SECURE);
	struct plan *plan;

	(void)state;
	add_mx(mx, 10, "mx.example");
	add_host("mx.example", DNS_SECURE, DNS_SECURE);
	conf.dns.private_addresses = true;
	world.sts.state = STS_TXT_FAILED;
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), NULL);
	assert_string_equal(world.calls, "brwrfk");
	assert_int_equal(plan->verdict, PLAN_DEFER);
	world.sts.state = STS_TXT_BOGUS;
	world.recheck_news = true;
	world.sts_anew.state = STS_NONE;
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), NULL);
	assert_int_equal(plan->verdict, PLAN_USE);
}

/* A question that we could not ask is no fault of the domain's, and no failure of its DNSSEC. */
static void
test_what_was_not_asked(void **state)
{
	struct made_up *mx = add("example.com", DNS_MX, DNS_FAILED);
	struct facts *facts;
	struct plan *plan;

	(void)state;
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), &facts);
	assert_string_equal(facts->resolver_fault, "");
	assert_null(strstr(plan->reply.text, "by no fault of"));
	mx->not_asked = true;
	plan = gather_plan(&gatherer, arena, "example.com", NULL, deadline_in(1000), &facts);
	assert_string_equal(facts->resolver_fault, "example.com");	/* the answer's why */
	assert_non_null(strstr(plan->reply.text, "by no fault of example.com: "));
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_two_rounds),
		TEST(test_kinds_of_mx),
		TEST(test_too_many_mx_records),
		TEST(test_addresses),
		TEST(test_a_fault_of_the_resolver),
		TEST(test_families_in_use),
		TEST(test_literal),
		TEST(test_relay),
		TEST(test_when_no_policy_is_asked),
		TEST(test_recheck_before_a_refusal),
		TEST(test_recheck_before_a_bounce),
		TEST(test_recheck_of_what_failed),
		TEST(test_what_was_not_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
