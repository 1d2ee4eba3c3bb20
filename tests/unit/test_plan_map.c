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
#include "integration/policymap/plan_map.h"
#include "tests/unit/plan_facts.h"

#define MX1	"mx1.example.com"
#define MX2	"mx2.example.com"
#define ONE	\
	{ \
		{ \
			MX1, 10, "192.0.2.1", DNS_SECURE \
		} \
	}
#define TWO	\
	{ \
		{ MX2, 20, "192.0.2.2", DNS_SECURE }, \
		{ \
			MX1, 10, "192.0.2.1", DNS_SECURE \
		} \
	}
#define ENFORCE	.sts = STS_VALID, .mode = STS_MODE_ENFORCE
#define SECURE1	"OK secure match=" MX1 " servername=hostname"
#define SECURE2	"OK secure match=" MX2 " servername=hostname"
#define SECURE12	"OK secure match=" MX1 ":" MX2 " servername=hostname"
#define NOTFOUND	"NOTFOUND "
#define NONE	"mode=none match=yes id="
#define ENFORCED	"mode=enforce match=yes id=2016Z"
#define NO	" dane=no"
#define YES	" dane=yes"
#define DANE_ONLY	"OK dane-only"
#define USABLE	\
	{ \
		.state = TLSA_USABLE \
	}
#define ABSENT	\
	{ \
		.state = TLSA_NONE \
	}
#define UNKNOWN	.state = TLSA_UNKNOWN, .answer = DNS_FAILED

struct map_case {
	const char *name;
	struct test_facts facts;
	const char *postfix, *sts;	/* "TEMP": anything that begins so */
	const char *line;	/* for "policy" */
};

