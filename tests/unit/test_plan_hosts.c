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

#include "base/limits.h"
#include "tests/unit/plan_facts.h"

#define A	"192.0.2.1"
#define MX1	"mx1.example.com"
#define MX2	"mx2.example.com"
#define ENFORCE	.sts = STS_VALID, .mode = STS_MODE_ENFORCE
#define TESTING	.sts = STS_VALID, .mode = STS_MODE_TESTING

struct demand_case {
	const char *name;
	struct test_facts facts;
	int demands;
	struct demand demand;
	const char *names;	/* of the first host, joined by a space */
	enum policy_source source;
	const char *mode, *id;
};

#define DEMAND(s, n, e)	\
	{ \
		.source = s, .need = n, .enforce = e \
	}
#define HOST	.hosts = { { MX1, 10, A, 0 } }
#define LISTED	.patterns = "*.example.com", HOST

static const struct demand_case demand_cases[] = {
	{ "no policy", { HOST }, 0, { 0 }, MX1, SOURCE_NONE, NULL, NULL },
	{ "enforce", { ENFORCE, LISTED }, 1, DEMAND(SOURCE_STS, NEED_CERTIFICATE, true), MX1,
	    SOURCE_STS, "enforce", "2016Z" },
	{ "testing", { TESTING, LISTED }, 1, DEMAND(SOURCE_STS, NEED_CERTIFICATE, false), MX1,
	    SOURCE_STS, "testing", "2016Z" },
	{ "none", { .sts = STS_VALID, LISTED }, 0, { 0 }, MX1, SOURCE_NONE, "none", "2016Z" },
	{ "enforce, audit", { ENFORCE, .enforce = ENFORCE_AUDIT, LISTED }, 1,
	    DEMAND(SOURCE_STS, NEED_CERTIFICATE, false), MX1, SOURCE_STS, "audit", "2016Z" },
	{ "enforce, tls = audit", { ENFORCE, .tls = TLS_AUDIT, LISTED }, 1,
	    DEMAND(SOURCE_STS, NEED_CERTIFICATE, false), MX1, SOURCE_STS, "audit", "2016Z" },
	{ "none, audit", { .sts = STS_VALID, .enforce = ENFORCE_AUDIT, LISTED }, 0, { 0 }, MX1,
	    SOURCE_NONE, "none", "2016Z" },
	{ "enforce, off", { ENFORCE, .enforce = ENFORCE_OFF, LISTED }, 0, { 0 }, MX1, SOURCE_NONE,
	    NULL, NULL },
	{ "tls = audit, off", { ENFORCE, .tls = TLS_AUDIT, .enforce = ENFORCE_OFF, LISTED }, 0,
	    { 0 }, MX1, SOURCE_NONE, NULL, NULL },
	{ "may", { ENFORCE, .tls = TLS_MAY, LISTED }, 0, { 0 }, MX1, SOURCE_NONE, NULL, NULL },
	{ "encrypt", { ENFORCE, .tls = TLS_ENCRYPT, LISTED }, 1,
	    DEMAND(SOURCE_DESTINATION, NEED_ENCRYPTION, true), MX1, SOURCE_NONE, NULL, NULL },
	{ "verify", { ENFORCE, .tls = TLS_VERIFY, LISTED }, 1,
	    DEMAND(SOURCE_DESTINATION, NEED_CERTIFICATE, true), MX1, SOURCE_NONE, NULL, NULL },
	{ "verify, audit is about policies", { .enforce = ENFORCE_AUDIT, .tls = TLS_VERIFY, HOST },
	    1, DEMAND(SOURCE_DESTINATION, NEED_CERTIFICATE, true), MX1, SOURCE_NONE, NULL, NULL },
	{ "verify by match", { .tls = TLS_VERIFY, .match = "a.example *.example.net", HOST }, 1,
	    DEMAND(SOURCE_DESTINATION, NEED_CERTIFICATE, true), "a.example *.example.net",
	    SOURCE_NONE, NULL, NULL },
	{ "match is for verify alone", { ENFORCE, .match = "a.example", LISTED }, 1,
	    DEMAND(SOURCE_STS, NEED_CERTIFICATE, true), MX1, SOURCE_STS, "enforce", "2016Z" },
	{ "literal", { .mx = MX_LITERAL, .hosts = { { "", 0, A, 0 } } }, 0, { 0 }, "", SOURCE_NONE,
	    NULL, NULL },
};

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
check_demand(struct arena *arena, const struct demand_case *c)
{
	const struct plan *plan = test_plan_make(arena, &c->facts);
	const struct plan_host *host = &plan->hosts[0];
	const char *names = "";
	size_t i;

	for (i = 0; i < host->name_count; i++)
		names = arena_printf(arena, "%s%s%s", names, i > 0 ? " " : "", host->names[i]);
	if (strcmp(names, c->names) != 0)
		fail_msg("%s: names %s", c->name, names);
	if ((int)host->demand_count != c->demands)
		fail_msg("%s: %zu demands", c->name, host->demand_count);
	if (c->demands > 0 &&
	    (host->demands[0].source != c->demand.source ||
		host->demands[0].need != c->demand.need ||
		host->demands[0].enforce != c->demand.enforce))
		fail_msg("%s: another demand", c->name);
	if (plan_host_enforces(host) != c->demand.enforce)
		fail_msg("%s: enforces", c->name);
	if (plan->source != c->source || !same_text(plan->mode, c->mode) ||
	    !same_text(plan->policy_id, c->id))
		fail_msg("%s: %s %s", c->name, policy_source_name(plan->source), plan->mode);
	if (!same_text(host->sni, host->name[0] != '\0' ? host->name : NULL))	/* D10 */
		fail_msg("%s: SNI", c->name);
}

