/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which servers a resolver asks, when it changes them, and what its self-test makes of them. The
 * engines are made up here: what they answer depends on the server they were told.
 *
 *	192.0.2.1	validates
 *	192.0.2.2	drops DNSSEC
 *	192.0.2.3	never answers
 *	none	the root: validates when root_validates
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/resolver.h"
#include "policy/resolver_engine.h"

struct resolver_engine {
	char server[RESOLVER_SERVER_TEXT];
	atomic_int asking;
	atomic_bool stopped;
};

static atomic_bool root_validates;
static atomic_int engines;	/* alive */
static atomic_int anchors_asked;

struct resolver_engine *
resolver_engine_new(const struct conf *conf, const struct resolver_servers *servers, bool small,
    char *why, size_t why_room)
{
	struct resolver_engine *engine = xcalloc(1, sizeof(*engine));

	(void)conf;
	(void)small;
	(void)why;
	(void)why_room;
	strcpy(engine->server, servers->count > 0 ? servers->at[0] : "root");
	engines++;
	return engine;
}

void
resolver_engine_free(struct resolver_engine *engine)
{
	if (engine == NULL)
		return;
	assert_int_equal(engine->asking, 0);
	engines--;
	free(engine);
}

void
resolver_engine_stop(struct resolver_engine *engine)
{
	engine->stopped = true;
}

static enum dns_state
state_of(const struct resolver_engine *engine)
{
	if (strcmp(engine->server, "192.0.2.1@53") == 0)
		return DNS_SECURE;
	if (strcmp(engine->server, "root") == 0)
		return root_validates ? DNS_SECURE : DNS_BOGUS;
	return strcmp(engine->server, "192.0.2.2@53") == 0 ? DNS_BOGUS : DNS_FAILED;
}

/* "slow" is answered only after a while, and the server's name is the answer's. */
void
resolver_engine_ask(struct resolver_engine *engine, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	(void)arena;
	(void)deadline;
	engine->asking++;
	for (size_t i = 0; i < count; i++) {
		questions[i].answer = (struct dns_answer){ .state = state_of(engine) };
		strcpy(questions[i].answer.canonical, engine->server);
		if (questions[i].type == DNS_SOA)
			anchors_asked++;
		if (strcmp(questions[i].name, "slow") == 0)
			usleep(300 * 1000);
	}
	engine->asking--;
}

void
resolver_engine_want(struct resolver_engine *engine, const char *name, enum dns_type type)
{
	(void)engine;
	(void)name;
	(void)type;
}

struct fixture {
	struct conf conf;
	char anchor[64], resolv_conf[64];
	char *anchors[1];
	struct conf_server server;
	struct resolver *resolver;
	struct arena *arena;
};

static void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int
setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));

	strcpy(fixture->anchor, "/tmp/test-anchor-XXXXXX");
	strcpy(fixture->resolv_conf, "/tmp/test-resolv-XXXXXX");
	close(mkstemp(fixture->anchor));
	close(mkstemp(fixture->resolv_conf));
	write_file(fixture->anchor, "; the root\n. IN DS 20326 8 2 00\nexample. DS 1 8 2 00\n");
	fixture->anchors[0] = fixture->anchor;
	fixture->conf.dns.trust_anchors = (struct conf_strings){ fixture->anchors, 1 };
	fixture->conf.dns.servers = &fixture->server;
	fixture->conf.dns.server_count = 1;
	fixture->conf.dns.timeout = 1000;
	fixture->server.port = 53;
	fixture->arena = arena_new();
	root_validates = true;
	anchors_asked = 0;
	*state = fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	resolver_free(fixture->resolver);
	assert_int_equal(engines, 0);
	arena_free(fixture->arena);
	unlink(fixture->anchor);
	unlink(fixture->resolv_conf);
	free(fixture);
	return 0;
}

static void
start(struct fixture *fixture, enum conf_dns_mode mode, const char *server)
{
	char why[256] = "";

	fixture->conf.dns.mode = mode;
	ip_parse(server, &fixture->server.ip);
	fixture->resolver = resolver_new_with(&fixture->conf, fixture->resolv_conf, why,
	    sizeof(why));
	if (fixture->resolver == NULL)
		fail_msg("%s", why);
}

static const char *
asked(struct fixture *fixture)
{
	struct dns_question *question = arena_alloc(fixture->arena, sizeof(*question));

	question->name = "host.example";
	question->type = DNS_A;
	resolver_ask(fixture->resolver, fixture->arena, question, 1, deadline_in(1000));
	return question->answer.canonical;
}

static enum resolver_health
health(struct fixture *fixture)
{
	return resolver_wait_health(fixture->resolver, deadline_in(5000));
}

/* An engine that was replaced is freed a moment after its successor has taken over. */
static void
assert_engines(int expected)
{
	for (int tries = 0; engines != expected && tries < 2000; tries++)
		usleep(1000);
	assert_int_equal(engines, expected);
}

