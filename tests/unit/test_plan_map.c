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

#include "base/limits.h"
#include "policy/plan_map.h"
#include "tests/unit/plan_facts.h"

#define MX1 "mx1.example.com"
#define MX2 "mx2.example.com"
#define ONE { { MX1, 10, "192.0.2.1", DNS_SECURE } }
#define TWO { { MX2, 20, "192.0.2.2", DNS_SECURE }, { MX1, 10, "192.0.2.1", DNS_SECURE } }
#define ENFORCE .sts = STS_VALID, .mode = STS_MODE_ENFORCE
#define SECURE1 "OK secure match=" MX1 " servername=hostname"
#define SECURE2 "OK secure match=" MX2 " servername=hostname"
#define SECURE12 "OK secure match=" MX1 ":" MX2 " servername=hostname"
#define NOTFOUND "NOTFOUND "
#define NONE "mode=none match=yes id="
#define UNKNOWN { .state = TLSA_UNKNOWN, .answer = DNS_FAILED }

struct map_case {
	const char *name;
	struct test_facts facts;
	const char *postfix, *sts;	/* "TEMP": anything that begins so */
	const char *line;	/* for "policy" */
};

static const struct map_case cases[] = {
	{ "no policy", { .sts = STS_NONE, .hosts = ONE }, NOTFOUND, NOTFOUND, NONE },
	{ "enforce", { ENFORCE, .patterns = MX1, .hosts = ONE }, SECURE1, SECURE1,
	    "mode=enforce match=yes id=2016Z" },
	{ "in order of preference", { ENFORCE, .patterns = "*.example.com", .hosts = TWO },
	    SECURE12, SECURE12, "mode=enforce match=yes id=2016Z" },
	{ "one of two", { ENFORCE, .patterns = MX2, .hosts = TWO }, SECURE2, SECURE2,
	    "mode=enforce match=yes id=2016Z" },
	{ "none listed", { ENFORCE, .patterns = "mx.example.net", .hosts = ONE }, "TEMP", "TEMP",
	    "mode=enforce match=no id=2016Z" },
	{ "null MX", { ENFORCE, .patterns = MX1, .mx = MX_NULL }, "TEMP", "TEMP",
	    "mode=enforce match=no id=2016Z" },
	{ "its own host", { ENFORCE, .patterns = "example.com", .mx = MX_IMPLICIT,
	    .hosts = { { "example.com", 0, "192.0.2.1", DNS_SECURE } } },
	    "OK secure match=example.com servername=hostname",
	    "OK secure match=example.com servername=hostname", "mode=enforce match=yes id=2016Z" },
	{ "a listed host that is unreachable now", { ENFORCE, .patterns = "*.example.com",
	    .hosts = { { MX1, 10, NULL, DNS_FAILED } } }, SECURE1, SECURE1,
	    "mode=enforce match=yes id=2016Z" },
	{ "MX unknown", { ENFORCE, .patterns = MX1, .mx = MX_UNKNOWN, .mx_state = DNS_FAILED },
	    "TEMP", "TEMP", "mode=error" },
	{ "MX unknown, no policy", { .sts = STS_NONE, .mx = MX_UNKNOWN, .mx_state = DNS_FAILED },
	    NOTFOUND, NOTFOUND, NONE },
	{ "testing", { .sts = STS_VALID, .mode = STS_MODE_TESTING, .patterns = MX1, .hosts = ONE },
	    NOTFOUND, NOTFOUND, "mode=testing match=yes id=2016Z" },
	{ "mode none", { .sts = STS_VALID, .mode = STS_MODE_NONE, .hosts = ONE }, NOTFOUND,
	    NOTFOUND, NONE "2016Z" },
	{ "fetch failed", { .sts = STS_FETCH_FAILED, .hosts = ONE }, NOTFOUND, NOTFOUND, NONE },
	{ "TXT failed", { .sts = STS_TXT_FAILED, .hosts = ONE }, "TEMP", "TEMP", "mode=error" },
	{ "TXT bogus", { .sts = STS_TXT_BOGUS, .hosts = ONE }, "TEMP", "TEMP", "mode=error" },
	{ "store failed", { .sts = STS_STORE_FAILED, .hosts = ONE }, "TEMP", "TEMP", "mode=error" },
	{ "grace over", { .sts = STS_TXT_GIVEN_UP, .hosts = ONE }, NOTFOUND, NOTFOUND, NONE },
	{ "audit", { ENFORCE, .patterns = MX1, .hosts = ONE, .enforce = ENFORCE_AUDIT }, NOTFOUND,
	    NOTFOUND, "mode=testing match=yes id=2016Z" },
	{ "audit, TXT failed", { .sts = STS_TXT_FAILED, .hosts = ONE, .enforce = ENFORCE_AUDIT },
	    NOTFOUND, NOTFOUND, NONE },
	{ "off", { ENFORCE, .patterns = MX1, .hosts = ONE, .enforce = ENFORCE_OFF }, NOTFOUND,
	    NOTFOUND, NONE },

	{ "DANE", { ENFORCE, .patterns = MX1, .hosts = ONE, .tlsa = { { .state = TLSA_USABLE } } },
	    "OK dane-only", NOTFOUND, NONE },
	{ "DANE at any host", { ENFORCE, .patterns = MX1, .hosts = TWO,

	    .tlsa = { { .state = TLSA_USABLE }, { .state = TLSA_NONE } } }, "OK dane-only", NOTFOUND, NONE },
	{ "DANE without MTA-STS", { .sts = STS_NONE, .hosts = ONE,
	    .tlsa = { { .state = TLSA_USABLE } } },
	    "OK dane-only", NOTFOUND, NONE },
	{ "DANE, TXT failed", { .sts = STS_TXT_FAILED, .hosts = ONE,
	    .tlsa = { { .state = TLSA_USABLE } } },
	    "OK dane-only", NOTFOUND, NONE },
	{ "DANE behind an insecure MX", { ENFORCE, .patterns = MX1, .hosts = ONE,
	    .mx_state = DNS_INSECURE, .tlsa = { { .state = TLSA_USABLE } } }, SECURE1, SECURE1,
	    "mode=enforce match=yes id=2016Z" },
	{ "DANE alone behind an insecure MX", { .sts = STS_NONE, .hosts = ONE,
	    .mx_state = DNS_INSECURE,
	    .tlsa = { { .state = TLSA_USABLE } } }, NOTFOUND, NOTFOUND, NONE },
	{ "unusable TLSA", { ENFORCE, .patterns = MX1, .hosts = ONE,
	    .tlsa = { { .state = TLSA_UNUSABLE } } },
	    SECURE1, SECURE1, "mode=enforce match=yes id=2016Z" },
	{ "TLSA unknown", { ENFORCE, .patterns = MX1, .hosts = ONE, .tlsa = { UNKNOWN } },
	    "TEMP", "TEMP", "mode=error" },
	{ "TLSA unknown, usable elsewhere", { ENFORCE, .patterns = MX1, .hosts = TWO,
	    .tlsa = { UNKNOWN, { .state = TLSA_USABLE } } }, "OK dane-only", NOTFOUND, NONE },
	{ "TLSA unknown, no policy", { .sts = STS_NONE, .hosts = ONE, .tlsa = { UNKNOWN } },
	    NOTFOUND, NOTFOUND, NONE },

	{ "tls may", { ENFORCE, .patterns = MX1, .hosts = ONE, .tls = TLS_MAY }, NOTFOUND,
	    NOTFOUND, NONE },
	{ "tls audit", { ENFORCE, .patterns = MX1, .hosts = ONE, .tls = TLS_AUDIT }, NOTFOUND,
	    NOTFOUND, NONE },
	{ "tls encrypt", { .hosts = ONE, .tls = TLS_ENCRYPT }, "OK encrypt", "TEMP", "mode=error" },
	{ "tls verify", { .hosts = TWO, .tls = TLS_VERIFY }, SECURE12, SECURE12,
	    "mode=enforce match=yes id=" },
	{ "tls verify, insecure MX", { .hosts = TWO, .tls = TLS_VERIFY, .mx_state = DNS_INSECURE },
	    "TEMP", "TEMP", "mode=error" },
	{ "tls verify with names", { .hosts = ONE, .tls = TLS_VERIFY,
	    .match = "*.example.com mail.example.net *.example.org" },
	    "OK secure match=mail.example.net:" MX1 " servername=hostname",
	    "OK secure match=mail.example.net:" MX1 " servername=hostname",
	    "mode=enforce match=yes id=" },
	{ "tls verify with a wildcard of no host", { .hosts = ONE, .tls = TLS_VERIFY,
	    .match = "*.example.org" }, "TEMP", "TEMP", "mode=error" },
	{ "tls dane", { .hosts = ONE, .tls = TLS_DANE, .tlsa = { { .state = TLSA_USABLE } } },
	    "OK dane-only", NOTFOUND, NONE },
	{ "tls dane, no TLSA", { .hosts = ONE, .tls = TLS_DANE }, "OK dane-only", "TEMP",
	    "mode=error" },
};

