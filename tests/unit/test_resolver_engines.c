/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* When a resolver takes another engine, and what becomes of the old one. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/resolver_world.h"

#define PATIENCE_MS	30000
#define LOOKED_MS	1100	/* the resolver looks at resolv.conf once a second */

/* Names that cannot be found are no reason to take another engine, but its silence is: a fresh one
 * validates meanwhile. */
static void
test_an_engine_that_falls_silent_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	struct deadline deadline = deadline_in(15 * 1000);
	int number, tests;

	start(fixture, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	asked(fixture);
	number = asked_number;
	tests = anchors_asked;
	while (anchors_asked < tests + 4 && !deadline_passed(deadline)) {
		assert_int_equal(ask(fixture, "lost", DNS_MX)->state, DNS_FAILED);
		usleep(100 * 1000);
	}
	assert_engines(1);
	asked(fixture);
	assert_int_equal(asked_number, number);
	silent = made;
	deadline = deadline_in(15 * 1000);
	while (asked_number == number && !deadline_passed(deadline)) {
		usleep(100 * 1000);
		asked(fixture);
	}
	assert_int_not_equal(asked_number, number);
	assert_int_equal(ask(fixture, "host.example", DNS_MX)->state, DNS_SECURE);
	assert_int_equal(resolver_health(fixture->resolver), RESOLVER_VALIDATES);
	assert_engines(1);
}

/* Without a self-test, too: the next question goes to another one. */
static void
test_an_engine_that_is_dead_is_replaced(void **state)
{
	struct fixture *fixture = *state;
	struct dns_question question = { .name = "host.example", .type = DNS_TXT };

	fixture->conf.dns.trust_anchors.count = 0;
	start(fixture, DNS_MODE_FORWARD, "192.0.2.1");
	resolver_ask_afresh(fixture->resolver, fixture->arena, &question, 60 * 1000,
	    deadline_in(1000));
	assert_int_equal(made, 2);
	dead = made;
	assert_int_equal(ask(fixture, "host.example", DNS_MX)->state, DNS_SECURE);
	assert_int_equal(made, 3);
	resolver_ask_afresh(fixture->resolver, fixture->arena, &question, 60 * 1000,
	    deadline_in(1000));
	assert_int_equal(question.answer.state, DNS_SECURE);
	assert_int_equal(made, 4);
	assert_engines(2);
}

static void *
ask_held(void *context)
{
	struct fixture *fixture = context;
	struct arena *arena = arena_new();
	struct dns_question question = { .name = "held", .type = DNS_A };

	resolver_ask(fixture->resolver, arena, &question, 1, deadline_in(PATIENCE_MS));
	assert_string_equal(asked_of, "192.0.2.1@53");
	arena_free(arena);
	return NULL;
}

/* A question that the engine has now, and answers when release is posted. */
static pthread_t
start_held(struct fixture *fixture)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, ask_held, fixture), 0);
	while (sem_wait(&held) != 0)
		continue;
	return thread;
}

static void
assert_asked_soon(struct fixture *fixture, const char *server)
{
	struct deadline deadline = deadline_in(PATIENCE_MS);

	while (strcmp(asked(fixture), server) != 0 && !deadline_passed(deadline))
		usleep(20 * 1000);
	assert_string_equal(asked(fixture), server);
}

static void
test_resolv_conf_changes(void **state)
{
	struct fixture *fixture = *state;

	write_file(fixture->resolv_conf, "search example.com\nnameserver 192.0.2.1\n");
	start(fixture, DNS_MODE_SYSTEM, "192.0.2.9");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	assert_string_equal(asked(fixture), "192.0.2.1@53");
	write_file(fixture->resolv_conf, "");	/* half written: nothing changes */
	usleep(LOOKED_MS * 1000);
	assert_string_equal(asked(fixture), "192.0.2.1@53");
	write_file(fixture->resolv_conf, "nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
	/* The new servers are tested, too, before a bogus answer is given: these drop DNSSEC. */
	assert_asked_soon(fixture, "root");
	assert_int_equal(resolver_health(fixture->resolver), RESOLVER_RECURSES);
	assert_engines(2);
}

/* The old engine answers what it was asked, and is gone with its last question. */
static void
test_an_engine_lives_while_it_is_asked(void **state)
{
	struct fixture *fixture = *state;
	pthread_t thread;

	write_file(fixture->resolv_conf, "nameserver 192.0.2.1\n");
	start(fixture, DNS_MODE_SYSTEM, "192.0.2.9");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	thread = start_held(fixture);
	write_file(fixture->resolv_conf, "nameserver 192.0.2.3\n");
	assert_asked_soon(fixture, "192.0.2.3@53");
	assert_engines(2);
	sem_post(&release);
	pthread_join(thread, NULL);
	assert_engines(1);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_an_engine_that_falls_silent_is_replaced),
		TEST(test_an_engine_that_is_dead_is_replaced),
		TEST(test_resolv_conf_changes),
		TEST(test_an_engine_lives_while_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
