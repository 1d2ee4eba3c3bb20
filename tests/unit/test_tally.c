/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/deadline.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "report/tally.h"
#include "tests/unit/state.h"

#define KEEP	(14 * DAY_S)
#define RECORD	"v=TLSRPTv1;rua=mailto:reports@example.com"
#define THREADS	200

static const char *lines[] = { "version: STSv1", "mode: enforce", "mx: *.example.com",
	"max_age: 604800" };
static const char *patterns[] = { "*.example.com" };
static const char *tlsa[] = { "3 1 1 AB", "3 1 1 CD" };

static const struct outcome_policy none = { .type = OUTCOME_NO_POLICY, .domain = "example.com" };
static const struct outcome_policy sts = { OUTCOME_STS, "example.com", lines, 4, patterns, 1 };
static const struct outcome_policy dane = { OUTCOME_TLSA, "mx.example.com", tlsa, 2, NULL, 0 };

static int64_t
noon(void)
{
	return day_of(clock_wall_s()) * DAY_S + DAY_S / 2;
}

static struct session_outcome
session_of(struct outcome *outcomes, size_t count)
{
	return (struct session_outcome){ "example.com", RECORD, noon(), outcomes, count };
}

static void
succeed(struct tally *tally, const char *domain, int64_t at_s)
{
	struct outcome outcome = { .policy = none };
	struct session_outcome session = { domain, RECORD, at_s, &outcome, 1 };

	tally_add(tally, &session);
}

static struct outcome_failure
failure_of(enum result_type type)
{
	return (struct outcome_failure){ type, "192.0.2.1", "mx.example.com", "mx.example.com",
		"198.51.100.2", "", "" };
}

/* The only report of example.com's day. */
static const struct tally_report *
read_one(struct tally *tally, struct arena *arena, int64_t day)
{
	struct tally_report *reports;
	size_t count;

	assert_int_equal(tally_read(tally, day, "example.com", arena, &reports, &count), STORE_OK);
	assert_int_equal(count, 1);
	return reports;
}

struct world {
	struct store *store;
	struct tally *tally;
	struct arena *arena;
};

static struct world
world_open(void)
{
	struct world world = { .store = state_open(), .arena = arena_new() };

	world.tally = tally_new(world.store, KEEP);
	return world;
}

static void
world_close(struct world *world)
{
	tally_free(world->tally);
	store_close(world->store);
	arena_free(world->arena);
}

/* Case 8: two policies, each with a verdict of its own. */
static void
test_two_policies(void **state)
{
	struct world world = world_open();
	struct outcome_failure failure = failure_of(RESULT_CERTIFICATE_NOT_TRUSTED);
	struct outcome outcomes[] = { { sts, true, &failure, 1 }, { dane, false, NULL, 0 } };
	struct session_outcome session = session_of(outcomes, 2);
	const struct tally_report *report;

	(void)state;
	tally_add(world.tally, &session);
	tally_add(world.tally, &session);
	report = read_one(world.tally, world.arena, day_of(noon()));
	assert_string_equal(report->domain, "example.com");
	assert_string_equal(report->record, RECORD);
	assert_int_equal(report->policy_count, 2);
	assert_int_equal(report->policies[0].policy.type, OUTCOME_TLSA);
	assert_string_equal(report->policies[0].policy.domain, "mx.example.com");
	assert_int_equal(report->policies[0].policy.string_count, 2);
	assert_int_equal(report->policies[0].succeeded, 2);
	assert_int_equal(report->policies[0].failed, 0);
	assert_int_equal(report->policies[0].detail_count, 0);
	assert_int_equal(report->policies[1].policy.type, OUTCOME_STS);
	assert_int_equal(report->policies[1].policy.string_count, 4);
	assert_string_equal(report->policies[1].policy.strings[1], "mode: enforce");
	assert_string_equal(report->policies[1].policy.mx[0], "*.example.com");
	assert_int_equal(report->policies[1].failed, 2);
	assert_int_equal(report->policies[1].detail_count, 1);
	assert_int_equal(report->policies[1].details[0].sessions, 2);
	assert_string_equal(report->policies[1].details[0].failure.receiving_ip, "198.51.100.2");
	world_close(&world);
}