static void
test_demands(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(demand_cases) / sizeof(demand_cases[0]); i++) {
		struct arena *arena = arena_new();

		check_demand(arena, &demand_cases[i]);
		arena_free(arena);
	}
}

/* E19: who is not listed, and where that is a finding. */
static void
test_findings_of_hosts(void **state)
{
	struct test_facts facts = { ENFORCE, .patterns = MX1, .own_names = "mx3.example.com",
		.hosts = { { MX1, 10, A, 0 }, { MX2, 20, A, 0 }, { "mx3.example.com", 30, A, 0 },
		    { "ev\\032il", 15, A, 0 } } };
	static const struct {
		enum sts_mode mode;
		enum conf_enforce enforce;
		bool used;
	} cases_here[] = {
		{ STS_MODE_ENFORCE, ENFORCE_ON, false },
		{ STS_MODE_ENFORCE, ENFORCE_AUDIT, true },
		{ STS_MODE_TESTING, ENFORCE_ON, true },
	};
	struct arena *arena = arena_new();
	const struct plan_host *host;
	const struct plan *plan;
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		facts.mode = cases_here[i].mode;
		facts.enforce = cases_here[i].enforce;
		plan = test_plan_make(arena, &facts);
		host = test_plan_host(plan, MX2);
		assert_int_equal(host->use, cases_here[i].used);
		assert_int_equal(host->finding.type, RESULT_VALIDATION_FAILURE);
		assert_string_equal(host->finding.reason, "mtasts-policy-mx-mismatch");
		assert_false(host->mx_match);
		assert_true(host->use == (host->reason == NULL));
		host = test_plan_host(plan, MX1);
		assert_int_equal(host->finding.type, RESULT_OK);
		assert_true(host->mx_match);
		assert_null(host->reason);
		/* Out for another reason: nothing to report. */
		host = test_plan_host(plan, "mx3.example.com");
		assert_int_equal(host->finding.type, RESULT_OK);
		assert_non_null(host->reason);
		assert_int_equal(test_plan_host(plan, "ev\\032il")->finding.type, RESULT_OK);
	}
	facts.mode = STS_MODE_NONE;
	host = test_plan_host(test_plan_make(arena, &facts), MX2);
	assert_int_equal(host->finding.type, RESULT_OK);
	assert_true(host->use && host->mx_match);
	arena_free(arena);
}