static const struct map_case cases[] = {
	{ "no policy", { .sts = STS_NONE, .hosts = ONE }, NOTFOUND, NOTFOUND, NONE NO },
	{ "enforce", { ENFORCE, .patterns = MX1, .hosts = ONE }, SECURE1, SECURE1,
	    "mode=enforce match=yes id=2016Z" NO },
	{ "in order of preference", { ENFORCE, .patterns = "*.example.com", .hosts = TWO },
	    SECURE12, SECURE12, "mode=enforce match=yes id=2016Z" NO },
	{ "one of two", { ENFORCE, .patterns = MX2, .hosts = TWO }, SECURE2, SECURE2,
	    "mode=enforce match=yes id=2016Z" NO },
	{ "none listed", { ENFORCE, .patterns = "mx.example.net", .hosts = ONE }, "TEMP", "TEMP",
	    "mode=enforce match=no id=2016Z" NO },
	{ "null MX", { ENFORCE, .patterns = MX1, .mx = MX_NULL }, "TEMP", "TEMP",
	    "mode=enforce match=no id=2016Z" NO },
	{ "its own host",
	    { ENFORCE, .patterns = "example.com", .mx = MX_IMPLICIT,
		.hosts = { { "example.com", 0, "192.0.2.1", DNS_SECURE } } },
	    "OK secure match=example.com servername=hostname",
	    "OK secure match=example.com servername=hostname",
	    "mode=enforce match=yes id=2016Z" NO },
	{ "a listed host without an address now",
	    { ENFORCE, .patterns = "*.example.com", .hosts = { { MX1, 10, NULL, DNS_SECURE } } },
	    SECURE1, SECURE1, "mode=enforce match=yes id=2016Z" NO },
	{ "a listed host whose addresses are not known",
	    { ENFORCE, .patterns = "*.example.com", .hosts = { { MX1, 10, NULL, DNS_FAILED } } },
	    "TEMP", "TEMP", "mode=error" },
	{ "a listed host whose addresses are bogus",
	    { ENFORCE, .patterns = "*.example.com", .hosts = { { MX1, 10, NULL, DNS_BOGUS } } },
	    "TEMP", "TEMP", "mode=error" },
	{ "the same behind an insecure MX",
	    { ENFORCE, .patterns = "*.example.com", .mx_state = DNS_INSECURE,
		.hosts = { { MX1, 10, NULL, DNS_FAILED } } },
	    SECURE1, SECURE1, "mode=enforce match=yes id=2016Z" NO },
	{ "the same, audited",
	    { ENFORCE, .patterns = "*.example.com", .enforce = ENFORCE_AUDIT,
		.hosts = { { MX1, 10, NULL, DNS_FAILED } } },
	    NOTFOUND, NOTFOUND, "mode=testing match=yes id=2016Z" NO },
	{ "the other one's addresses are not known",
	    { ENFORCE, .patterns = "*.example.com",
		.hosts = { { MX2, 20, "192.0.2.2", DNS_SECURE }, { MX1, 10, NULL, DNS_FAILED } } },
	    SECURE2, SECURE2, "mode=enforce match=yes id=2016Z" NO },
	{ "MX unknown", { ENFORCE, .patterns = MX1, .mx = MX_UNKNOWN, .mx_state = DNS_FAILED },
	    "TEMP", "TEMP", "mode=error" },
	{ "testing", { .sts = STS_VALID, .mode = STS_MODE_TESTING, .patterns = MX1, .hosts = ONE },
	    NOTFOUND, NOTFOUND, "mode=testing match=yes id=2016Z" NO },
	{ "mode none", { .sts = STS_VALID, .mode = STS_MODE_NONE, .hosts = ONE }, NOTFOUND,
	    NOTFOUND, NONE "2016Z" NO },
	{ "fetch failed", { .sts = STS_FETCH_FAILED, .hosts = ONE }, NOTFOUND, NOTFOUND, NONE NO },
	{ "TXT failed", { .sts = STS_TXT_FAILED, .hosts = ONE }, "TEMP", "TEMP", "mode=error" },
	{ "TXT bogus", { .sts = STS_TXT_BOGUS, .hosts = ONE }, "TEMP", "TEMP", "mode=error" },
	{ "store failed", { .sts = STS_STORE_FAILED, .hosts = ONE }, "TEMP", "TEMP", "mode=error" },
	{ "grace over", { .sts = STS_TXT_GIVEN_UP, .hosts = ONE }, NOTFOUND, NOTFOUND, NONE NO },
	{ "audit", { ENFORCE, .patterns = MX1, .hosts = ONE, .enforce = ENFORCE_AUDIT }, NOTFOUND,
	    NOTFOUND, "mode=testing match=yes id=2016Z" NO },
	{ "audit, TXT failed", { .sts = STS_TXT_FAILED, .hosts = ONE, .enforce = ENFORCE_AUDIT },
	    NOTFOUND, NOTFOUND, NONE NO },
	{ "off", { ENFORCE, .patterns = MX1, .hosts = ONE, .enforce = ENFORCE_OFF }, NOTFOUND,
	    NOTFOUND, NONE NO },

	{ "MX unknown, no policy", { .sts = STS_NONE, .mx = MX_UNKNOWN, .mx_state = DNS_FAILED },
	    NOTFOUND, NOTFOUND, "mode=error" },
	{ "MX bogus, testing",
	    { .sts = STS_VALID,
		.mode = STS_MODE_TESTING,
		.patterns = MX1,
		.mx = MX_UNKNOWN,
		.mx_state = DNS_BOGUS },
	    NOTFOUND, NOTFOUND, "mode=error" },
	{ "DANE", { ENFORCE, .patterns = MX1, .hosts = ONE, .tlsa = { USABLE } }, DANE_ONLY,
	    NOTFOUND, ENFORCED YES },
	{ "DANE at all",
	    { ENFORCE, .patterns = "*.example.com", .hosts = TWO, .tlsa = { USABLE, USABLE } },
	    DANE_ONLY, NOTFOUND, ENFORCED YES },
	{ "DANE at one that is listed",
	    { ENFORCE, .patterns = MX2, .hosts = TWO, .tlsa = { USABLE, ABSENT } }, DANE_ONLY,
	    SECURE2, ENFORCED YES },
	{ "DANE at one that is not",
	    { ENFORCE, .patterns = MX1, .hosts = TWO, .tlsa = { USABLE, ABSENT } }, DANE_ONLY,
	    SECURE1, ENFORCED YES },
	{ "DANE at one, both listed",
	    { ENFORCE, .patterns = "*.example.com", .hosts = TWO, .tlsa = { ABSENT, USABLE } },
	    DANE_ONLY, SECURE12, ENFORCED YES },
	{ "DANE at one, none listed",
	    { ENFORCE, .patterns = "mx.example.net", .hosts = TWO, .tlsa = { ABSENT, USABLE } },
	    DANE_ONLY, "TEMP", "mode=enforce match=no id=2016Z" YES },
	{ "DANE at all, none listed",
	    { ENFORCE, .patterns = "mx.example.net", .hosts = ONE, .tlsa = { USABLE } }, DANE_ONLY,
	    NOTFOUND, "mode=enforce match=no id=2016Z" YES },
	{ "DANE at one, the other has records that cannot be used",
	    { ENFORCE, .patterns = "*.example.com", .hosts = TWO,
		.tlsa = { USABLE, { .state = TLSA_UNUSABLE } } },
	    DANE_ONLY, SECURE12, ENFORCED YES },
	{ "DANE without MTA-STS", { .sts = STS_NONE, .hosts = ONE, .tlsa = { USABLE } }, DANE_ONLY,
	    NOTFOUND, NONE YES },
	{ "DANE at one without MTA-STS",
	    { .sts = STS_NONE, .hosts = TWO, .tlsa = { USABLE, ABSENT } }, NOTFOUND, NOTFOUND,
	    NONE YES },
	{ "DANE at one, testing",
	    { .sts = STS_VALID,
		.mode = STS_MODE_TESTING,
		.patterns = "*.example.com",
		.hosts = TWO,
		.tlsa = { ABSENT, USABLE } },
	    NOTFOUND, NOTFOUND, "mode=testing match=yes id=2016Z" YES },
	{ "DANE at one, audit",
	    { ENFORCE, .patterns = MX1, .hosts = TWO, .enforce = ENFORCE_AUDIT,
		.tlsa = { ABSENT, USABLE } },
	    NOTFOUND, NOTFOUND, "mode=testing match=yes id=2016Z" YES },
	{ "DANE at the one with an address",
	    { .sts = STS_NONE,
		.tlsa = { ABSENT, USABLE },
		.hosts = { { MX2, 20, NULL, DNS_SECURE }, { MX1, 10, "192.0.2.1", DNS_SECURE } } },
	    DANE_ONLY, NOTFOUND, NONE YES },
	{ "DANE at the one with an address, enforce",
	    { ENFORCE, .patterns = "*.example.com",
		.hosts = { { MX2, 20, NULL, DNS_FAILED }, { MX1, 10, "192.0.2.1", DNS_SECURE } },
		.tlsa = { { .state = TLSA_NOT_ASKED }, USABLE } },
	    DANE_ONLY, SECURE1, ENFORCED YES },
	{ "DANE, TXT failed", { .sts = STS_TXT_FAILED, .hosts = ONE, .tlsa = { USABLE } },
	    DANE_ONLY, NOTFOUND, "mode=error" },
	{ "DANE at one, TXT failed",
	    { .sts = STS_TXT_FAILED, .hosts = TWO, .tlsa = { USABLE, ABSENT } }, DANE_ONLY, "TEMP",
	    "mode=error" },
	{ "DANE behind an insecure MX",
	    { ENFORCE, .patterns = MX1, .hosts = ONE, .mx_state = DNS_INSECURE,
		.tlsa = { USABLE } },
	    SECURE1, SECURE1, ENFORCED NO },
	{ "DANE alone behind an insecure MX",
	    { .sts = STS_NONE, .hosts = ONE, .mx_state = DNS_INSECURE, .tlsa = { USABLE } },
	    NOTFOUND, NOTFOUND, NONE NO },
	{ "TLSA unknown behind an insecure MX",
	    { ENFORCE, .patterns = MX1, .hosts = ONE, .mx_state = DNS_INSECURE,
		.tlsa = { { UNKNOWN } } },
	    SECURE1, SECURE1, ENFORCED NO },
	{ "DANE in audit",
	    { ENFORCE, .patterns = MX1, .hosts = ONE, .dane = ENFORCE_AUDIT, .tlsa = { USABLE } },
	    SECURE1, SECURE1, ENFORCED NO },
	{ "unusable TLSA",
	    { ENFORCE, .patterns = MX1, .hosts = ONE, .tlsa = { { .state = TLSA_UNUSABLE } } },
	    SECURE1, SECURE1, ENFORCED NO },
	{ "TLSA unknown", { ENFORCE, .patterns = MX1, .hosts = ONE, .tlsa = { { UNKNOWN } } },
	    "TEMP", "TEMP", "mode=error" },
	{ "TLSA unknown, usable elsewhere",
	    { ENFORCE, .patterns = MX1, .hosts = TWO, .tlsa = { { UNKNOWN }, USABLE } }, "TEMP",
	    "TEMP", ENFORCED YES },
	{ "TLSA unknown, absent elsewhere",
	    { ENFORCE, .patterns = MX1, .hosts = TWO, .tlsa = { { UNKNOWN }, ABSENT } }, "TEMP",
	    "TEMP", "mode=error" },
	{ "TLSA unknown, no policy", { .sts = STS_NONE, .hosts = ONE, .tlsa = { { UNKNOWN } } },
	    NOTFOUND, NOTFOUND, "mode=error" },
	{ "TLSA unknown, usable elsewhere, no policy",
	    { .sts = STS_NONE, .hosts = TWO, .tlsa = { { UNKNOWN }, USABLE } }, "TEMP", "TEMP",
	    NONE YES },
	{ "TLSA unknown, usable elsewhere, testing",
	    { .sts = STS_VALID,
		.patterns = MX1,
		.mode = STS_MODE_TESTING,
		.hosts = TWO,
		.tlsa = { { UNKNOWN }, USABLE } },
	    "TEMP", "TEMP", "mode=testing match=yes id=2016Z" YES },
	{ "TLSA unknown, some usable and some absent elsewhere, no policy",
	    { .sts = STS_NONE,
		.hosts = { { MX1, 10, "192.0.2.1", DNS_SECURE },
		    { MX2, 10, "192.0.2.2", DNS_SECURE },
		    { "mx3.example.com", 10, "192.0.2.3", DNS_SECURE } },
		.tlsa = { { UNKNOWN }, USABLE, ABSENT } },
	    NOTFOUND, NOTFOUND, NONE YES },
	{ "TLSA unknown, absent elsewhere, no policy",
	    { .sts = STS_NONE, .hosts = TWO, .tlsa = { { UNKNOWN }, ABSENT } }, NOTFOUND, NOTFOUND,
	    "mode=error" },

	{ "tls may", { ENFORCE, .patterns = MX1, .hosts = ONE, .tls = TLS_MAY }, NOTFOUND, NOTFOUND,
	    NONE NO },
	{ "tls none", { ENFORCE, .patterns = MX1, .hosts = ONE, .tls = TLS_NONE }, NOTFOUND,
	    NOTFOUND, NONE NO },
	{ "tls audit",
	    { ENFORCE, .patterns = MX1, .hosts = ONE, .tls = TLS_AUDIT, .tlsa = { USABLE } },
	    NOTFOUND, NOTFOUND, NONE NO },
	{ "tls encrypt", { .hosts = ONE, .tls = TLS_ENCRYPT }, "OK encrypt", "TEMP", "mode=error" },
	{ "tls verify", { .hosts = TWO, .tls = TLS_VERIFY }, SECURE12, SECURE12,
	    "mode=enforce match=yes id=" NO },
	{ "tls verify, insecure MX", { .hosts = TWO, .tls = TLS_VERIFY, .mx_state = DNS_INSECURE },
	    "TEMP", "TEMP", "mode=error" },
	{ "tls verify with names",
	    { .hosts = ONE,
		.tls = TLS_VERIFY,
		.match = "*.example.com mail.example.net *.example.org" },
	    "OK secure match=mail.example.net:" MX1 " servername=hostname",
	    "OK secure match=mail.example.net:" MX1 " servername=hostname",
	    "mode=enforce match=yes id=" NO },
	{ "tls verify with a wildcard of no host",
	    { .hosts = ONE, .tls = TLS_VERIFY, .match = "*.example.org" }, "TEMP", "TEMP",
	    "mode=error" },
	{ "tls dane", { .hosts = ONE, .tls = TLS_DANE, .tlsa = { USABLE } }, DANE_ONLY, NOTFOUND,
	    NONE YES },
	{ "tls dane, whatever dane.enforce",
	    { .hosts = ONE, .tls = TLS_DANE, .dane = ENFORCE_OFF, .tlsa = { USABLE } }, DANE_ONLY,
	    NOTFOUND, NONE YES },
	{ "tls dane, at one of two", { .hosts = TWO, .tls = TLS_DANE, .tlsa = { USABLE, ABSENT } },
	    DANE_ONLY, "TEMP", NONE YES },
	{ "tls dane, insecure MX",
	    { .hosts = ONE, .tls = TLS_DANE, .mx_state = DNS_INSECURE, .tlsa = { USABLE } },
	    DANE_ONLY, "TEMP", "mode=error" },
	{ "tls dane, no TLSA", { .hosts = ONE, .tls = TLS_DANE }, "OK dane-only", "TEMP",
	    "mode=error" },
};