/* policy-map.dane = "none" */
static const struct map_case cases_without_dane[] = {
	{ "DANE before an MTA without it", { ENFORCE, .patterns = MX1, .hosts = ONE,

	    .tlsa = { { .state = TLSA_USABLE } } }, SECURE1, SECURE1, "mode=enforce match=yes id=2016Z" },
	{ "DANE alone before an MTA without it", { .sts = STS_NONE, .hosts = ONE,
	    .tlsa = { { .state = TLSA_USABLE } } }, NOTFOUND, NOTFOUND, NONE },
	{ "TLSA unknown before an MTA without DANE", { ENFORCE, .patterns = MX1, .hosts = ONE,
	    .tlsa = { UNKNOWN } }, SECURE1, SECURE1, "mode=enforce match=yes id=2016Z" },
};

/* What is said about the facts, in the arena. */
static void
weigh(struct arena *arena, const struct test_facts *facts, bool dane_none,
    struct map_policy *policy)
{
	struct map_rules rules = { .tls = facts->tls, .sts_enforce = facts->enforce,
		.dane_by_mta = !dane_none };

	plan_map_weigh(arena, test_facts_make(arena, facts), test_plan_make(arena, facts), &rules,
	    policy);
}

static void
expect(const char *name, const struct buf *answer, const char *expected)
{
	if (strcmp(expected, "TEMP") == 0 ? strncmp(buf_text(answer), "TEMP example.com: ", 18) != 0
	    && strncmp(buf_text(answer), "TEMP FEATURE(sts)", 17) != 0
	    && strncmp(buf_text(answer), "TEMP the destination ", 21) != 0 :
	    strcmp(buf_text(answer), expected) != 0)
		fail_msg("%s: \"%s\" and not \"%s\"", name, buf_text(answer), expected);
}

