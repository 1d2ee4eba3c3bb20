/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Which questions may be asked now, and which wait. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "policy/dns/resolver_trouble.h"
#include "policy/dns/resolver_turns.h"

#define PLACES	64

static bool
take_now(struct resolver_turns *turns, const char *name)
{
	return resolver_turns_take(turns, name, deadline_in(0));
}

static size_t
flood(struct resolver_turns *turns, const char *zone, size_t most)
{
	char name[64];
	size_t taken = 0;

	for (size_t i = 0; i < most; i++) {
		snprintf(name, sizeof(name), "n%zu.%s", i, zone);
		if (take_now(turns, name))
			taken++;
	}
	return taken;
}

static void
test_a_flood_of_one_zone_leaves_room(void **state)
{
	struct resolver_turns *turns = resolver_turns_new(PLACES);

	(void)state;
	assert_int_equal(flood(turns, "silent.example", 10 * PLACES), PLACES / 5 + 1);
	assert_true(take_now(turns, "_mta-sts.other.example"));
	assert_false(take_now(turns, "a.b.c.SILENT.example."));
	resolver_turns_give(turns, "n1.silent.example");
	assert_true(take_now(turns, "silent.example"));
	resolver_turns_free(turns);
}

/* Several zones are silent, and the next one still finds a place. */
static void
test_floods_of_many_zones_leave_room(void **state)
{
	struct resolver_turns *turns = resolver_turns_new(PLACES);
	char zone[32];

	(void)state;
	for (size_t i = 0; i < 10; i++) {
		snprintf(zone, sizeof(zone), "z%zu.test", i);
		assert_true(flood(turns, zone, PLACES) > 0);
	}
	assert_true(take_now(turns, "newcomer.example"));
	resolver_turns_free(turns);
}

static void
test_one_place_is_enough_to_go_on(void **state)
{
	struct resolver_turns *turns = resolver_turns_new(1);

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(take_now(turns, "a.example"));
		assert_false(take_now(turns, "b.example"));
		resolver_turns_give(turns, "a.example");
	}
	resolver_turns_free(turns);
}

struct asker {
	struct resolver_turns *turns;
	bool taken;
	pthread_t thread;
};

static void *
wait_long(void *context)
{
	struct asker *asker = context;

	asker->taken = resolver_turns_take(asker->turns, "waits.example", deadline_in(60000));
	return NULL;
}

static void
test_who_waits_gets_what_is_given_back(void **state)
{
	struct asker asker = { .turns = resolver_turns_new(1) };

	(void)state;
	assert_true(take_now(asker.turns, "first.example"));
	assert_int_equal(pthread_create(&asker.thread, NULL, wait_long, &asker), 0);
	resolver_turns_give(asker.turns, "first.example");
	pthread_join(asker.thread, NULL);
	assert_true(asker.taken);
	resolver_turns_free(asker.turns);
}

static void
test_stopping_ends_the_wait(void **state)
{
	struct asker asker = { .turns = resolver_turns_new(1) };
	int64_t began = clock_monotonic_ms();

	(void)state;
	assert_true(take_now(asker.turns, "first.example"));
	assert_int_equal(pthread_create(&asker.thread, NULL, wait_long, &asker), 0);
	resolver_turns_stop(asker.turns);
	pthread_join(asker.thread, NULL);
	assert_false(asker.taken);
	assert_true(clock_monotonic_ms() - began < 30000);
	resolver_turns_give(asker.turns, "first.example");
	assert_false(take_now(asker.turns, "late.example"));
	resolver_turns_free(asker.turns);
}

/* Lines of libunbound's log. */
static void
test_words_of_trouble(void **state)
{
	static const struct {
		const char *line;
		unsigned count;
	} cases[] = {
		{ "[1] libunbound[1:0] error: can't create socket: Too many open files\n", 1 },
		{ "[1] libunbound[1:0] error: outgoing tcp: socket: Too many open files in system\n",
		    1 },
		{ "[1] libunbound[1:0] error: mesh_new_callback: out of memory\n", 1 },
		{ "[1] libunbound[1:0] error: sendto failed: Operation not permitted\n", 1 },
		{ "[1] libunbound[1:0] notice: init module 0: validator\n", 0 },
		{ "[1] libunbound[1:0] error: read (in tcp s): Connection refused\n", 0 },
	};
	FILE *stream = resolver_trouble_stream();

	(void)state;
	assert_ptr_equal(stream, resolver_trouble_stream());
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned before = resolver_trouble_count();

		fputs(cases[i].line, stream);
		assert_int_equal(resolver_trouble_count() - before, cases[i].count);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flood_of_one_zone_leaves_room),
		cmocka_unit_test(test_floods_of_many_zones_leave_room),
		cmocka_unit_test(test_one_place_is_enough_to_go_on),
		cmocka_unit_test(test_who_waits_gets_what_is_given_back),
		cmocka_unit_test(test_stopping_ends_the_wait),
		cmocka_unit_test(test_words_of_trouble),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