/* policy-map.dane = "none" */
static const struct map_case cases_without_dane[] = {
	{ "DANE before an MTA without it",
	    { ENFORCE, .patterns = MX1, .hosts = ONE,

		.tlsa = { { .state = TLSA_USABLE } } },
	    SECURE1, SECURE1, "mode=enforce match=yes id=2016Z" },
	{ "DANE alone before an MTA without it",
	    { .sts = STS_NONE, .hosts = ONE, .tlsa = { { .state = TLSA_USABLE } } }, NOTFOUND,
	    NOTFOUND, NONE },
	{ "TLSA unknown before an MTA without DANE",
	    { ENFORCE, .patterns = MX1, .hosts = ONE, .tlsa = { { UNKNOWN } } }, SECURE1, SECURE1,
	    "mode=enforce match=yes id=2016Z" },
};

/* What is said about the facts, in the arena. */
static void
weigh(struct arena *arena, const struct test_facts *facts, bool dane_none,
    struct plan_map_policy *policy)
{
	struct plan_map_rules rules = { .tls = facts->tls,
		.sts_enforce = facts->enforce,
		.dane_enforce = facts->dane,
		.dane_by_mta = !dane_none };

	plan_map_weigh(arena, test_facts_make(arena, facts), test_plan_make(arena, facts), &rules,
	    policy);
}