static void
expect_answers(const struct map_case *one, bool dane_none)
{
	struct arena *arena = arena_new();
	struct map_policy policy;
	struct buf answer = { 0 };

	weigh(arena, &one->facts, dane_none, &policy);
	plan_map_answer(MAP_POSTFIX, &policy, &answer);
	expect(one->name, &answer, one->postfix);
	buf_clear(&answer);
	plan_map_answer(MAP_STS, &policy, &answer);
	expect(one->name, &answer, one->sts);
	buf_clear(&answer);
	plan_map_line(&policy, NULL, &answer);
	expect(one->name, &answer, one->line);
	buf_free(&answer);
	arena_free(arena);
}

static void
test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_answers(&cases[i], false);
	for (size_t i = 0; i < sizeof(cases_without_dane) / sizeof(cases_without_dane[0]); i++)
		expect_answers(&cases_without_dane[i], true);
}

static void
expect_report(const struct test_facts *facts, const char *expected)
{
	struct arena *arena = arena_new();
	struct buf answer = { 0 };
	struct map_policy policy;

	weigh(arena, facts, false, &policy);
	plan_map_answer(MAP_POSTFIX_TLSRPT, &policy, &answer);
	assert_string_equal(buf_text(&answer), expected);
	buf_free(&answer);
	arena_free(arena);
}

#define ATTRIBUTES(mode) " policy_type=sts policy_domain=example.com mx_host_pattern=" MX1 \
	" {policy_string=version: STSv1} {policy_string=mode: " mode "}" \
	" {policy_string=mx: " MX1 "} {policy_string=max_age: 604800}"

static void
test_report_attributes(void **state)
{
	struct test_facts facts = { ENFORCE, .patterns = MX1, .hosts = ONE };

	(void)state;
	expect_report(&facts, SECURE1 ATTRIBUTES("enforce"));
	facts.mode = STS_MODE_TESTING;
	expect_report(&facts, "OK may" ATTRIBUTES("testing"));
	/* "may" would keep Postfix from its own DANE. */
	facts.tlsa[0].state = TLSA_UNUSABLE;
	expect_report(&facts, NOTFOUND);
	facts.tlsa[0].state = TLSA_USABLE;
	expect_report(&facts, "OK dane-only");
	expect_report(&(struct test_facts){ .sts = STS_NONE, .hosts = ONE }, NOTFOUND);
}

