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
 *
 * Whether one drops DNSSEC is a matter of the moment: heals, and strips, say otherwise. Names that
 * begin with "only" exist at the servers alone, those that begin with "no" nowhere, and the servers
 * fail for those that begin with "fail". No answer comes for "lost", nor from an engine that was
 * made before silence fell.
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

#include "policy/dns/resolver.h"
#include "policy/dns/resolver_engine.h"

struct resolver_engine {
	char server[RESOLVER_SERVER_TEXT];
	bool validates;
	int number;	/* from 1, in the order in which they are made */
	atomic_int asking;
	atomic_bool stopped;
};

static atomic_bool root_validates, heals, strips;
static atomic_int engines;	/* alive */
static atomic_int made, silent, dead;	/* engines: so many, and up to these numbers */
static atomic_int anchors_asked;

struct resolver_engine *
resolver_engine_new(const struct conf *conf, const struct resolver_servers *servers,
    enum resolver_path path, bool small, char *why, size_t why_room)
{
	struct resolver_engine *engine = xcalloc(1, sizeof(*engine));

	(void)conf;
	(void)small;
	(void)why;
	(void)why_room;
	strcpy(engine->server,
	    servers->count > 0 && path != RESOLVER_AROUND ? servers->at[0] : "root");
	engine->validates = path != RESOLVER_UNVALIDATED;
	engine->number = ++made;
	engines++;
	return engine;
}

bool
resolver_engine_is_dead(const struct resolver_engine *engine)
{
	return engine->number <= dead;
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
	if (!engine->validates)
		return DNS_INSECURE;
	if (strcmp(engine->server, "192.0.2.1@53") == 0)
		return strips ? DNS_BOGUS : DNS_SECURE;
	if (strcmp(engine->server, "192.0.2.2@53") == 0 && heals)
		return DNS_SECURE;
	if (strcmp(engine->server, "root") == 0)
		return root_validates ? DNS_SECURE : DNS_BOGUS;
	return strcmp(engine->server, "192.0.2.2@53") == 0 ? DNS_BOGUS : DNS_FAILED;
}

static bool
exists(const struct resolver_engine *engine, const char *name)
{
	if (strncmp(name, "no", 2) == 0 || strncmp(name, "fail", 4) == 0)
		return false;
	return strncmp(name, "only", 4) != 0 || strcmp(engine->server, "root") != 0;
}

/* Of whom the last question was asked, on the thread that asked. */
static _Thread_local char asked_of[RESOLVER_SERVER_TEXT];
static _Thread_local int asked_number;
static struct dns_record record[] = { { (const uint8_t *)"", 0 } };

/* "slow" is answered only after a while. */
void
resolver_engine_ask(struct resolver_engine *engine, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	(void)arena;
	(void)deadline;
	engine->asking++;
	for (size_t i = 0; i < count; i++) {
		questions[i].answer = (struct dns_answer){ .state = state_of(engine),
			.exists = exists(engine, questions[i].name),
			.ttl = 60 };
		questions[i].answer.count = questions[i].answer.exists;
		questions[i].answer.records = record;
		strcpy(questions[i].answer.canonical, questions[i].name);
		strcpy(asked_of, engine->server);
		asked_number = engine->number;
		if (strcmp(questions[i].name, "lost") == 0 || engine->number <= silent ||
		    engine->number <= dead)
			questions[i].answer = (struct dns_answer){ .state = DNS_FAILED,
				.not_asked = engine->number <= dead };
		if (questions[i].type == DNS_SOA)
			anchors_asked++;
		if (!engine->validates && strncmp(questions[i].name, "fail", 4) == 0)
			questions[i].answer.state = DNS_FAILED;
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
	heals = strips = false;
	anchors_asked = 0;
	made = silent = dead = 0;
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

static const struct dns_answer *
ask(struct fixture *fixture, const char *name, enum dns_type type)
{
	struct dns_question *question = arena_alloc(fixture->arena, sizeof(*question));

	question->name = name;
	question->type = type;
	resolver_ask(fixture->resolver, fixture->arena, question, 1, deadline_in(1000));
	return &question->answer;
}

/* The server that is asked for a name that was not asked for before. */
static const char *
asked(struct fixture *fixture)
{
	static unsigned number;

	ask(fixture, arena_printf(fixture->arena, "host%u.example", number++), DNS_A);
	return asked_of;
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
	assert_engines(2);	/* one asks the servers whether a name that is absent is so there */
}

static void
assert_health(struct fixture *fixture, enum resolver_health expected)
{
	struct deadline deadline = deadline_in(15 * 1000);

	while (resolver_health(fixture->resolver) != expected && !deadline_passed(deadline))
		usleep(10 * 1000);
	assert_int_equal(resolver_health(fixture->resolver), expected);
}

/* They are tried again after 5 s. */
static void
test_forwarder_that_works_again_is_asked_again(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_RECURSES);
	heals = true;
	assert_health(*state, RESOLVER_VALIDATES);
	assert_string_equal(asked(*state), "192.0.2.2@53");
	assert_engines(1);
}

static void
test_broken_is_left_when_the_servers_work_again(void **state)
{
	char words[RESOLVER_FAULT_MAX];

	root_validates = false;
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
	assert_int_equal(resolver_fault(((struct fixture *)*state)->resolver, words),
	    RESOLVER_BROKEN);
	assert_non_null(strstr(words, "192.0.2.2"));
	heals = true;
	assert_health(*state, RESOLVER_VALIDATES);
	assert_int_equal(resolver_fault(((struct fixture *)*state)->resolver, words),
	    RESOLVER_VALIDATES);
	assert_string_equal(words, "");
}

/* A name that only the root reports as absent is not known; one that the servers do not know either
 * is absent. */
static void
test_absence_while_the_servers_are_passed_by(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_state state;
	} rows[] = {
		{ "host.example", DNS_MX, DNS_SECURE },
		{ "nobody.example", DNS_MX, DNS_SECURE },
		{ "only.example", DNS_MX, DNS_FAILED },
		{ "only.example", DNS_A, DNS_FAILED },
		{ "only.example", DNS_AAAA, DNS_FAILED },
		{ "only.example", DNS_TXT, DNS_SECURE },	/* nothing bounces for that */
		{ "fail.example", DNS_MX, DNS_FAILED },
		{ "only.corp.lan", DNS_MX, DNS_SECURE },	/* asked of the servers anyway */
		{ "only.Zone.lan", DNS_MX, DNS_SECURE },
		{ "only.xcorp.lan", DNS_MX, DNS_FAILED },
	};
	static char corp[] = "corp.lan", zone[] = "zone.lan";
	struct fixture *fixture = *state;
	char *insecure[] = { corp };
	struct conf_zone zones[] = { { .name = zone } };

	fixture->conf.dns.insecure = (struct conf_strings){ insecure, 1 };
	fixture->conf.dns.zones = zones;
	fixture->conf.dns.zone_count = 1;
	start(fixture, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(fixture), RESOLVER_RECURSES);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ask(fixture, rows[i].name, rows[i].type)->state != rows[i].state)
			fail_msg("%s %d", rows[i].name, rows[i].type);
	/* At the servers themselves absence is absence. */
	heals = true;
	assert_health(fixture, RESOLVER_VALIDATES);
	assert_int_equal(ask(fixture, "nobody.example", DNS_MX)->state, DNS_SECURE);
	assert_true(ask(fixture, "only.example", DNS_MX)->exists);
}

