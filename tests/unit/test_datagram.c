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
#include "report/datagram.h"

#define AT	1767225600

/* The numbers in the names are those of the facts. */
static const char canonical[] =
    "{\"dpv\": \"1\",\"d\": \"example.com\",\"pr\": \"v=TLSRPTv1; rua=mailto:r@example.com\","
    "\"policies\":[{\"policy-type\":2,\"policy-domain\": \"example.com\","
    "\"policy-string\":[\"version: STSv1\",\"mode: enforce\",\"mx: *.example.com\","
    "\"max_age: 604800\"],\"mx-host\":[\"*.example.com\"],"
    "\"failure-details\":[{\"c\":204,\"s\": \"192.0.2.1\",\"n\": \"mx.example.com\","
    "\"h\": \"mx.example.com\",\"r\": \"198.51.100.2\",\"a\": \"https://example.net/a\","
    "\"f\": \"X509_V_ERR_CERT_HAS_EXPIRED\"}],\"t\":1,\"f\":1}]}";

#define HEAD	"{\"d\":\"ex.net\",\"pr\":\"v=TLSRPTv1;rua=mailto:a@x\",\"policies\":["
#define P(fields)	HEAD "{\"policy-type\":9," fields "}]}"
#define DETAIL(fields)	P("\"t\":1,\"f\":1,\"failure-details\":[{" fields "}]")
#define S(text)	text, sizeof(text) - 1

static struct session_outcome
take(struct arena *arena, const char *octets)
{
	struct session_outcome session;
	const char *why = "";

	if (datagram_read(arena, octets, strlen(octets), AT, &session, &why) != 0)
		fail_msg("%s: %s", octets, why);
	return session;
}

static void
least_of_all_is_taken(void **state)	/* 1, 14 */
{
	struct arena *arena = arena_new();
	struct session_outcome session = take(arena, P("\"t\":0,\"f\":0"));

	(void)state;
	assert_string_equal(session.domain, "ex.net");
	assert_string_equal(session.record, "v=TLSRPTv1;rua=mailto:a@x");
	assert_int_equal(session.at_s, AT);
	assert_int_equal(session.count, 1);
	assert_int_equal(session.outcomes[0].policy.type, OUTCOME_NO_POLICY);
	assert_string_equal(session.outcomes[0].policy.domain, "ex.net");
	assert_false(session.outcomes[0].failed);
	assert_int_equal(session.outcomes[0].failure_count, 0);
	arena_free(arena);
}

static void
canonical_octets_come_out_again(void **state)	/* 2 */
{
	struct arena *arena = arena_new();
	struct session_outcome session = take(arena, canonical);
	struct buf text = { 0 };

	(void)state;
	datagram_write(&text, &session);
	assert_string_equal(buf_text(&text), canonical);
	assert_string_equal(session.outcomes[0].failures[0].receiving_ip, "198.51.100.2");
	assert_int_equal(session.outcomes[0].failures[0].type, RESULT_CERTIFICATE_EXPIRED);
	buf_free(&text);
	arena_free(arena);
}

static void
what_is_empty_is_left_out(void **state)	/* 5: no t */
{
	struct arena *arena = arena_new();
	struct session_outcome session = take(arena, P("\"f\":0"));
	struct buf text = { 0 };

	(void)state;
	datagram_write(&text, &session);
	assert_string_equal(buf_text(&text),
	    "{\"dpv\": \"1\",\"d\": \"ex.net\","
	    "\"pr\": \"v=TLSRPTv1;rua=mailto:a@x\",\"policies\":[{\"policy-type\":9,"
	    "\"policy-domain\": \"ex.net\",\"t\":0,\"f\":0}]}");
	buf_free(&text);
	arena_free(arena);
}

static void
domain_is_made_alike(void **state)	/* 3, 66 */
{
	struct arena *arena = arena_new();
	const char *tail = ",\"pr\":\"a\",\"policies\":[{\"policy-type\":2,"
			   "\"policy-domain\":\"B\xc3\xbc"
			   "cher.Example\",\"f\":0}]}";
	struct session_outcome session = take(arena,
	    arena_printf(arena, "{\"d\":\"EXAMPLE.Com.\"%s", tail));

	(void)state;
	assert_string_equal(session.domain, "example.com");
	assert_string_equal(session.outcomes[0].policy.domain, "xn--bcher-kva.example");
	arena_free(arena);
}

