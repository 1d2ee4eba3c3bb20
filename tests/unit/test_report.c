/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "report/report.h"
#include "report/sender.h"

/* The numbers are those of the facts. Days 20454 and 20455 are the first two of 2026. */
#define DAY	20454
#define RECORD	"v=TLSRPTv1;rua=mailto:a@x.example"
#define THREE	RECORD ",https://elsewhere.example/,mailto:b@other.example"
#define HEAD	\
	"{\"organization-name\":\"Sender\",\"date-range\":{" \
	"\"start-datetime\":\"2026-01-01T00:00:00Z\",\"end-datetime\":\"2026-01-01T23:59:59Z\"}," \
	"\"contact-info\":\"tls@sender.example\"," \
	"\"report-id\":\"20260101.0123456789abcdef0123.example.com@sender.example\",\"policies\":["
#define NO_POLICY	\
	"{\"policy\":{\"policy-type\":\"no-policy-found\",\"policy-string\":[]," \
	"\"policy-domain\":\"example.com\",\"mx-host\":[]},\"summary\":"
#define COUNTS(good, bad)	\
	"{\"total-successful-session-count\":" #good "," \
	"\"total-failure-session-count\":" #bad "}"

static const struct reporter_name name = { "Sender", "tls@sender.example",
	"tls-reports@sender.example", "sender.example" };
static const struct outcome_policy no_policy = { .type = OUTCOME_NO_POLICY,
	.domain = "example.com" };

static struct tally_report
report_of(struct tally_policy *policies, size_t count)
{
	return (struct tally_report){ .day = DAY,
		.domain = "example.com",
		.record = RECORD,
		.record_digest = "0123456789abcdef0123",
		.policies = policies,
		.policy_count = count };
}

static struct tally_detail
detail_of(enum result_type type, uint64_t sessions)
{
	return (struct tally_detail){ { type, "", "", "", "", "", "" }, sessions };
}

static void
assert_json(struct tally_policy *policies, size_t count, const char *expected)
{
	struct arena *arena = arena_new();
	const struct tally_report report = report_of(policies, count);

	assert_string_equal(report_json(arena, &report, &name, false), expected);
	arena_free(arena);
}

/* 70, 71 */
static void
successes_alone(void **state)
{
	struct tally_policy policy = { .policy = no_policy, .succeeded = 7 };

	(void)state;
	assert_json(&policy, 1, HEAD NO_POLICY COUNTS(7, 0) ",\"failure-details\":[]}]}");
}

/* 9, 10: what datagrams of others may count. */
static void
counts_and_details_that_do_not_match(void **state)
{
	struct tally_detail recovered = detail_of(RESULT_CERTIFICATE_EXPIRED, 1);
	struct tally_policy with = { no_policy, 1, 0, &recovered, 1 };
	struct tally_policy without = { .policy = no_policy, .failed = 1 };

	(void)state;
	assert_json(&with, 1,
	    HEAD NO_POLICY COUNTS(1,
		0) ",\"failure-details\":["
		   "{\"result-type\":\"certificate-expired\",\"failed-session-count\":1}]}]}");
	assert_json(&without, 1, HEAD NO_POLICY COUNTS(0, 1) ",\"failure-details\":[]}]}");
}

