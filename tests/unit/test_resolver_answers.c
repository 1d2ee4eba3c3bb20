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

#include "base/limits.h"
#include "policy/dns/resolver_answers.h"

#define NOW	1000000

static struct resolver_answers *answers;
static struct arena *arena;

static int
set_up(void **state)
{
	(void)state;
	answers = resolver_answers_new();
	arena = arena_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	resolver_answers_free(answers);
	arena_free(arena);
	return 0;
}

static struct dns_question
question(const char *name, enum dns_type type, enum dns_state state, uint32_t ttl)
{
	static const uint8_t octets[] = { 192, 0, 2, 1, 7 };
	static struct dns_record records[2] = { { octets, 4 }, { octets + 1, 4 } };
	struct dns_question asked = { .name = name, .type = type };

	asked.answer = (struct dns_answer){ .state = state,
		.exists = true,
		.records = records,
		.count = 2,
		.ttl = ttl,
		.canonical = "canonical.example" };
	return asked;
}

static bool
found(const char *name, enum dns_type type, int64_t now_ms, struct dns_answer *answer)
{
	struct dns_question asked = { .name = name, .type = type };
	bool yes = resolver_answers_find(answers, arena, &asked, now_ms);

	assert_int_equal(resolver_answers_have(answers, name, type, now_ms), yes);
	if (yes && answer != NULL)
		*answer = asked.answer;
	return yes;
}

static void
test_repeated(void **state)
{
	struct dns_question asked = question("a.example", DNS_A, DNS_SECURE, 30);
	struct dns_answer answer;

	(void)state;
	assert_false(found("a.example", DNS_A, NOW, NULL));
	resolver_answers_keep(answers, &asked, NOW);
	assert_true(found("a.example", DNS_A, NOW + 10000, &answer));
	assert_int_equal(answer.state, DNS_SECURE);
	assert_true(answer.exists);
	assert_int_equal(answer.ttl, 20);
	assert_int_equal(answer.count, 2);
	assert_memory_equal(answer.records[0].data, "\xc0\x00\x02\x01", 4);
	assert_memory_equal(answer.records[1].data, "\x00\x02\x01\x07", 4);
	assert_string_equal(answer.canonical, "canonical.example");
	assert_true(found("A.Example.", DNS_A, NOW, NULL));
	assert_false(found("a.example", DNS_AAAA, NOW, NULL));
	assert_false(found("b.example", DNS_A, NOW, NULL));
}

static void
test_time(void **state)
{
	struct dns_question asked = question("a.example", DNS_A, DNS_INSECURE, 30);
	struct dns_answer answer;

	(void)state;
	resolver_answers_keep(answers, &asked, NOW);
	assert_true(found("a.example", DNS_A, NOW + 29999, &answer));
	assert_int_equal(answer.ttl, 1);
	assert_false(found("a.example", DNS_A, NOW + 30000, NULL));
	asked = question("long.example", DNS_A, DNS_SECURE, 86400);
	resolver_answers_keep(answers, &asked, NOW);
	assert_true(found("long.example", DNS_A, NOW + LIMIT_DNS_KEPT_S * 1000 - 1, NULL));
	assert_false(found("long.example", DNS_A, NOW + LIMIT_DNS_KEPT_S * 1000, NULL));
}

static void
test_newer_answer(void **state)
{
	struct dns_question first = question("a.example", DNS_A, DNS_SECURE, 30);
	struct dns_question second = question("a.example", DNS_A, DNS_INSECURE, 30);
	struct dns_answer answer;

	(void)state;
	second.answer.count = 0;
	second.answer.exists = false;
	resolver_answers_keep(answers, &first, NOW);
	resolver_answers_keep(answers, &second, NOW);
	assert_true(found("a.example", DNS_A, NOW, &answer));
	assert_int_equal(answer.state, DNS_INSECURE);
	assert_false(answer.exists);
	assert_int_equal(answer.count, 0);
}

/* What is unknown, forged, of the moment or too large is asked again each time. */
static void
test_not_kept(void **state)
{
	static const struct {
		enum dns_state state;
		uint32_t ttl;
		size_t length;
		size_t name_length;
	} rows[] = {
		{ DNS_BOGUS, 30, 4, 20 },
		{ DNS_FAILED, 30, 4, 20 },
		{ DNS_SECURE, 0, 4, 20 },
		{ DNS_SECURE, 30, LIMIT_DNS_ANSWER_KEPT, 20 },
		{ DNS_SECURE, 30, 4, 2000 },
	};
	static uint8_t octets[LIMIT_DNS_ANSWER_KEPT];
	char name[2001];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns_record record = { octets, rows[i].length };
		struct dns_question asked;

		memset(name, 'a', rows[i].name_length);
		name[rows[i].name_length] = '\0';
		asked = question(name, DNS_TXT, rows[i].state, rows[i].ttl);
		asked.answer.records = &record;
		asked.answer.count = 1;
		resolver_answers_keep(answers, &asked, NOW);
		assert_false(found(name, DNS_TXT, NOW, NULL));
	}
}

/* Many names do not make it grow, and each that is found is its own. */
static void
test_flood(void **state)
{
	unsigned i, kept = 0;
	struct dns_answer answer;
	char name[40];

	(void)state;
	for (i = 0; i < 5 * LIMIT_DNS_ANSWERS; i++) {
		struct dns_question asked;

		(void)snprintf(name, sizeof(name), "d%u.example", i);
		asked = question(name, DNS_MX, DNS_SECURE, 30);
		(void)snprintf(asked.answer.canonical, sizeof(asked.answer.canonical), "%s", name);
		resolver_answers_keep(answers, &asked, NOW);
	}
	for (i = 0; i < 5 * LIMIT_DNS_ANSWERS; i++) {
		(void)snprintf(name, sizeof(name), "d%u.example", i);
		if (found(name, DNS_MX, NOW, &answer)) {
			assert_string_equal(answer.canonical, name);
			kept++;
		}
	}
	assert_in_range(kept, LIMIT_DNS_ANSWERS / 2, LIMIT_DNS_ANSWERS);
}

/* libunbound may give the old answer for as long as its time to live, so the new one stays. */
static void
test_correction(void **state)
{
	struct dns_question old = question("a.example", DNS_TXT, DNS_INSECURE, 30);
	struct dns_question fresh = question("a.example", DNS_TXT, DNS_SECURE, 100000);
	struct dns_answer answer;

	(void)state;
	resolver_answers_keep(answers, &old, NOW);
	fresh.answer.state = DNS_FAILED;
	resolver_answers_correct(answers, &fresh, NOW);
	assert_true(found("a.example", DNS_TXT, NOW, &answer));
	assert_int_equal(answer.state, DNS_INSECURE);
	fresh.answer.state = DNS_SECURE;
	resolver_answers_correct(answers, &fresh, NOW);
	assert_true(found("a.example", DNS_TXT, NOW + LIMIT_DNS_CORRECTED_S * 1000 - 1, &answer));
	assert_int_equal(answer.state, DNS_SECURE);
	assert_false(found("a.example", DNS_TXT, NOW + LIMIT_DNS_CORRECTED_S * 1000, NULL));
	resolver_answers_keep(answers, &old, NOW);
	fresh.answer.ttl = 0;
	resolver_answers_correct(answers, &fresh, NOW);
	assert_false(found("a.example", DNS_TXT, NOW, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_repeated, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_newer_answer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_not_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_correction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_flood, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("resolver_answers", tests, NULL, NULL);
}