/* E9 to E11: a failed fetch is reported beside the cached policy, not where that is none (E10). */
static void
test_finding_of_the_domain(void **state)
{
	static const struct {
		enum sts_state sts;
		enum sts_mode mode;
		enum conf_tls tls;
		enum conf_enforce enforce;
		enum result_type type;
	} rows[] = {
		{ STS_FETCH_FAILED, 0, TLS_POLICY, ENFORCE_ON, RESULT_STS_POLICY_FETCH_ERROR },
		{ STS_VALID, STS_MODE_ENFORCE, TLS_POLICY, ENFORCE_ON,
		    RESULT_STS_POLICY_FETCH_ERROR },
		{ STS_VALID, STS_MODE_TESTING, TLS_POLICY, ENFORCE_ON,
		    RESULT_STS_POLICY_FETCH_ERROR },
		{ STS_VALID, STS_MODE_NONE, TLS_POLICY, ENFORCE_ON, RESULT_OK },
		{ STS_FETCH_FAILED, 0, TLS_AUDIT, ENFORCE_ON, RESULT_STS_POLICY_FETCH_ERROR },
		{ STS_FETCH_FAILED, 0, TLS_POLICY, ENFORCE_AUDIT, RESULT_STS_POLICY_FETCH_ERROR },
		{ STS_FETCH_FAILED, 0, TLS_POLICY, ENFORCE_OFF, RESULT_OK },
		{ STS_FETCH_FAILED, 0, TLS_MAY, ENFORCE_ON, RESULT_OK },
		{ STS_TXT_BOGUS, 0, TLS_POLICY, ENFORCE_ON, RESULT_STS_POLICY_FETCH_ERROR },
	};
	struct test_facts facts = { LISTED, .sts_finding = RESULT_STS_POLICY_FETCH_ERROR };
	struct arena *arena = arena_new();
	const struct plan *plan;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		facts.sts = rows[i].sts;
		facts.mode = rows[i].mode;
		facts.tls = rows[i].tls;
		facts.enforce = rows[i].enforce;
		plan = test_plan_make(arena, &facts);
		if (plan->finding.type != rows[i].type)
			fail_msg("%zu: %s", i, result_type_name(plan->finding.type));
	}
	arena_free(arena);
}

/* RFC 5321 5.1: equals at random, so that each is first about as often. */
static void
test_equals_are_shuffled(void **state)
{
	struct test_facts facts = { .hosts = { { "a.example", 10, A, 0 }, { "b.example", 10, A, 0 },
					{ "c.example", 10, A, 0 }, { "last.example", 20, A, 0 },
					{ "first.example", 5, A, 0 } } };
	int second[3] = { 0 };

	(void)state;
	for (facts.seed = 0; facts.seed < 3000; facts.seed++) {
		struct arena *arena = arena_new();
		const struct plan *plan = test_plan_make(arena, &facts);

		assert_string_equal(plan->hosts[0].name, "first.example");
		assert_string_equal(plan->hosts[4].name, "last.example");
		second[plan->hosts[1].name[0] - 'a']++;
		assert_string_equal(test_plan_used(arena, plan),
		    test_plan_used(arena, test_plan_make(arena, &facts)));
		arena_free(arena);
	}
	assert_in_range(second[0], 850, 1150);
	assert_in_range(second[1], 850, 1150);
	assert_in_range(second[2], 850, 1150);
}

static const char *
addresses_of(struct arena *arena, const struct plan_host *host)
{
	const char *list = "";
	char text[IP_TEXT_MAX];
	size_t i;

	for (i = 0; i < host->address_count; i++) {
		ip_format(&host->addresses[i], text);
		list = arena_printf(arena, "%s%s%s", list, i > 0 ? " " : "", text);
	}
	return list;
}