/* 43, 71, I12, I14, I19: lists are lists, numbers numbers, and what is not known is left out. */
static void
all_that_may_be_in_it(void **state)
{
	static const char *lines[] = { "version: STSv1", "mx: *.example.com" };
	static const char *mx[] = { "*.example.com" };
	struct tally_detail details[] = { { { RESULT_VALIDATION_FAILURE, "2001:db8::1",
						"mx.example.com", "helo", "192.0.2.1",
						"https://a.example/", "\"\\\x01\xc3\xa9" },
					      2 },
		detail_of(RESULT_CERTIFICATE_HOST_MISMATCH, 1) };
	struct tally_detail fetch = detail_of(RESULT_STS_POLICY_FETCH_ERROR, 1);
	struct tally_policy policies[] = { { { OUTCOME_STS, "example.com", lines, 2, mx, 1 }, 4, 3,
					       details, 2 },
		{ { OUTCOME_STS, "example.com", NULL, 0, NULL, 0 }, 0, 1, &fetch, 1 } };

	(void)state;
	assert_json(policies, 2,
	    HEAD
	    "{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":["
	    "\"version: STSv1\",\"mx: *.example.com\"],\"policy-domain\":\"example.com\","
	    "\"mx-host\":[\"*.example.com\"]},\"summary\":" COUNTS(4,
		3) ",\"failure-details\":["
		   "{\"result-type\":\"validation-failure\",\"sending-mta-ip\":\"2001:db8::1\","
		   "\"receiving-mx-hostname\":\"mx.example.com\",\"receiving-mx-helo\":\"helo\","
		   "\"receiving-ip\":\"192.0.2.1\",\"failed-session-count\":2,"
		   "\"additional-information\":\"https://a.example/\","
		   "\"failure-reason-code\":\"\\\"\\\\\\u0001\xc3\xa9\"},"
		   "{\"result-type\":\"certificate-host-mismatch\",\"failed-session-count\":1}]},"
		   "{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[],"
		   "\"policy-domain\":\"example.com\",\"mx-host\":[]},\"summary\":" COUNTS(0,
		       1) ",\"failure-details\":[{\"result-type\":\"sts-policy-fetch-error\","
			  "\"failed-session-count\":1}]}]}");
}

/* 72 */
static void
ids_differ_by_day_domain_and_record(void **state)
{
	struct arena *arena = arena_new();
	struct tally_report reports[4];
	const char *ids[5];
	size_t i, j;

	(void)state;
	for (i = 0; i < 4; i++)
		reports[i] = report_of(NULL, 0);
	reports[1].day++;
	reports[2].domain = "example.net";
	reports[3].record_digest[0] = 'f';
	for (i = 0; i < 4; i++) {
		ids[i] = report_id(arena, &reports[i], &name, false);
		assert_string_equal(report_id(arena, &reports[i], &name, false), ids[i]);
	}
	ids[4] = report_id(arena, &reports[0], &name, true);
	assert_string_equal(ids[0], "20260101.0123456789abcdef0123.example.com@sender.example");
	assert_string_equal(ids[1], "20260102.0123456789abcdef0123.example.com@sender.example");
	for (i = 0; i < 5; i++)
		for (j = 0; j < i; j++)
			assert_string_not_equal(ids[i], ids[j]);
	arena_free(arena);
}

/* 73, I11; and 79, where one day has a second report. */
static void
file_names(void **state)
{
	struct arena *arena = arena_new();

	(void)state;
	assert_string_equal(report_file_name(arena, "sender.example", "example.com", DAY, ""),
	    "sender.example!example.com!1767225600!1767311999.json.gz");
	assert_string_equal(report_file_name(arena, "sender.example", "example.com", DAY, "abc1"),
	    "sender.example!example.com!1767225600!1767311999!abc1.json.gz");
	arena_free(arena);
}

/* 70, I4, I16, I18 */
static void
who_is_to_get_it(void **state)
{
	struct tally_detail recovered = detail_of(RESULT_CERTIFICATE_EXPIRED, 1);
	struct tally_policy good = { .policy = no_policy, .succeeded = 1 },
			    bad = { .policy = no_policy, .failed = 1 },
			    with = { no_policy, 1, 0, &recovered, 1 };
	char domain[] = "example.com", discard[] = "discard", mailto[] = "mailto:me@here.example";
	const struct {
		struct tally_policy *policy;
		const char *record;
		bool success_only;
		char *instead;	/* reports of the destination section */
		size_t count;
	} table[] = {
		{ &good, RECORD, true, NULL, 1 },
		{ &good, RECORD, false, NULL, 0 },
		{ &bad, RECORD, false, NULL, 1 },
		{ &with, RECORD, false, NULL, 1 },
		{ &bad, "v=TLSRPTv1;rua=noscheme", true, NULL, 0 },
		{ &bad, THREE, true, NULL, 3 },
		{ &bad, THREE, true, mailto, 1 },
		{ &bad, THREE, true, discard, 0 },
		{ &good, THREE, false, mailto, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct conf_destination section = { .name = domain, .reports = table[i].instead };
		struct conf conf = { .tlsrpt.success_only = table[i].success_only,
			.destinations = &section,
			.destination_count = 1 };
		struct tally_report report = report_of(table[i].policy, 1);
		struct arena *arena = arena_new();
		struct rua_list list;

		report.record = table[i].record;
		sender_ruas(&conf, arena, &report, &list);
		if (list.count != table[i].count)
			fail_msg("%zu: %zu", i, list.count);
		arena_free(arena);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(successes_alone),
		cmocka_unit_test(counts_and_details_that_do_not_match),
		cmocka_unit_test(all_that_may_be_in_it),
		cmocka_unit_test(ids_differ_by_day_domain_and_record),
		cmocka_unit_test(file_names),
		cmocka_unit_test(who_is_to_get_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