/* A bogus answer waits for the test that tells whose fault it is, once the last is old; here many
 * of them make it old. */
static void
test_bogus_answers_are_given_after_a_test(void **state)
{
	struct fixture *fixture = *state;
	struct deadline deadline = deadline_in(15 * 1000);
	enum dns_state seen = DNS_BOGUS;

	start(fixture, DNS_MODE_FORWARD, "192.0.2.1");
	assert_int_equal(health(fixture), RESOLVER_VALIDATES);
	strips = true;
	while (seen == DNS_BOGUS && !deadline_passed(deadline)) {
		assert_int_equal(resolver_health(fixture->resolver), RESOLVER_VALIDATES);
		seen = ask(fixture, "host.example", DNS_MX)->state;
		usleep(100 * 1000);
	}
	assert_int_equal(seen, DNS_SECURE);	/* of the root, on the question that was bogus */
	assert_int_equal(resolver_health(fixture->resolver), RESOLVER_RECURSES);
}

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

static void
test_no_way_validates(void **state)
{
	root_validates = false;
	start(*state, DNS_MODE_FORWARD, "192.0.2.2");
	assert_int_equal(health(*state), RESOLVER_BROKEN);
	assert_string_equal(asked(*state), "192.0.2.2@53");
}

static void
test_silence_is_no_reason_to_pass_servers_by(void **state)
{
	start(*state, DNS_MODE_FORWARD, "192.0.2.3");
	assert_int_equal(health(*state), RESOLVER_SILENT);
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
	assert_string_equal(asked_of, "192.0.2.1@53");
	arena_free(arena);
	return NULL;
}

/* The old engine answers what it was asked, and is gone with its last question. */
static void
test_resolv_conf_changes(void **state)
{
	struct fixture *fixture = *state;
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
	/* The new servers are tested, too, before a bogus answer is given: these drop DNSSEC. */
	assert_string_equal(asked(fixture), "root");
	assert_int_equal(resolver_health(fixture->resolver), RESOLVER_RECURSES);
	pthread_join(thread, NULL);
	assert_engines(2);
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
		TEST(test_forwarder_that_works_again_is_asked_again),
		TEST(test_broken_is_left_when_the_servers_work_again),
		TEST(test_absence_while_the_servers_are_passed_by),
		TEST(test_bogus_answers_are_given_after_a_test),
		TEST(test_an_engine_that_falls_silent_is_replaced),
		TEST(test_an_engine_that_is_dead_is_replaced),
		TEST(test_no_way_validates),
		TEST(test_silence_is_no_reason_to_pass_servers_by),
		TEST(test_without_anchors),
		TEST(test_files_that_cannot_be_read),
		TEST(test_resolv_conf_changes),
		TEST(test_an_engine_lives_while_it_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
