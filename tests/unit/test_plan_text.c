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
#include <stdlib.h>
#include <string.h>

#include "base/utc.h"
#include "policy/plan_text.h"
#include "tests/unit/plan_facts.h"

#define MX1	"mx1.example.com"
#define MX2	"mx2.example.com"
#define STS_TAIL	\
	"\"max_age\":604800,\"fetched\":\"2026-01-01T00:00:00Z\"," \
	"\"expires\":\"2026-01-08T00:00:00Z\",\"from\":\"cache\""

struct text_case {
	const char *name;
	struct test_facts facts;
	const char *json;
};

static const struct text_case cases[] = {
	{ "enforce",
	    { .sts = STS_VALID,
		.mode = STS_MODE_ENFORCE,
		.patterns = MX1 " *.example.net",
		.hosts = { { MX1, 10, "192.0.2.1 2001:db8::1", DNS_SECURE },
		    { MX2, 20, "192.0.2.2", DNS_INSECURE } } },
	    "{\"domain\":\"example.com\",\"verdict\":\"use\",\"sts\":{\"state\":\"valid\","
	    "\"mode\":\"enforce\",\"id\":\"2016Z\",\"mx\":[\"mx1.example.com\",\"*.example.net\"]," STS_TAIL
	    "},\"hosts\":[{\"name\":\"mx1.example.com\",\"preference\":10,"
	    "\"addresses\":[\"2001:db8::1\",\"192.0.2.1\"],\"dnssec\":\"secure\","
	    "\"policy\":\"sts\","
	    "\"mx_match\":true,\"use\":true},{\"name\":\"mx2.example.com\",\"preference\":20,"
	    "\"addresses\":[\"192.0.2.2\"],\"dnssec\":\"insecure\",\"policy\":\"sts\","
	    "\"mx_match\":false,\"use\":false,"
	    "\"reason\":\"not listed by mta-sts policy 2016Z\"}]}" },
	{ "no policy", { .sts = STS_NONE, .hosts = { { MX1, 10, "192.0.2.1", DNS_INSECURE } } },
	    "{\"domain\":\"example.com\",\"verdict\":\"use\",\"sts\":{\"state\":\"none\"},"
	    "\"hosts\":[{\"name\":\"mx1.example.com\",\"preference\":10,"
	    "\"addresses\":[\"192.0.2.1\"],"
	    "\"dnssec\":\"insecure\",\"policy\":\"none\",\"use\":true}]}" },
	{ "mode none", { .sts = STS_VALID, .hosts = { { MX1, 10, "192.0.2.1", DNS_SECURE } } },
	    "{\"domain\":\"example.com\",\"verdict\":\"use\",\"sts\":{\"state\":\"valid\","
	    "\"mode\":\"none\",\"id\":\"2016Z\",\"mx\":[]," STS_TAIL "},"
	    "\"hosts\":[{\"name\":\"mx1.example.com\",\"preference\":10,"
	    "\"addresses\":[\"192.0.2.1\"],"
	    "\"dnssec\":\"secure\",\"policy\":\"none\",\"use\":true}]}" },
	{ "not asked, a destination's demand, no preference",
	    { .mx = MX_RELAY,
		.tls = TLS_ENCRYPT,
		.hosts = { { "relay.example", 0, "192.0.2.1", DNS_SECURE } } },
	    "{\"domain\":\"example.com\",\"verdict\":\"use\","
	    "\"hosts\":[{\"name\":\"relay.example\","
	    "\"addresses\":[\"192.0.2.1\"],\"dnssec\":\"secure\","
	    "\"policy\":\"none\",\"use\":true}]}" },
	{ "literal",
	    { .mx = MX_LITERAL,
		.domain = "[192.0.2.1]",
		.hosts = { { "", 0, "192.0.2.1", DNS_SECURE } } },
	    "{\"domain\":\"[192.0.2.1]\",\"verdict\":\"use\","
	    "\"hosts\":[{\"addresses\":[\"192.0.2.1\"],"
	    "\"dnssec\":\"secure\",\"policy\":\"none\",\"use\":true}]}" },
	{ "refused", { .mx = MX_NO_DOMAIN, .sts = STS_NONE },
	    "{\"domain\":\"example.com\",\"verdict\":\"refuse\",\"reply\":\"550 5.1.2 the domain "
	    "example.com does not exist\",\"sts\":{\"state\":\"none\"},\"hosts\":[]}" },
	{ "deferred, address unknown",
	    { .sts = STS_FETCH_FAILED,
		.sts_finding = RESULT_STS_POLICY_FETCH_ERROR,
		.hosts = { { MX1, 10, NULL, DNS_FAILED } } },
	    "{\"domain\":\"example.com\",\"verdict\":\"defer\",\"reply\":\"451 4.4.3 example.com: "
	    "the look-up of the addresses of its MX hosts failed: "
	    "mx1.example.com\",\"sts\":{\"state\":\"error\",\"error\":{"
	    "\"type\":\"sts-policy-fetch-error\",\"reason\":\"http-404\"}},"
	    "\"hosts\":[{\"name\":\"mx1.example.com\",\"preference\":10,\"dnssec\":\"failed\","
	    "\"policy\":\"none\",\"use\":false,"
	    "\"reason\":\"address look-up failed: SERVFAIL\"}]}" },
	{ "no address", { .sts = STS_NONE, .hosts = { { MX1, 10, NULL, DNS_SECURE } } },
	    "{\"domain\":\"example.com\",\"verdict\":\"refuse\",\"reply\":\"550 5.4.4 no MX host "
	    "of example.com has an address: mx1.example.com\",\"sts\":{\"state\":\"none\"},"
	    "\"hosts\":[{\"name\":\"mx1.example.com\",\"preference\":10,\"addresses\":[],"
	    "\"dnssec\":\"secure\",\"policy\":\"none\",\"use\":false,"
	    "\"reason\":\"it has no address\"}]}" },
};