struct hostile {
	const char *name;
	const char *octets;
	size_t length;
};

static const struct hostile hostile[] = {
	{ "4 another version",
	    S("{\"dpv\":\"2\",\"d\":\"ex.net\",\"pr\":\"a\",\"policies\":"
	      "[{\"policy-type\":9,\"f\":0}]}") },
	{ "4 a number",
	    S("{\"dpv\":1,\"d\":\"ex.net\",\"pr\":\"a\",\"policies\":"
	      "[{\"policy-type\":9,\"f\":0}]}") },
	{ "5 no f", S(P("\"t\":0")) },
	{ "5 no f, the second", S(HEAD "{\"policy-type\":9,\"f\":0},{\"policy-type\":9}]}") },
	{ "5 no d", S("{\"pr\":\"a\",\"policies\":[{\"policy-type\":9,\"f\":0}]}") },
	{ "5 no pr", S("{\"d\":\"ex.net\",\"policies\":[{\"policy-type\":9,\"f\":0}]}") },
	{ "6 policies null", S("{\"d\":\"ex.net\",\"pr\":\"a\",\"policies\":null}") },
	{ "6 no policies", S("{\"d\":\"ex.net\",\"pr\":\"a\"}") },
	{ "6 policies empty", S("{\"d\":\"ex.net\",\"pr\":\"a\",\"policies\":[]}") },
	{ "6 a policy that is none", S("{\"d\":\"ex.net\",\"pr\":\"a\",\"policies\":[\"a\"]}") },
	{ "6 d is a number",
	    S("{\"d\":1,\"pr\":\"a\",\"policies\":[{\"policy-type\":9,\"f\":0}]}") },
	{ "6 an array", S("[]") },
	{ "6 nothing", S("") },
	{ "6 a number", S("1") },
	{ "6 not UTF-8",
	    S("{\"d\":\"ex.net\",\"pr\":\"a\xff\",\"policies\":"
	      "[{\"policy-type\":9,\"f\":0}]}") },
	{ "6 NUL in a text",
	    S("{\"d\":\"ex.net\\u0000\",\"pr\":\"a\",\"policies\":"
	      "[{\"policy-type\":9,\"f\":0}]}") },
	{ "6 NUL behind it", S(P("\"f\":0") "\0") },
	{ "6 cut", S("{\"d\":\"ex.net\",\"pr\":\"a") },
	{ "7 policy-type 7", S(HEAD "{\"policy-type\":7,\"f\":0}]}") },
	{ "7 policy-type a text", S(HEAD "{\"policy-type\":\"sts\",\"f\":0}]}") },
	{ "7 no policy-type", S(HEAD "{\"f\":0}]}") },
	{ "7 c=999", S(DETAIL("\"c\":999")) },
	{ "7 c=901", S(DETAIL("\"c\":901")) },
	{ "7 c=0", S(DETAIL("\"c\":0")) },
	{ "7 no c", S(DETAIL("\"f\":\"a\"")) },
	{ "7 c too large", S(DETAIL("\"c\":99999999999999999999")) },
	{ "f=2", S(P("\"f\":2")) },
	{ "f null", S(P("\"f\":null")) },
	{ "failure-details an object", S(P("\"f\":1,\"failure-details\":{}")) },
	{ "failure-details of texts", S(P("\"f\":1,\"failure-details\":[\"a\"]")) },
	{ "a reason that is a number", S(DETAIL("\"c\":201,\"f\":1")) },
	{ "policy-string a text", S(P("\"f\":0,\"policy-string\":\"a\"")) },
	{ "policy-string of numbers", S(P("\"f\":0,\"policy-string\":[1]")) },
	{ "mx-host a text", S(P("\"f\":0,\"mx-host\":\"a\"")) },
	{ "policy-domain a path", S(P("\"f\":0,\"policy-domain\":\"../a\"")) },
	{ "d empty", S("{\"d\":\"\",\"pr\":\"a\",\"policies\":[{\"policy-type\":9,\"f\":0}]}") },
	{ "pr empty",
	    S("{\"d\":\"ex.net\",\"pr\":\"\",\"policies\":[{\"policy-type\":9,\"f\":0}]}") },
};