static void
expect(const char *name, const struct buf *answer, const char *expected)
{
	if (strcmp(expected, "TEMP") == 0
		? strncmp(buf_text(answer), "TEMP example.com: ", 18) != 0 &&
		    strncmp(buf_text(answer), "TEMP FEATURE(sts)", 17) != 0 &&
		    strncmp(buf_text(answer), "TEMP the destination ", 21) != 0
		: strcmp(buf_text(answer), expected) != 0)
		fail_msg("%s: \"%s\" and not \"%s\"", name, buf_text(answer), expected);
}

static void
expect_answers(const struct map_case *one, bool dane_none)
{
	struct arena *arena = arena_new();
	struct plan_map_policy policy;
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
	struct plan_map_policy policy;

	weigh(arena, facts, false, &policy);
	plan_map_answer(MAP_POSTFIX_TLSRPT, &policy, &answer);
	assert_string_equal(buf_text(&answer), expected);
	buf_free(&answer);
	arena_free(arena);
}

#define ATTRIBUTES(mode)	\
	" policy_type=sts policy_domain=example.com mx_host_pattern=" MX1 \
	" {policy_string=version: STSv1} {policy_string=mode: " mode "}" \
	" {policy_string=mx: " MX1 "} {policy_string=max_age: 604800}"