/* B28, and whatever else a policy can hold: it must not end the attribute that it stands in. */
static void
test_report_escapes(void **state)
{
	static const char body[] = "version: STSv1\nmode: enforce\r\next: } {{x}\n\r\n\tz: \x01\xff,\n"
	    "last";
	char patterns[][20] = { "*.example.com", "a b", "x{y}", "m\xc3\xbc.example", "*" };
	char *mx[] = { patterns[0], patterns[1], patterns[2], patterns[3], patterns[4] };
	struct sts_policy sts = { .mode = STS_MODE_ENFORCE, .mx = mx, .mx_count = 5,
		.body = body, .body_length = sizeof(body) - 1 };
	const char *names[] = { MX1 };
	struct map_policy policy = { .need = MAP_NEED_NAMES, .names = names, .name_count = 1,
		.policy = &sts, .mode = "enforce", .domain = "example.com" };
	struct buf answer = { 0 };

	(void)state;
	plan_map_answer(MAP_POSTFIX_TLSRPT, &policy, &answer);
	assert_string_equal(buf_text(&answer), SECURE1 " policy_type=sts policy_domain=example.com "
	    "mx_host_pattern=*.example.com {policy_string=version: STSv1} "
	    "{policy_string=mode: enforce} {policy_string=ext: %7D %7B%7Bx%7D} "
	    "{policy_string=?z: ??,} {policy_string=last}");
	buf_free(&answer);
}

static void
test_too_long(void **state)
{
	struct map_policy policy = { .need = MAP_NEED_NAMES, .domain = "example.com",
		.name_count = LIMIT_NETSTRING_OUT / 10 };
	struct buf answer = { 0 };

	(void)state;
	policy.names = xcalloc(policy.name_count, sizeof(char *));
	for (size_t i = 0; i < policy.name_count; i++)
		policy.names[i] = MX1;
	buf_add_text(&answer, "before");
	assert_int_equal(plan_map_answer(MAP_POSTFIX, &policy, &answer), MAP_ANSWER_TEMP);
	buf_add_char(&answer, '\0');
	assert_memory_equal(answer.data, "beforeTEMP the answer", 21);
	free(policy.names);
	buf_free(&answer);
}

static void
test_line_about_host(void **state)
{
	struct arena *arena = arena_new();
	struct buf answer = { 0 };
	struct map_policy policy;

	(void)state;
	weigh(arena, &(struct test_facts){ ENFORCE, .patterns = MX2, .hosts = TWO }, false, &policy);
	plan_map_line(&policy, MX1, &answer);
	assert_string_equal(buf_text(&answer), "mode=enforce match=no id=2016Z");
	buf_clear(&answer);
	plan_map_line(&policy, "MX2.example.com.", &answer);
	assert_string_equal(buf_text(&answer), "mode=enforce match=yes id=2016Z");
	buf_free(&answer);
	arena_free(arena);
}

static void
test_next_hop(void **state)
{
	static const struct {
		const char *text, *domain;	/* NULL: none */
	} hops[] = {
		{ "example.com", "example.com" }, { "Example.COM.", "example.com" },
		{ "[example.com]", "example.com" }, { "[example.com]:123", "example.com" },
		{ "[example.com.]:submission", "example.com" }, { "example.com:25", "example.com" },
		{ "m\xc3\xbcller.example", "xn--mller-kva.example" }, { "a_b.example", "a_b.example" },
		{ ".example.com", NULL }, { "[a:bb::dd]:25", NULL }, { "a:bb::dd", NULL },
		{ "[192.0.2.1]", NULL }, { "192.0.2.1", NULL }, { "192.0.2.1:25", NULL },
		{ "[IPv6:2001:db8::1]", NULL }, { "", NULL }, { ".", NULL }, { "[]", NULL },
		{ "[", NULL }, { "]", NULL }, { "[example.com", NULL }, { "[example.com]25", NULL },
		{ "[example.com]:", NULL }, { "example.com:", NULL }, { "example.com:2 5", NULL },
		{ "example..com", NULL }, { "a b", NULL }, { "exa/mple.com", NULL },
	};
	struct domain domain;

	(void)state;
	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
		int result = map_next_hop(hops[i].text, strlen(hops[i].text), &domain);

		if ((result == 0) != (hops[i].domain != NULL) ||
		    (result == 0 && strcmp(domain.name, hops[i].domain) != 0))
			fail_msg("%s", hops[i].text);
	}
}

static void
test_names(void **state)
{
	enum map map;

	(void)state;
	assert_int_equal(map_find("postfix-tlsrpt", 14, &map), 0);
	assert_int_equal(map, MAP_POSTFIX_TLSRPT);
	assert_string_equal(map_name(map), "postfix-tlsrpt");
	assert_int_equal(map_find("postfix-tlsrpt", 7, &map), 0);
	assert_int_equal(map, MAP_POSTFIX);
	assert_int_equal(map_find("postfi", 6, &map), -1);
	assert_int_equal(map_find("", 0, &map), -1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_report_attributes),
		cmocka_unit_test(test_report_escapes),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_line_about_host),
		cmocka_unit_test(test_next_hop),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