/* Contents of other senders' datagrams, and their result. */
static void
test_forms(void **state)
{
	static const char *swapped[] = { "3 1 1 CD", "3 1 1 AB", "" };
	struct world world = world_open();
	struct outcome_policy other_order = dane, nameless = none;
	struct outcome_failure failures[] = {
		{ RESULT_CERTIFICATE_EXPIRED, "2001:DB8:0::1", "mx\"\\",
		    "250-mx.example.com hi\r\n"
		    "250 STARTTLS",
		    "nonsense", "free text", "\x01 \xc3\xa9 \xff" },
		{ RESULT_CERTIFICATE_EXPIRED, "2001:db8::1", "mx\"\\", "mx.example.com", "", "\x80",
		    "\x01 \xc3\xa9 \xef\xbf\xbd" },
		{ RESULT_DANE_REQUIRED, "", "", "", "", "https://a.example/?b", "" },
	};
	struct outcome outcomes[] = { { dane, false, NULL, 0 }, { other_order, false, NULL, 0 },
		{ nameless, false, failures, 3 }, { none, true, NULL, 0 } };
	struct session_outcome session = session_of(outcomes, 4);
	const struct tally_report *report;
	const struct tally_policy *policy;
	const struct outcome_failure *expired, *required;

	(void)state;
	outcomes[1].policy.strings = swapped;
	outcomes[1].policy.string_count = 3;
	outcomes[2].policy.domain = "";
	session.domain = "EXAMPLE.Com.";
	tally_add(world.tally, &session);
	report = read_one(world.tally, world.arena, day_of(noon()));	/* case 3 */
	assert_int_equal(report->policy_count, 2);
	assert_int_equal(report->policies[0].succeeded, 2);	/* case 15 */
	assert_string_equal(report->policies[0].policy.strings[0], "3 1 1 AB");
	policy = &report->policies[1];
	assert_string_equal(policy->policy.domain, "example.com");	/* case 14 */
	assert_int_equal(policy->succeeded, 1);	/* case 9: recovered, with its detail */
	assert_int_equal(policy->failed, 1);	/* case 10 */
	assert_int_equal(policy->detail_count, 2);
	expired = &policy->details[0].failure;
	required = &policy->details[1].failure;
	if (expired->type != RESULT_CERTIFICATE_EXPIRED) {
		required = expired;
		expired = &policy->details[1].failure;
	}
	assert_string_equal(expired->sending_ip, "2001:db8::1");
	assert_string_equal(expired->mx, "mx\"\\");
	assert_string_equal(expired->helo, "mx.example.com");	/* case 11 */
	assert_string_equal(expired->receiving_ip, "");
	assert_string_equal(expired->information, "");
	assert_string_equal(expired->reason, "\x01 \xc3\xa9 \xef\xbf\xbd");	/* case 12 */
	assert_string_equal(required->information, "https://a.example/?b");
	assert_int_equal(policy->details[0].sessions, 1);
	assert_int_equal(policy->details[1].sessions, 1);
	world_close(&world);
}

static bool
note_domain(void *context, const struct tally_report *report)
{
	char *seen = context;

	strcat(seen, report->domain);
	strcat(seen, " ");
	return strcmp(report->domain, "c.example") != 0;
}

/* Cases 68 and 79, and domains that begin alike. */
static void
test_keys(void **state)
{
	struct world world = world_open();
	struct outcome outcome = { .policy = none };
	struct session_outcome session = session_of(&outcome, 1);
	int64_t midnight = (day_of(noon()) + 1) * DAY_S, day;
	struct tally_report *reports;
	char seen[200] = "";
	size_t count;

	(void)state;
	succeed(world.tally, "example.com", midnight - 1);
	succeed(world.tally, "example.com", midnight);
	assert_int_equal(read_one(world.tally, world.arena, midnight / DAY_S - 1)
			     ->policies[0]
			     .succeeded,
	    1);
	assert_int_equal(read_one(world.tally, world.arena, midnight / DAY_S)
			     ->policies[0]
			     .succeeded,
	    1);
	assert_int_equal(tally_next_day(world.tally, -1, &day), STORE_OK);
	assert_int_equal(day, midnight / DAY_S - 1);
	assert_int_equal(tally_next_day(world.tally, day, &day), STORE_OK);
	assert_int_equal(day, midnight / DAY_S);
	assert_int_equal(tally_next_day(world.tally, day, &day), STORE_ABSENT);

	session.record = "v=TLSRPTv1;rua=mailto:later@example.com";
	tally_add(world.tally, &session);
	assert_int_equal(tally_read(world.tally, day_of(noon()), "example.com", world.arena,
			     &reports, &count),
	    STORE_OK);
	assert_int_equal(count, 2);
	assert_string_not_equal(reports[0].record_digest, reports[1].record_digest);
	assert_string_not_equal(reports[0].record, reports[1].record);

	succeed(world.tally, "c.example", noon());
	succeed(world.tally, "c", noon());
	succeed(world.tally, "c-d.example", noon());
	succeed(world.tally, "d.example", noon());
	assert_int_equal(tally_scan(world.tally, day_of(noon()), "", note_domain, seen), STORE_OK);
	assert_string_equal(seen, "c c-d.example c.example ");
	seen[0] = '\0';
	assert_int_equal(tally_scan(world.tally, day_of(noon()), "c", note_domain, seen), STORE_OK);
	assert_string_equal(seen, "c-d.example c.example ");
	seen[0] = '\0';
	assert_int_equal(tally_scan(world.tally, day_of(noon()), "c.example", note_domain, seen),
	    STORE_OK);
	assert_string_equal(seen, "d.example example.com example.com ");
	assert_int_equal(tally_read(world.tally, day_of(noon()), "example", world.arena, &reports,
			     &count),
	    STORE_ABSENT);
	world_close(&world);
}