static void
hostile_datagrams_are_refused_with_a_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		struct arena *arena = arena_new();
		struct session_outcome session;
		const char *why = NULL;

		if (datagram_read(arena, hostile[i].octets, hostile[i].length, AT, &session,
			&why) == 0)
			fail_msg("%s was taken", hostile[i].name);
		if (why == NULL || why[0] == '\0')
			fail_msg("%s: no reason", hostile[i].name);
		arena_free(arena);
	}
}

static void
depth_and_size_are_bounded(void **state)	/* 6 */
{
	struct arena *arena = arena_new();
	char *large = malloc(LIMIT_DATAGRAM + 1);
	struct session_outcome session;
	const char *why = "";

	(void)state;
	assert_non_null(large);
	memset(large, '[', LIMIT_DATAGRAM + 1);
	assert_int_equal(datagram_read(arena, large, 10000, AT, &session, &why), -1);
	assert_string_equal(why, "nested too deeply");
	memset(large, ' ', LIMIT_DATAGRAM + 1);
	memcpy(large, canonical, sizeof(canonical) - 1);
	assert_int_equal(datagram_read(arena, large, LIMIT_DATAGRAM, AT, &session, &why), 0);
	assert_int_equal(datagram_read(arena, large, LIMIT_DATAGRAM + 1, AT, &session, &why), -1);
	assert_string_equal(why, "too long");
	free(large);
	arena_free(arena);
}

static void
brackets_in_texts_are_no_depth(void **state)
{
	struct arena *arena = arena_new();
	struct session_outcome session = take(arena,
	    DETAIL("\"c\":205,\"f\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\\\""));

	(void)state;
	assert_string_equal(session.outcomes[0].failures[0].reason,
	    "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\");
	arena_free(arena);
}

static void
policies_have_verdicts_of_their_own(void **state)	/* 8, 9, 10 */
{
	struct arena *arena = arena_new();
	struct session_outcome session = take(arena,
	    HEAD "{\"policy-type\":2,\"f\":1},"
		 "{\"policy-type\":1,\"policy-domain\":\"mx.ex.net\",\"t\":1,\"f\":false,"
		 "\"failure-details\":[{\"c\":204}]},"
		 "{\"policy-type\":9,\"f\":true,\"x-foo\":{\"a\":[1]}}]}");

	(void)state;
	assert_int_equal(session.count, 3);
	assert_true(session.outcomes[0].failed);
	assert_int_equal(session.outcomes[0].failure_count, 0);
	assert_int_equal(session.outcomes[1].policy.type, OUTCOME_TLSA);
	assert_string_equal(session.outcomes[1].policy.domain, "mx.ex.net");
	assert_false(session.outcomes[1].failed);
	assert_int_equal(session.outcomes[1].failure_count, 1);
	assert_int_equal(session.outcomes[1].failures[0].type, RESULT_CERTIFICATE_EXPIRED);
	assert_string_equal(session.outcomes[1].failures[0].reason, "");
	assert_true(session.outcomes[2].failed);
	arena_free(arena);
}

struct detail_case {
	const char *name, *fields, *expected;	/* "s n h r a f" joined by | */
};

static const struct detail_case details[] = {
	{ "11", "\"h\":\"250-mx\\r\\n250 STARTTLS\"", "||mx|||" },
	{ "11 one line", "\"h\":\"250 mx.ex.net greets you\"", "||mx.ex.net|||" },
	{ "11 the name alone", "\"h\":\"mx.ex.net\"", "||mx.ex.net|||" },
	{ "11 no name", "\"h\":\"250\"", "||250|||" },
	{ "12", "\"f\":\"\\\"\\\\\\u0001\\u00e9\"", "|||||\"\\\x01\xc3\xa9" },
	{ "addresses alike", "\"s\":\"2001:DB8:0:0::1\",\"r\":\"192.0.2.1\"",
	    "2001:db8::1|||192.0.2.1||" },
	{ "no addresses", "\"s\":\"localhost\",\"r\":\"192.0.2\"", "|||||" },
	{ "null", "\"s\":null,\"f\":null", "|||||" },
	{ "URI", "\"a\":\"https://ex.net/?a\",\"n\":\"mx.ex.net\"",
	    "|mx.ex.net|||https://ex.net/?a|" },
	{ "no URI", "\"a\":\"see https://ex.net\"", "|||||" },
	{ "no scheme", "\"a\":\":a\"", "|||||" },
};

static void
details_are_as_a_report_wants_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		struct arena *arena = arena_new();
		const char *octets = arena_printf(arena,
			       HEAD "{\"policy-type\":9,\"f\":1,"
				    "\"failure-details\":[{\"c\":205,%s}]}]}",
			       details[i].fields),
			   *all;
		struct session_outcome session = take(arena, octets), again;
		const struct outcome_failure *failure = &session.outcomes[0].failures[0];
		struct buf text = { 0 };

		all = arena_printf(arena, "%s|%s|%s|%s|%s|%s", failure->sending_ip, failure->mx,
		    failure->helo, failure->receiving_ip, failure->information, failure->reason);
		if (strcmp(all, details[i].expected) != 0)
			fail_msg("%s: %s", details[i].name, all);
		/* And it can be sent on. */
		datagram_write(&text, &session);
		again = take(arena, buf_text(&text));
		assert_string_equal(again.outcomes[0].failures[0].reason, failure->reason);
		buf_free(&text);
		arena_free(arena);
	}
}