static void
test_report_attributes(void **state)
{
	struct test_facts facts = { ENFORCE, .patterns = MX1, .hosts = ONE };

	(void)state;
	expect_report(&facts, SECURE1 ATTRIBUTES("enforce"));
	/* At level "may" Postfix verifies nothing, and would report that it had. */
	facts.mode = STS_MODE_TESTING;
	expect_report(&facts, NOTFOUND);
	facts.mode = STS_MODE_ENFORCE;
	facts.enforce = ENFORCE_AUDIT;
	expect_report(&facts, NOTFOUND);
	facts.enforce = ENFORCE_ON;
	facts.tlsa[0].state = TLSA_USABLE;
	expect_report(&facts, "OK dane-only");
	expect_report(&(struct test_facts){ .sts = STS_NONE, .hosts = ONE }, NOTFOUND);
}

/* B28, and whatever else a policy can hold: it must not end the attribute that it stands in. */
static void
test_report_escapes(void **state)
{
	static const char body[] =
	    "version: STSv1\nmode: enforce\r\next: } {{x}\n\r\n\tz: \x01\xff,\n"
	    "last";
	char patterns[][20] = { "*.example.com", "a b", "x{y}", "m\xc3\xbc.example", "*" };
	char *mx[] = { patterns[0], patterns[1], patterns[2], patterns[3], patterns[4] };
	struct sts_policy sts = { .mode = STS_MODE_ENFORCE,
		.mx = mx,
		.mx_count = 5,
		.body = body,
		.body_length = sizeof(body) - 1 };
	const char *names[] = { MX1 };
	struct plan_map_policy policy = { .need = MAP_NEED_NAMES,
		.names = names,
		.name_count = 1,
		.policy = &sts,
		.mode = "enforce",
		.domain = "example.com" };
	struct buf answer = { 0 };

	(void)state;
	plan_map_answer(MAP_POSTFIX_TLSRPT, &policy, &answer);
	assert_string_equal(buf_text(&answer),
	    SECURE1 " policy_type=sts policy_domain=example.com "
		    "mx_host_pattern=*.example.com {policy_string=version: STSv1} "
		    "{policy_string=mode: enforce} {policy_string=ext: %7D %7B%7Bx%7D} "
		    "{policy_string=?z: ??,} {policy_string=last}");
	buf_free(&answer);
}