static uint64_t
sum_of(const struct tally_policy *policy)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < policy->detail_count; i++)
		sum += policy->details[i].sessions;
	return sum;
}

/* Case 81: the details are capped, their sum is not. */
static void
test_many_details(void **state)
{
	struct world world = world_open();
	struct outcome_failure failure = failure_of(RESULT_CERTIFICATE_EXPIRED);
	struct outcome outcome = { sts, true, &failure, 1 };
	struct session_outcome session = session_of(&outcome, 1);
	const struct tally_policy *policy;
	char address[32];
	size_t i, without = 0;

	(void)state;
	failure.receiving_ip = address;
	for (i = 0; i < 5000; i++) {
		(void)snprintf(address, sizeof(address), "198.51.%zu.%zu", i / 250, i % 250);
		failure.type = i % 2 == 0 ? RESULT_CERTIFICATE_EXPIRED : RESULT_VALIDATION_FAILURE;
		tally_add(world.tally, &session);
	}
	policy = read_one(world.tally, world.arena, day_of(noon()))->policies;
	assert_int_equal(policy->failed, 5000);
	assert_int_equal(sum_of(policy), 5000);
	assert_int_equal(policy->detail_count, LIMIT_REPORT_DETAILS + 2);
	for (i = 0; i < policy->detail_count; i++)
		if (policy->details[i].sessions > 1) {
			assert_int_equal(policy->details[i].sessions,
			    (5000 - LIMIT_REPORT_DETAILS) / 2);
			assert_string_equal(policy->details[i].failure.receiving_ip, "");
			assert_string_equal(policy->details[i].failure.mx, "");
			without++;
		}
	assert_int_equal(without, 2);
	world_close(&world);
}

/* I13: a domain that gives every session another policy, or another record. */
static void
test_many_policies(void **state)
{
	struct world world = world_open();
	char line[32], record[64];
	const char *strings[] = { line };
	struct outcome outcome = { { OUTCOME_STS, "example.com", strings, 1, NULL, 0 }, false, NULL,
		0 };
	struct session_outcome session = session_of(&outcome, 1);
	const struct tally_report *report;
	struct tally_report *reports;
	uint64_t sum = 0;
	int64_t lost = metrics_get(METRIC_TLSRPT_LOST, "bound", NULL);
	size_t i, count;

	(void)state;
	for (i = 0; i < 300; i++) {
		(void)snprintf(line, sizeof(line), "id: %zu", i);
		tally_add(world.tally, &session);
	}
	report = read_one(world.tally, world.arena, day_of(noon()));
	assert_int_equal(report->policy_count, LIMIT_REPORT_POLICIES + 1);
	for (i = 0; i < report->policy_count; i++)
		sum += report->policies[i].succeeded;
	assert_int_equal(sum, 300);
	session.record = record;
	for (i = 0; i < 30; i++) {
		(void)snprintf(record, sizeof(record), "v=TLSRPTv1;rua=mailto:a%zu@b", i);
		tally_add(world.tally, &session);
	}
	assert_int_equal(tally_read(world.tally, day_of(noon()), "example.com", world.arena,
			     &reports, &count),
	    STORE_OK);
	assert_int_equal(count, LIMIT_REPORT_RECORDS);
	assert_int_equal(metrics_get(METRIC_TLSRPT_LOST, "bound", NULL) - lost, 11);
	world_close(&world);
}

static void *
count_some(void *context)
{
	struct tally *tally = context;
	struct outcome_failure failure = failure_of(RESULT_CERTIFICATE_EXPIRED);
	struct outcome outcomes[] = { { dane, false, NULL, 0 }, { sts, true, &failure, 1 } };
	struct session_outcome session = session_of(outcomes, 2);
	int i;

	for (i = 0; i < 10; i++)
		tally_add(tally, &session);
	return NULL;
}