static void
test_families(void **state)
{
	struct test_facts facts = { .hosts = { { MX1, 10,
					"9.9.9.9 2620:fe::9 10.0.0.1 149.112.112.112 2620:fe::fe",
					0 } } };
	struct arena *arena = arena_new();

	(void)state;
	assert_string_equal(addresses_of(arena, &test_plan_make(arena, &facts)->hosts[0]),
	    "2620:fe::9 2620:fe::fe 9.9.9.9 10.0.0.1 149.112.112.112");
	facts.ipv4_first = true;
	facts.refuse_private = true;
	assert_string_equal(addresses_of(arena, &test_plan_make(arena, &facts)->hosts[0]),
	    "9.9.9.9 149.112.112.112 2620:fe::9 2620:fe::fe");
	arena_free(arena);
}

/* count6 and count4 addresses, joined by a space. */
static const char *
many_addresses(struct arena *arena, int count6, int count4)
{
	const char *list = "";
	int i;

	for (i = 0; i < count6; i++)
		list = arena_printf(arena, "%s 2620:fe::%x", list, i + 1);
	for (i = 0; i < count4; i++)
		list = arena_printf(arena, "%s 9.9.9.%d", list, i + 1);
	return list;
}

static void
test_address_limits(void **state)
{
	static const struct {
		int v6, v4;
		size_t taken6, taken4;
	} rows[] = { { 30, 0, 16, 0 }, { 0, 30, 0, 16 }, { 30, 30, 8, 8 }, { 30, 2, 14, 2 },
		{ 2, 30, 2, 14 }, { 3, 4, 3, 4 }, { 8, 8, 8, 8 }, { 9, 8, 8, 8 } };
	struct arena *arena = arena_new();
	size_t i, j, v6;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct test_facts facts = {
			.hosts = { { MX1, 10, many_addresses(arena, rows[i].v6, rows[i].v4), 0 } }
		};
		const struct plan_host *host = &test_plan_make(arena, &facts)->hosts[0];

		for (v6 = 0, j = 0; j < host->address_count; j++)
			v6 += host->addresses[j].v6;
		if (v6 != rows[i].taken6 || host->address_count - v6 != rows[i].taken4)
			fail_msg("%zu: %zu and %zu", i, v6, host->address_count - v6);
		if (v6 > 0)
			assert_true(host->addresses[0].v6);
	}
	arena_free(arena);
}

static void
test_addresses_of_a_domain_are_limited(void **state)
{
	struct arena *arena = arena_new();
	const char *many = many_addresses(arena, 0, 16);
	struct test_facts facts = { .hosts = { { "a.example", 1, many, 0 },
					{ "b.example", 2, many, 0 }, { "c.example", 3, many, 0 },
					{ "d.example", 4, many, 0 } } };
	const struct plan *plan = test_plan_make(arena, &facts);
	size_t i, total = 0;

	(void)state;
	assert_int_equal(plan->use_count, 3);
	for (i = 0; i < plan->use_count; i++)
		total += plan->hosts[i].address_count;
	assert_int_equal(total, LIMIT_ADDRESSES_PER_DOMAIN);
	assert_int_equal(plan->hosts[2].address_count, 8);
	assert_false(plan->hosts[3].use);
	assert_non_null(plan->hosts[3].reason);
	arena_free(arena);
}

static void
test_the_rest_of_a_plan(void **state)
{
	struct test_facts facts = { HOST, .no_plaintext_retry = true,
		.min_protocol = TLS_VERSION_1_3 };
	struct arena *arena = arena_new();
	const struct plan *plan = test_plan_make(arena, &facts);

	(void)state;
	assert_string_equal(plan->domain, "example.com");
	assert_false(plan->relay || plan->plaintext_retry);
	assert_int_equal(plan->min_protocol, TLS_VERSION_1_3);
	facts.mx = MX_RELAY;
	facts.no_plaintext_retry = false;
	plan = test_plan_make(arena, &facts);
	assert_true(plan->relay && plan->plaintext_retry);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_demands),
		cmocka_unit_test(test_findings_of_hosts),
		cmocka_unit_test(test_finding_of_the_domain),
		cmocka_unit_test(test_equals_are_shuffled),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_address_limits),
		cmocka_unit_test(test_addresses_of_a_domain_are_limited),
		cmocka_unit_test(test_the_rest_of_a_plan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