static void
test_forward(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(*state), RESOLVER_VALIDATES);
	assert_string_equal(asked(*state), "192.0.2.1@53");
	assert_int_equal(anchors_asked, 2);
}

static void
test_recurse(void **state)
{
	start(*state, DNS_MODE_RECURSE, "192.0.2.1");
	assert_int_equal(health(*state), RESOLVER_VALIDATES);
	assert_string_equal(asked(*state), "root");
}

static void
test_recursion_that_does_not_validate(void **state)
{
	root_validates = false;
	start(*state, DNS_MODE_RECURSE, "192.0.2.1");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
}

static void
test_forwarder_that_drops_dnssec_is_passed_by(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_RECURSES);
	assert_string_equal(asked(*state), "root");
	assert_engines(1);
}

static void
test_no_way_validates(void **state)
{
	root_validates = false;
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
	assert_string_equal(asked(*state), "192.0.2.2@53");
}

static void
test_silence_tells_nothing(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.3");
	assert_int_equal(health(*state), RESOLVER_UNTESTED);
	assert_string_equal(asked(*state), "192.0.2.3@53");
}

static void
test_without_anchors(void **state)
{
	struct fixture *fixture = *state;

	fixture->conf.dns.trust_anchors.count = 0;
	start(fixture, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(fixture), RESOLVER_UNANCHORED);
	assert_int_equal(anchors_asked, 0);
}

static void
test_files_that_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;
	char why[256] = "";

	fixture->conf.dns.mode = DNS_MODE_SYSTEM;
	assert_null(resolver_new_with(&fixture->conf, "/nonexistent/resolv.conf", why,
	    sizeof(why)));
	assert_non_null(strstr(why, "/nonexistent/resolv.conf"));
	fixture->anchors[0] = strdup("/nonexistent/root.key");
	assert_null(resolver_new_with(&fixture->conf, fixture->resolv_conf, why, sizeof(why)));
	assert_non_null(strstr(why, "/nonexistent/root.key"));
	free(fixture->anchors[0]);
}

static void *
ask_slowly(void *context)
{
	struct fixture *fixture = context;
	struct arena *arena = arena_new();
	struct dns_question question = { .name = "slow", .type = DNS_A };

	resolver_ask(fixture->resolver, arena, &question, 1, deadline_in(1000));
	assert_string_equal(question.answer.canonical, "192.0.2.1@53");
	arena_free(arena);
	return NULL;
}

/* The old engine answers what it was asked, and is gone with its last question. */
static void
test_resolv_conf_changes(void **state)
{
	struct fixture *fixture = *state;
	struct deadline deadline = deadline_in(5000);
	pthread_t thread;

	write_file(fixture->resolv_conf, "search example.com\nnameserver 192.0.2.1\n");
	start(fixture, DNS_MODE_SYSTEM, "192.0.2.9");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	assert_string_equal(asked(fixture), "192.0.2.1@53");
	usleep(1100 * 1000);
	assert_int_equal(pthread_create(&thread, NULL, ask_slowly, fixture), 0);
	usleep(100 * 1000);
	write_file(fixture->resolv_conf, "");	/* half written: nothing changes */
	usleep(1000 * 1000);
	assert_string_equal(asked(fixture), "192.0.2.1@53");
	write_file(fixture->resolv_conf, "nameserver 192.0.2.2\nnameserver 192.0.2.3\n");
	usleep(1100 * 1000);
	assert_string_equal(asked(fixture), "192.0.2.2@53");
	pthread_join(thread, NULL);
	/* The new servers are tested, too: these drop DNSSEC. */
	while (resolver_health(fixture->resolver) != RESOLVER_RECURSES &&
	    !deadline_passed(deadline))
		usleep(10 * 1000);
	assert_string_equal(asked(fixture), "root");
	assert_engines(1);
}

static void
test_an_engine_lives_while_it_is_asked(void **state)
{
	struct fixture *fixture = *state;
	pthread_t thread;

	write_file(fixture->resolv_conf, "nameserver 192.0.2.1\n");
	start(fixture, DNS_MODE_SYSTEM, "192.0.2.9");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	asked(fixture);	/* looks at the file for the last time for a second */
	write_file(fixture->resolv_conf, "nameserver 192.0.2.3\n");
	usleep(900 * 1000);
	assert_int_equal(pthread_create(&thread, NULL, ask_slowly, fixture), 0);
	usleep(150 * 1000);
	assert_string_equal(asked(fixture), "192.0.2.3@53");
	assert_engines(2);
	pthread_join(thread, NULL);
	usleep(50 * 1000);
	assert_engines(1);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_forward),
		TEST(test_recurse),
		TEST(test_recursion_that_does_not_validate),
		TEST(test_forwarder_that_drops_dnssec_is_passed_by),
		TEST(test_no_way_validates),
		TEST(test_silence_tells_nothing),
		TEST(test_without_anchors),
		TEST(test_files_that_cannot_be_read),
		TEST(test_resolv_conf_changes),
		TEST(test_an_engine_lives_while_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