static void
test_threads(void **state)
{
	struct world world = world_open();
	pthread_t threads[THREADS];
	const struct tally_report *report;
	size_t i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_some, world.tally), 0);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	tally_free(world.tally);
	store_close(world.store);
	world.store = state_open();
	world.tally = tally_new(world.store, KEEP);
	report = read_one(world.tally, world.arena, day_of(noon()));
	assert_int_equal(report->policies[0].succeeded, THREADS * 10);
	assert_int_equal(report->policies[1].failed, THREADS * 10);
	assert_int_equal(sum_of(&report->policies[1]), THREADS * 10);
	world_close(&world);
}

/* Counts until it is killed; says after each session how many it has counted. */
static void
count_until_killed(int end)
{
	struct world world = world_open();
	uint32_t counted;

	for (counted = 1;; counted++) {
		succeed(world.tally, "example.com", noon());
		if (write(end, &counted, sizeof(counted)) != (ssize_t)sizeof(counted))
			_exit(1);
	}
}

/* What was counted before kill -9 is counted after it: no more than the session under way differs.
 */
static void
test_kill(void **state)
{
	struct world world;
	uint32_t counted = 0, number;
	int round, ends[2];
	uint64_t before = 0, after;
	pid_t pid;

	(void)state;
	for (round = 0; round < 3; round++) {
		assert_int_equal(pipe(ends), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			count_until_killed(ends[1]);
		(void)close(ends[1]);
		counted = 0;
		while (read(ends[0], &number, sizeof(number)) == (ssize_t)sizeof(number)) {
			counted = number;
			if (counted == 100 + (uint32_t)round * 37)
				assert_int_equal(kill(pid, SIGKILL), 0);
		}
		(void)close(ends[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		world = world_open();
		after = read_one(world.tally, world.arena, day_of(noon()))->policies[0].succeeded;
		world_close(&world);
		assert_true(after == before + counted || after == before + counted + 1);
		before = after;
	}
}

/* A day is gone once its time is over, whether or not it has been purged. */
static void
test_keep(void **state)
{
	struct world world = world_open();
	int64_t now = clock_wall_s(), gone = day_of(now) - KEEP / DAY_S - 1, day;
	struct tally_report *reports;
	size_t count;

	(void)state;
	succeed(world.tally, "example.com", gone * DAY_S + 5);
	succeed(world.tally, "example.com", (gone + 1) * DAY_S);
	assert_int_equal(tally_read(world.tally, gone, "example.com", world.arena, &reports,
			     &count),
	    STORE_ABSENT);
	assert_int_equal(tally_read(world.tally, gone + 1, "example.com", world.arena, &reports,
			     &count),
	    STORE_OK);
	assert_int_equal(tally_next_day(world.tally, -1, &day), STORE_OK);
	assert_int_equal(day, gone);
	assert_int_equal(store_purge(world.store, STORE_TALLY, now), STORE_OK);
	assert_int_equal(tally_next_day(world.tally, -1, &day), STORE_OK);
	assert_int_equal(day, gone + 1);
	world_close(&world);
}

static void
test_days(void **state)
{
	static const struct {
		const char *text;
		int64_t day;	/* -1: none */
	} days[] = { { "1970-01-01", 0 }, { "2026-01-01", 20454 }, { "2024-02-29", 19782 },
		{ "2023-02-29", -1 }, { "2026-1-01", -1 }, { "2026-01-01 ", -1 },
		{ " 2026-01-1", -1 }, { "", -1 }, { "today", -1 }, { "1969-12-31", -1 },
		{ "2026-13-01", -1 }, { "9999-12-31", 2932896 } };
	char text[DAY_TEXT];
	int64_t day;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		assert_int_equal(day_parse(days[i].text, &day), days[i].day < 0 ? -1 : 0);
		if (days[i].day < 0)
			continue;
		assert_int_equal(day, days[i].day);
		day_format(day, text);
		assert_string_equal(text, days[i].text);
	}
	assert_int_equal(day_of(20454 * DAY_S - 1), 20453);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_two_policies),
		STATE_TEST(test_forms),
		STATE_TEST(test_keys),
		STATE_TEST(test_many_details),
		STATE_TEST(test_many_policies),
		STATE_TEST(test_threads),
		STATE_TEST(test_kill),
		STATE_TEST(test_keep),
		cmocka_unit_test(test_days),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