static void
test_json(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new();
		struct facts *facts = test_facts_make(arena, &cases[i].facts);
		char *json;

		facts->sts.from_cache = true;
		facts->sts.fetched = 1767225600;
		facts->sts.expires = 1767830400;
		json = plan_text_json(facts->domain, facts, test_plan_make(arena, &cases[i].facts));
		if (strcmp(json, cases[i].json) != 0)
			fail_msg("%s:\n%s\n%s", cases[i].name, json, cases[i].json);
		free(json);
		arena_free(arena);
	}
}

static void
assert_sts(const struct sts_facts *sts, const char *wanted)
{
	char *json = plan_text_sts(sts);

	assert_string_equal(json, wanted);
	free(json);
}

static void
test_states(void **state)
{
	static const enum sts_state failed[] = { STS_FETCH_FAILED, STS_TXT_FAILED, STS_TXT_GIVEN_UP,
		STS_TXT_BOGUS, STS_STORE_FAILED };
	struct sts_facts sts = { .state = STS_NOT_ASKED };
	size_t i;

	(void)state;
	assert_sts(&sts, "{}");
	sts.state = STS_NONE;
	assert_sts(&sts, "{\"state\":\"none\"}");
	for (i = 0; i < sizeof(failed) / sizeof(failed[0]); i++) {
		sts = (struct sts_facts){ .state = failed[i], .why = "SERVFAIL" };
		assert_sts(&sts, "{\"state\":\"error\",\"error\":{\"reason\":\"SERVFAIL\"}}");
	}
	/* E11: the cached policy is in force, and the fetch failed. */
	sts = (struct sts_facts){ .state = STS_NONE, .why = "the record has no id" };
	finding_set(&sts.finding, RESULT_STS_POLICY_INVALID, "no-id");
	assert_sts(&sts,
	    "{\"state\":\"none\",\"error\":{\"type\":\"sts-policy-invalid\","
	    "\"reason\":\"the record has no id\"}}");
}

static void
test_fetched_now(void **state)
{
	char pattern[] = "mx.example.com";
	char *mx[] = { pattern };
	struct sts_policy policy = {
		.mode = STS_MODE_TESTING, .max_age = 0, .id = "a", .mx = mx, .mx_count = 1
	};
	struct sts_facts sts = { .state = STS_VALID, .policy = &policy, .expires = 1 };

	(void)state;
	assert_sts(&sts,
	    "{\"state\":\"valid\",\"mode\":\"testing\",\"id\":\"a\","
	    "\"mx\":[\"mx.example.com\"],\"max_age\":0,\"fetched\":\"1970-01-01T00:00:00Z\","
	    "\"expires\":\"1970-01-01T00:00:01Z\",\"from\":\"fetch\"}");
}

/* Peers' octets never make invalid JSON. */
static void
test_only_ascii(void **state)
{
	char utf8[] = "m\xc3\xb8x.example", broken[] = "\xff\x01\"\\";
	char *mx[] = { utf8, broken };
	struct sts_policy policy = { .mode = STS_MODE_TESTING, .mx = mx, .mx_count = 2 };
	struct sts_facts sts = { .state = STS_VALID, .policy = &policy };
	char *json = plan_text_sts(&sts);

	(void)state;
	assert_non_null(strstr(json, "\"mx\":[\"m??x.example\",\"??\\\"\\\\\"]"));
	free(json);
	sts = (struct sts_facts){ .state = STS_FETCH_FAILED, .why = "caf\xe9\n" };
	assert_sts(&sts, "{\"state\":\"error\",\"error\":{\"reason\":\"caf??\"}}");
}

static void
test_time(void **state)
{
	static const struct {
		int64_t wall_s;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 1767311999, "2026-01-01T23:59:59Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
		{ INT64_MAX, "9999-12-31T23:59:59Z" },
		{ INT64_MIN, "1970-01-01T00:00:00Z" },
	};
	char text[UTC_TEXT_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		utc_text(rows[i].wall_s, text);
		assert_string_equal(text, rows[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_fetched_now),
		cmocka_unit_test(test_only_ascii),
		cmocka_unit_test(test_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
