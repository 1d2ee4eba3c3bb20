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

#include "policy/dns/resolver_watch.h"

#define START	INT64_C(1000000)
#define S	INT64_C(1000)

/* After how many seconds the next test is due, for results one after the other. */
static void
test_when_the_next_one_is_due(void **state)
{
	static const struct {
		enum resolver_health health;
		int due[8];
	} rows[] = {
		{ RESOLVER_VALIDATES, { 3600, 3600 } },
		{ RESOLVER_BROKEN, { 5, 10, 20, 30, 30, 30 } },
		{ RESOLVER_SILENT, { 5, 10, 20, 30, 30 } },
		{ RESOLVER_UNTESTED, { 5, 10, 20, 30, 30 } },
		{ RESOLVER_RECURSES, { 5, 10, 20, 40, 80, 160, 300, 300 } },
	};
	struct resolver_watch watch;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		resolver_watch_start(&watch, START);
		assert_int_equal(watch.due_ms, START);
		for (size_t j = 0; j < 8 && rows[i].due[j] != 0; j++) {
			int64_t now = START + (int64_t)j * 777 * S;

			resolver_watch_tested(&watch, rows[i].health, now);
			assert_int_equal(watch.due_ms, now + rows[i].due[j] * S);
		}
		resolver_watch_tested(&watch, RESOLVER_VALIDATES, START);
		resolver_watch_tested(&watch, RESOLVER_BROKEN, START);
		assert_int_equal(watch.due_ms, START + 5 * S);
	}
}

/* Answers that come in at `at` seconds after a test: is one due then, and waited for? */
static void
test_answers_that_call_for_a_test(void **state)
{
	static const struct {
		enum resolver_health health;
		int at, bogus, failed, secure;	/* the last is counted after the others */
		bool due, waits;
	} rows[] = {
		{ RESOLVER_VALIDATES, 5, 100, 100, 0, false, false },
		{ RESOLVER_VALIDATES, 9, 100, 100, 0, false, false },
		{ RESOLVER_VALIDATES, 10, 4, 4, 0, false, false },
		{ RESOLVER_VALIDATES, 10, 5, 0, 0, true, true },
		{ RESOLVER_VALIDATES, 10, 5, 0, 1, true, true },
		{ RESOLVER_VALIDATES, 10, 0, 5, 0, true, false },
		{ RESOLVER_VALIDATES, 10, 0, 5, 1, false, false },
		{ RESOLVER_VALIDATES, 60, 1, 0, 9, true, true },
		{ RESOLVER_VALIDATES, 59, 1, 0, 9, false, false },
		{ RESOLVER_VALIDATES, 3000, 0, 4, 0, false, false },
		{ RESOLVER_RECURSES, 4, 1, 0, 0, false, false },
		{ RESOLVER_BROKEN, 4, 100, 100, 0, false, false },
		{ RESOLVER_SILENT, 4, 100, 100, 0, false, false },
		{ RESOLVER_UNANCHORED, 100, 100, 100, 0, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t now = START + rows[i].at * S;
		struct dns_question questions[256] = { 0 };
		struct resolver_watch watch;
		size_t count = 0;
		bool waits;

		resolver_watch_start(&watch, START);
		resolver_watch_tested(&watch, rows[i].health, START);
		if (rows[i].health == RESOLVER_UNANCHORED)
			resolver_watch_stop(&watch);
		for (int j = 0; j < rows[i].failed; j++)
			questions[count++].answer.state = DNS_FAILED;
		for (int j = 0; j < rows[i].bogus; j++)
			questions[count++].answer.state = DNS_BOGUS;
		for (int j = 0; j < rows[i].secure; j++)
			questions[count++].answer.state = DNS_SECURE;
		waits = resolver_watch_answers(&watch, rows[i].health, questions, count, now);
		if ((watch.due_ms <= now) != rows[i].due || waits != rows[i].waits)
			fail_msg("%zu", i);
	}
}

/* Before the first test has ended a bogus answer waits for it. */
static void
test_before_the_first_test(void **state)
{
	struct dns_question question = { .answer = { .state = DNS_BOGUS } };
	struct resolver_watch watch;

	(void)state;
	resolver_watch_start(&watch, START);
	assert_true(resolver_watch_answers(&watch, RESOLVER_UNTESTED, &question, 1, START + 1));
	question.answer.state = DNS_FAILED;
	assert_false(resolver_watch_answers(&watch, RESOLVER_UNTESTED, &question, 1, START + 1));
}

/* Failures in a row, of any cause, until an answer comes. */
static void
test_when_the_engine_is_in_doubt(void **state)
{
	static const struct {
		unsigned failed, unasked, secure, after;
		bool doubted;
	} rows[] = {
		{ 0, 0, 0, 0, false },
		{ 4, 4, 0, 0, false },
		{ 5, 0, 0, 0, true },
		{ 0, 5, 0, 0, true },
		{ 9, 9, 1, 0, false },
		{ 9, 9, 1, 4, false },
		{ 9, 9, 1, 5, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_question questions[32] = { 0 };
		struct resolver_watch watch;
		size_t count = 0;

		resolver_watch_start(&watch, START);
		resolver_watch_tested(&watch, RESOLVER_VALIDATES, START);
		for (unsigned j = 0; j < rows[i].failed; j++)
			questions[count++].answer.state = DNS_FAILED;
		for (unsigned j = 0; j < rows[i].unasked; j++)
			questions[count++].answer = (struct dns_answer){ .state = DNS_FAILED,
				.not_asked = true };
		for (unsigned j = 0; j < rows[i].secure; j++)
			questions[count++].answer.state = DNS_SECURE;
		for (unsigned j = 0; j < rows[i].after; j++)
			questions[count++].answer.state = DNS_FAILED;
		(void)resolver_watch_answers(&watch, RESOLVER_VALIDATES, questions, count, START);
		if (resolver_watch_doubts_engine(&watch) != rows[i].doubted)
			fail_msg("%zu", i);
		resolver_watch_tested(&watch, RESOLVER_VALIDATES, START);
		assert_false(resolver_watch_doubts_engine(&watch));
	}
}

/* Local failures say nothing about the servers. */
static void
test_questions_that_were_not_asked(void **state)
{
	struct dns_question questions[200] = { 0 };
	struct resolver_watch watch;
	int64_t due;

	(void)state;
	resolver_watch_start(&watch, START);
	resolver_watch_tested(&watch, RESOLVER_VALIDATES, START);
	due = watch.due_ms;
	for (size_t i = 0; i < 200; i++)
		questions[i].answer = (struct dns_answer){ .state = DNS_FAILED, .not_asked = true };
	(void)resolver_watch_answers(&watch, RESOLVER_VALIDATES, questions, 200, START + 60 * S);
	assert_int_equal(watch.due_ms, due);
	for (size_t i = 0; i < 200; i++)
		questions[i].answer.not_asked = false;
	(void)resolver_watch_answers(&watch, RESOLVER_VALIDATES, questions, 200, START + 60 * S);
	assert_int_equal(watch.due_ms, START + 60 * S);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when_the_next_one_is_due),
		cmocka_unit_test(test_questions_that_were_not_asked),
		cmocka_unit_test(test_when_the_engine_is_in_doubt),
		cmocka_unit_test(test_answers_that_call_for_a_test),
		cmocka_unit_test(test_before_the_first_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