static void
test_too_long(void **state)
{
	struct plan_map_policy policy = { .need = MAP_NEED_NAMES,
		.domain = "example.com",
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

/* What is said about one host; facts have DANE before the MTA unless dane_none. */
static void
expect_line(const char *name, const struct test_facts *facts, bool dane_none, const char *host,
    const char *expected)
{
	struct arena *arena = arena_new();
	struct buf answer = { 0 };
	struct plan_map_policy policy;

	weigh(arena, facts, dane_none, &policy);
	plan_map_line(&policy, host, &answer);
	if (strcmp(buf_text(&answer), expected) != 0)
		fail_msg("%s, %s: \"%s\" and not \"%s\"", name, host, buf_text(&answer), expected);
	buf_free(&answer);
	arena_free(arena);
}

#define ELSEWHERE	"mx.example.net"
#define UNLISTED	"mode=enforce match=no id=2016Z"
#define TESTED	"mode=testing match=yes id=2016Z"

static const struct line_case {
	const char *name;
	struct test_facts facts;
	const char *mx1, *mx2, *elsewhere;
} line_cases[] = {
	{ "one listed", { ENFORCE, .patterns = MX2, .hosts = TWO }, UNLISTED NO, ENFORCED NO,
	    UNLISTED NO },
	{ "DANE at the listed one",
	    { ENFORCE, .patterns = MX2, .hosts = TWO, .tlsa = { USABLE, ABSENT } }, UNLISTED NO,
	    ENFORCED YES, UNLISTED NO },
	{ "DANE at the one that is not listed",
	    { ENFORCE, .patterns = MX2, .hosts = TWO, .tlsa = { ABSENT, USABLE } }, UNLISTED YES,
	    ENFORCED NO, UNLISTED NO },
	{ "DANE at one of two listed",
	    { ENFORCE, .patterns = "*.example.com", .hosts = TWO, .tlsa = { ABSENT, USABLE } },
	    ENFORCED YES, ENFORCED NO, UNLISTED NO },
	{ "unknown at one",
	    { ENFORCE, .patterns = "*.example.com", .hosts = TWO, .tlsa = { { UNKNOWN }, ABSENT } },
	    ENFORCED NO, "mode=error", UNLISTED NO },
	{ "unknown at the one that is not listed",
	    { ENFORCE, .patterns = MX2, .hosts = TWO, .tlsa = { ABSENT, { UNKNOWN } } },
	    "mode=error", ENFORCED NO, UNLISTED NO },
	{ "no policy, no DANE", { .sts = STS_NONE, .hosts = TWO, .tlsa = { ABSENT, ABSENT } },
	    NONE NO, NONE NO, NONE NO },
	/* The MTA has another MX answer than the secure one. */
	{ "no policy, DANE at one", { .sts = STS_NONE, .hosts = TWO, .tlsa = { ABSENT, USABLE } },
	    NONE YES, NONE NO, "mode=error" },
	{ "testing, DANE at one",
	    { .sts = STS_VALID,
		.mode = STS_MODE_TESTING,
		.patterns = "*.example.com",
		.hosts = TWO,
		.tlsa = { USABLE, ABSENT } },
	    TESTED NO, TESTED YES, "mode=error" },
	{ "no policy, unknown at one",
	    { .sts = STS_NONE, .hosts = TWO, .tlsa = { ABSENT, { UNKNOWN } } }, "mode=error",
	    NONE NO, "mode=error" },
	{ "no policy, unusable at one",
	    { .sts = STS_NONE, .hosts = TWO, .tlsa = { ABSENT, { .state = TLSA_UNUSABLE } } },
	    NONE NO, NONE NO, NONE NO },
	{ "no policy, the addresses of one failed",
	    { .sts = STS_NONE,
		.hosts = { { MX1, 10, NULL, DNS_FAILED }, { MX2, 10, "192.0.2.2", DNS_SECURE } } },
	    "mode=error", NONE NO, NONE NO },
	{ "no policy, the addresses of one bogus",
	    { .sts = STS_NONE,
		.hosts = { { MX1, 10, NULL, DNS_BOGUS }, { MX2, 10, "192.0.2.2", DNS_SECURE } },
		.tlsa = { { .state = TLSA_NOT_ASKED }, USABLE } },
	    "mode=error", NONE YES, "mode=error" },
	{ "insecure MX",
	    { ENFORCE, .patterns = MX2, .hosts = TWO, .mx_state = DNS_INSECURE,
		.tlsa = { USABLE, { UNKNOWN } } },
	    UNLISTED NO, ENFORCED NO, UNLISTED NO },
	{ "MX unknown", { .sts = STS_NONE, .mx = MX_UNKNOWN, .mx_state = DNS_BOGUS }, "mode=error",
	    "mode=error", "mode=error" },
	{ "tls dane", { .hosts = TWO, .tls = TLS_DANE, .tlsa = { USABLE, ABSENT } }, "mode=error",
	    NONE YES, "mode=error" },
	{ "tls may", { .hosts = TWO, .tls = TLS_MAY }, NONE NO, NONE NO, NONE NO },
};

static void
test_line_about_host(void **state)
{
	const struct test_facts facts = { ENFORCE, .patterns = MX2, .hosts = TWO,
		.tlsa = { USABLE, { UNKNOWN } } };

	(void)state;
	for (size_t i = 0; i < sizeof(line_cases) / sizeof(line_cases[0]); i++) {
		const struct line_case *one = &line_cases[i];

		expect_line(one->name, &one->facts, false, MX1, one->mx1);
		expect_line(one->name, &one->facts, false, MX2, one->mx2);
		expect_line(one->name, &one->facts, false, ELSEWHERE, one->elsewhere);
	}
	expect_line("dot and capitals", &facts, false, "MX2.example.com.", ENFORCED YES);
	/* policy-map.dane = "none" */
	expect_line("without DANE", &facts, true, MX1, UNLISTED);
	expect_line("without DANE", &facts, true, MX2, ENFORCED);
}

/* Some MTAs ask about the name that the MX name is an alias of. */
static void
test_line_about_alias(void **state)
{
	struct test_facts test = { .sts = STS_NONE, .hosts = TWO, .tlsa = { USABLE, ABSENT } };
	struct plan_map_rules rules = { .dane_by_mta = true };
	struct arena *arena = arena_new();
	struct facts *facts = test_facts_make(arena, &test);
	struct buf answer = { 0 };
	struct plan_map_policy policy;

	(void)state;
	facts->hosts[0].canonical = ELSEWHERE;
	plan_map_weigh(arena, facts, test_plan_from(arena, &test, facts), &rules, &policy);
	plan_map_line(&policy, ELSEWHERE, &answer);
	assert_string_equal(buf_text(&answer), NONE YES);
	buf_clear(&answer);
	plan_map_line_without_policy(true, &answer);
	assert_string_equal(buf_text(&answer), NONE NO);
	buf_clear(&answer);
	plan_map_line_without_policy(false, &answer);
	assert_string_equal(buf_text(&answer), NONE);
	buf_free(&answer);
	arena_free(arena);
}

#define BAD	"(bad)"

static void
expect_hop(const char *text, size_t length, const char *expected)
{
	struct domain domain = { "" };
	const char *got = NULL;

	switch (plan_map_next_hop(text, length, &domain)) {
	case MAP_KEY_DOMAIN:
		got = domain.name;
		break;
	case MAP_KEY_WITHOUT_POLICY:
		break;
	case MAP_KEY_BAD:
		got = BAD;
		break;
	}
	if ((got == NULL) != (expected == NULL) || (got != NULL && strcmp(got, expected) != 0))
		fail_msg("\"%s\": %s", text, got != NULL ? got : "none");
}

static void
test_next_hop(void **state)
{
	static const struct {
		const char *text, *domain;	/* NULL: none; BAD: it is no name */
	} hops[] = {
		{ "example.com", "example.com" },
		{ "Example.COM.", "example.com" },
		{ "[example.com]", "example.com" },
		{ "[example.com]:123", "example.com" },
		{ "[example.com.]:submission", "example.com" },
		{ "example.com:25", "example.com" },
		{ "m\xc3\xbcller.example", "xn--mller-kva.example" },
		{ "a_b.example", "a_b.example" },
		{ "i\xe2\x9d\xa4.example", "xn--i-7iq.example" },
		{ "1.2.3", "1.2.3" },
		{ "[M\xc3\x9cLLER.example.]:25", "xn--mller-kva.example" },
		{ ".example.com", NULL },
		{ ".m\xc3\xbcller.example", NULL },
		{ "[a:bb::dd]:25", NULL },
		{ "a:bb::dd", NULL },
		{ "[192.0.2.1]", NULL },
		{ "192.0.2.1", NULL },
		{ "192.0.2.1.", NULL },
		{ "192.0.2.1:25", NULL },
		{ "[IPv6:2001:db8::1]", NULL },
		{ "[ipv6:2001:db8::1]:25", NULL },
		{ "", NULL },
		{ ".", BAD },
		{ "..", BAD },
		{ "[]", BAD },
		{ "[", BAD },
		{ "]", BAD },
		{ "[example.com", BAD },
		{ "[example.com]25", BAD },
		{ "[example.com]:", BAD },
		{ "example.com:", BAD },
		{ "example.com:2 5", BAD },
		{ "example..com", BAD },
		{ "example.com..", BAD },
		{ "a b", BAD },
		{ " example.com", BAD },
		{ "example.com ", BAD },
		{ "\texample.com", BAD },
		{ "example.com\n", BAD },
		{ "exa/mple.com", BAD },
		{ "user@example.com", BAD },
		{ "*.example.com", BAD },
		{ ".a b", BAD },
		{ "..example.com", BAD },
		{ "[.example.com]", BAD },
		{ "[IPv6:2001:db8::1", BAD },
		{ "[IPv6:x]", BAD },
		{ "[IPv6:]", BAD },
		{ "[fe80::1%lo]", BAD },
		{ "\xff.example", BAD },
		{ "fa\xc3\x9f\xe2\x9d\xa4.example", BAD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++)
		expect_hop(hops[i].text, strlen(hops[i].text), hops[i].domain);
	expect_hop("example.com\0", 12, BAD);
	expect_hop("\0", 1, BAD);
	expect_hop("192.0.2.1\0", 10, BAD);
	expect_hop("[192.0.2.1\0]", 12, BAD);
}

static void
test_long_next_hop(void **state)
{
	char text[400], longest[254] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = i % 2 == 0 ? 'a' : '.';
	memcpy(longest, text, 253);
	expect_hop(text, 253, longest);
	expect_hop(text, 254, longest);	/* with a dot */
	expect_hop(text, 255, BAD);	/* labels beyond what a name can have */
	expect_hop(text, 400, BAD);
	memset(text, 'a', sizeof(text));
	text[63] = '.';
	expect_hop(text, 100,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	text[63] = 'a';
	text[64] = '.';
	expect_hop(text, 100, BAD);	/* a label of 64 octets */
}

static void
test_names(void **state)
{
	enum plan_map map;

	(void)state;
	assert_int_equal(plan_map_find("postfix-tlsrpt", 14, &map), 0);
	assert_int_equal(map, MAP_POSTFIX_TLSRPT);
	assert_string_equal(plan_map_name(map), "postfix-tlsrpt");
	assert_int_equal(plan_map_find("postfix-tlsrpt", 7, &map), 0);
	assert_int_equal(map, MAP_POSTFIX);
	assert_int_equal(plan_map_find("postfi", 6, &map), -1);
	assert_int_equal(plan_map_find("", 0, &map), -1);
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
		cmocka_unit_test(test_line_about_alias),
		cmocka_unit_test(test_next_hop),
		cmocka_unit_test(test_long_next_hop),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