static void
records_are_put_in_order(void **state)	/* 15 */
{
	struct arena *arena = arena_new();
	struct session_outcome a = take(arena,
	    HEAD "{\"policy-type\":1,\"f\":0,"
		 "\"policy-string\":[\"3 1 1 AB\",\"2 1 1 cd\"]}]}");
	struct session_outcome b = take(arena,
	    HEAD "{\"policy-type\":1,\"f\":0,"
		 "\"policy-string\":[\"2 1 1 CD\",\"\",\"3 1 1 ab\"]}]}");

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		const struct outcome_policy *policy = &(i == 0 ? a : b).outcomes[0].policy;

		assert_int_equal(policy->string_count, 2);
		assert_string_equal(policy->strings[0], "2 1 1 CD");
		assert_string_equal(policy->strings[1], "3 1 1 AB");
	}
	arena_free(arena);
}

static void
texts_are_cut(void **state)
{
	struct arena *arena = arena_new();
	char long_text[LIMIT_DATAGRAM_REASON + 10];
	const struct outcome_failure *failure;
	struct session_outcome session;

	(void)state;
	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	session = take(arena,
	    arena_printf(arena,
		HEAD "{\"policy-type\":9,\"f\":1,"
		     "\"failure-details\":[{\"c\":205,\"f\":\"%s\",\"h\":\"%s\",\"n\":\"%s\"}]}]}",
		long_text, long_text, long_text));
	failure = &session.outcomes[0].failures[0];
	assert_int_equal(strlen(failure->reason), LIMIT_DATAGRAM_REASON);
	assert_int_equal(strlen(failure->helo), 255);
	assert_int_equal(strlen(failure->mx), 253);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(least_of_all_is_taken),
		cmocka_unit_test(canonical_octets_come_out_again),
		cmocka_unit_test(what_is_empty_is_left_out),
		cmocka_unit_test(domain_is_made_alike),
		cmocka_unit_test(hostile_datagrams_are_refused_with_a_reason),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(brackets_in_texts_are_no_depth),
		cmocka_unit_test(policies_have_verdicts_of_their_own),
		cmocka_unit_test(details_are_as_a_report_wants_them),
		cmocka_unit_test(records_are_put_in_order),
		cmocka_unit_test(texts_are_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
