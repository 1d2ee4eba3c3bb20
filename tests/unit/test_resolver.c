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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/dns/resolver.h"
#include "policy/dns/resolver_engine.h"
#include "tests/unit/tiny_dns.h"

#define SILENT_NAMES	200

/* One engine on one tiny server, whose key for signed.example is trusted. */
struct fixture {
	struct tiny_dns *server;
	struct conf conf;
	char *anchors[1], *insecure[1];
	struct conf_server forwarder;
	struct conf_zone zone;
	struct resolver_servers servers;
	struct resolver_engine *engine;
	struct arena *arena;
};

static void
start_engine(struct fixture *fixture)
{
	char why[256] = "";

	fixture->engine = resolver_engine_new(&fixture->conf, &fixture->servers,
	    RESOLVER_BY_SERVERS, true, why, sizeof(why));
	if (fixture->engine == NULL)
		fail_msg("no engine: %s", why);
}

static int
setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	struct conf_server *forwarder = &fixture->forwarder;

	fixture->server = tiny_dns_start();
	ip_parse("127.0.0.1", &forwarder->ip);
	forwarder->port = tiny_dns_port(fixture->server);
	resolver_servers_add(&fixture->servers, forwarder);
	fixture->anchors[0] = xstrdup(tiny_dns_anchor(fixture->server));
	fixture->conf.dns.trust_anchors = (struct conf_strings){ fixture->anchors, 1 };
	fixture->conf.dns.timeout = 10 * 1000;
	fixture->arena = arena_new();
	*state = fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	resolver_engine_free(fixture->engine);
	tiny_dns_stop(fixture->server);
	arena_free(fixture->arena);
	free(fixture->anchors[0]);
	free(fixture);
	return 0;
}

static const struct dns_answer *
ask(struct fixture *fixture, const char *name, enum dns_type type, int64_t ms)
{
	struct dns_question *question = arena_alloc(fixture->arena, sizeof(*question));

	question->name = name;
	question->type = type;
	resolver_engine_ask(fixture->engine, fixture->arena, question, 1, deadline_in(ms));
	return &question->answer;
}

static void
test_states(void **state)
{
	static const struct {
		const char *name;
		enum dns_type type;
		enum dns_state state;
		bool exists;
		size_t count;
	} cases[] = {
		{ "host.signed.example", DNS_A, DNS_SECURE, true, 1 },
		{ "host.signed.example", DNS_AAAA, DNS_SECURE, true, 1 },
		{ "host.signed.example", DNS_TXT, DNS_SECURE, true, 1 },
		{ "signed.example", DNS_MX, DNS_SECURE, true, 1 },
		{ "signed.example", DNS_SOA, DNS_SECURE, true, 1 },
		{ "nxdomain.signed.example", DNS_A, DNS_SECURE, false, 0 },
		{ "nodata.signed.example", DNS_TXT, DNS_SECURE, true, 0 },
		{ "alias.signed.example", DNS_TXT, DNS_SECURE, true, 1 },
		{ "host.plain.example", DNS_A, DNS_INSECURE, true, 1 },
		{ "HOST2.Plain.Example.", DNS_A, DNS_INSECURE, true, 1 },
		{ "nxdomain.plain.example", DNS_MX, DNS_INSECURE, false, 0 },
		{ "nodata.plain.example", DNS_MX, DNS_INSECURE, true, 0 },
		{ "alias.plain.example", DNS_A, DNS_INSECURE, true, 1 },
		{ "servfail.plain.example", DNS_A, DNS_FAILED, false, 0 },
		{ "loop.plain.example", DNS_TXT, DNS_FAILED, false, 0 },
		{ "loop.signed.example", DNS_TXT, DNS_FAILED, false, 0 },
		{ "a..b.example", DNS_A, DNS_FAILED, false, 0 },
	};
	struct fixture *fixture = *state;

	start_engine(fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dns_answer *answer = ask(fixture, cases[i].name, cases[i].type, 5000);

		print_message("%s: %s %s\n", cases[i].name, dns_state_name(answer->state),
		    answer->why);
		assert_int_equal(answer->state, cases[i].state);
		assert_int_equal(answer->count, cases[i].count);
		if (answer->state == DNS_FAILED)
			assert_true(answer->why[0] != '\0');
		else
			assert_int_equal(answer->exists, cases[i].exists);
	}
}

static void
test_answer_in_full(void **state)
{
	static const uint8_t mx[] = "\0\12\2mx\4mail\6signed\7example";
	struct fixture *fixture = *state;
	const struct dns_answer *answer;

	start_engine(fixture);
	answer = ask(fixture, "mail.signed.example", DNS_MX, 5000);
	assert_int_equal(answer->count, 1);
	assert_int_equal(answer->records[0].length, sizeof(mx));
	assert_memory_equal(answer->records[0].data, mx, sizeof(mx));
	assert_in_range(answer->ttl, 55, 60);
	assert_string_equal(ask(fixture, "Mail.Signed.Example.", DNS_A, 5000)->canonical,
	    "mail.signed.example");
	answer = ask(fixture, "alias.plain.example", DNS_A, 5000);
	assert_string_equal(answer->canonical, "target.plain.example");
	assert_memory_equal(answer->records[0].data, "\300\0\2\1", 4);
}

static void
test_stripped_signatures_are_bogus(void **state)
{
	struct fixture *fixture = *state;
	const struct dns_answer *answer;

	start_engine(fixture);
	assert_int_equal(ask(fixture, "before.signed.example", DNS_TXT, 5000)->state, DNS_SECURE);
	tiny_dns_strip(fixture->server, true);
	for (int i = 0; i < 2; i++) {	/* the second answer comes out of the cache */
		answer = ask(fixture, "host.signed.example", DNS_TXT, 5000);
		assert_int_equal(answer->state, DNS_BOGUS);
		assert_int_equal(answer->count, 0);
		assert_true(answer->why[0] != '\0');
		assert_int_equal(strspn(answer->why, "abcdefghijklmnopqrstuvwxyz0123456789-"),
		    strlen(answer->why));
		print_message("why=%s\n", answer->why);
	}
	assert_int_equal(ask(fixture, "nxdomain.signed.example", DNS_TXT, 5000)->state, DNS_BOGUS);
	assert_int_equal(ask(fixture, "nodata.signed.example", DNS_MX, 5000)->state, DNS_BOGUS);
	assert_int_equal(ask(fixture, "host.plain.example", DNS_TXT, 5000)->state, DNS_INSECURE);
}

static void
test_insecure_names_are_not_validated(void **state)
{
	struct fixture *fixture = *state;

	fixture->insecure[0] = strdup("corp.signed.example");
	fixture->conf.dns.insecure = (struct conf_strings){ fixture->insecure, 1 };
	start_engine(fixture);
	tiny_dns_strip(fixture->server, true);
	assert_int_equal(ask(fixture, "x.corp.signed.example", DNS_A, 5000)->state, DNS_INSECURE);
	assert_int_equal(ask(fixture, "host.signed.example", DNS_A, 5000)->state, DNS_BOGUS);
	free(fixture->insecure[0]);
}

/* libunbound denies test. by itself, unless the administrator says whose it is. */
static void
test_zone_has_its_own_servers(void **state)
{
	static char name[] = "lab.test";
	struct fixture *fixture = *state;

	fixture->zone = (struct conf_zone){ name, &fixture->forwarder, 1 };
	fixture->conf.dns.zones = &fixture->zone;
	fixture->conf.dns.zone_count = 1;
	strcpy(fixture->servers.at[0], "127.0.0.1@1");	/* no server listens */
	start_engine(fixture);
	assert_int_equal(ask(fixture, "host.lab.test", DNS_A, 5000)->state, DNS_INSECURE);
	assert_int_equal(ask(fixture, "host.lab.test", DNS_A, 5000)->count, 1);
	assert_false(ask(fixture, "host.other.test", DNS_A, 5000)->exists);
	assert_int_equal(ask(fixture, "host.plain.example", DNS_A, 300)->state, DNS_FAILED);
}

static void
test_deadline(void **state)
{
	struct fixture *fixture = *state;
	int64_t began = clock_monotonic_ms();

	start_engine(fixture);
	assert_int_equal(ask(fixture, "silent.plain.example", DNS_A, 300)->state, DNS_FAILED);
	assert_in_range(clock_monotonic_ms() - began, 300, 8000);
	began = clock_monotonic_ms();
	assert_int_equal(ask(fixture, "silent2.plain.example", DNS_A, 0)->state, DNS_FAILED);
	assert_in_range(clock_monotonic_ms() - began, 0, 8000);
	/* One name that does not answer takes nothing from those asked with it. */
	struct dns_question questions[] = {
		{ .name = "silent3.plain.example", .type = DNS_A },
		{ .name = "good.plain.example", .type = DNS_A },
	};
	resolver_engine_ask(fixture->engine, fixture->arena, questions, 2, deadline_in(1500));
	assert_int_equal(questions[0].answer.state, DNS_FAILED);
	assert_int_equal(questions[1].answer.state, DNS_INSECURE);
}

struct asker {
	struct fixture *fixture;
	unsigned number;
	int64_t ms;
	const char *label;
	const char *zone;	/* NULL: plain.example */
	enum dns_state state;
	bool not_asked;
	pthread_t thread;
};

static void *
asker_run(void *context)
{
	struct asker *asker = context;
	struct arena *arena = arena_new();
	struct dns_question question = { .type = DNS_A };

	question.name = arena_printf(arena, "%s%u.%s", asker->label, asker->number,
	    asker->zone != NULL ? asker->zone : "plain.example");
	resolver_engine_ask(asker->fixture->engine, arena, &question, 1, deadline_in(asker->ms));
	asker->state = question.answer.state;
	asker->not_asked = question.answer.not_asked;
	arena_free(arena);
	return NULL;
}

static struct asker *
start_askers(struct fixture *fixture, const char *label, unsigned count, int64_t ms)
{
	struct asker *askers = xcalloc(count, sizeof(*askers));

	for (unsigned i = 0; i < count; i++) {
		askers[i] = (struct asker){
			.fixture = fixture, .number = i, .ms = ms, .label = label
		};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, asker_run, &askers[i]), 0);
	}
	return askers;
}

static void
join_askers(struct asker *askers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		pthread_join(askers[i].thread, NULL);
}

static void
test_a_dead_zone_slows_no_other(void **state)
{
	struct fixture *fixture = *state;
	struct asker *askers;
	char name[64];

	start_engine(fixture);
	askers = start_askers(fixture, "silent", SILENT_NAMES, 1500);
	for (int i = 0; i < 20; i++) {
		struct timespec pause = { 0, 50 * 1000 * 1000 };
		int64_t began = clock_monotonic_ms();

		nanosleep(&pause, NULL);
		snprintf(name, sizeof(name), "unrelated%d.plain.example", i);
		assert_int_equal(ask(fixture, name, DNS_A, 5000)->state, DNS_INSECURE);
		assert_in_range(clock_monotonic_ms() - began, 0, 3000);
	}
	join_askers(askers, SILENT_NAMES);
	for (int i = 0; i < SILENT_NAMES; i++)
		assert_int_equal(askers[i].state, DNS_FAILED);
	free(askers);
	/* Nor is the server itself held to be dead afterwards. */
	assert_int_equal(ask(fixture, "after.plain.example", DNS_A, 5000)->state, DNS_INSECURE);
}

/* More names of one silent zone than libunbound has sockets: another zone's are answered, and the
 * flood's that never had their turn do not count as asked. */
static void
test_a_flood_of_a_silent_zone_starves_no_other(void **state)
{
	enum { ASKERS = 1200, EACH = 3 };
	struct fixture *fixture = *state;
	struct asker *askers;
	unsigned asked = 0, not_asked = 0;
	pthread_attr_t small;
	char name[64];

	start_engine(fixture);
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 256 * 1024);
	askers = xcalloc(EACH * ASKERS, sizeof(*askers));
	for (unsigned i = 0; i < EACH * ASKERS; i++) {
		askers[i] = (struct asker){ .fixture = fixture,
			.number = i,
			.ms = 6000,
			.label = "silent",
			.zone = "flood.example" };
		assert_int_equal(pthread_create(&askers[i].thread, &small, asker_run, &askers[i]),
		    0);
	}
	pthread_attr_destroy(&small);
	for (int i = 0; i < 30; i++) {
		snprintf(name, sizeof(name), "unrelated%d.plain.example", i);
		assert_int_equal(ask(fixture, name, DNS_A, 5000)->state, DNS_INSECURE);
	}
	join_askers(askers, EACH * ASKERS);
	for (unsigned i = 0; i < EACH * ASKERS; i++) {
		assert_int_equal(askers[i].state, DNS_FAILED);
		asked += !askers[i].not_asked;
		not_asked += askers[i].not_asked;
	}
	assert_in_range(asked, 1, 1000);
	assert_in_range(not_asked, 1000, EACH * ASKERS);
	free(askers);
}

/* Answers that arrive just as their callers leave are dropped, without harm. */
static void
test_cancelling_races_with_answers(void **state)
{
	struct fixture *fixture = *state;
	struct asker *askers[8];

	start_engine(fixture);
	for (unsigned i = 0; i < 8; i++)
		askers[i] = start_askers(fixture, "slow", 40, 285 + 5 * i);
	for (unsigned i = 0; i < 8; i++) {
		join_askers(askers[i], 40);
		free(askers[i]);
	}
	assert_int_equal(ask(fixture, "fine.plain.example", DNS_A, 5000)->state, DNS_INSECURE);
}

static void *
stop_soon(void *engine)
{
	struct timespec pause = { 0, 100 * 1000 * 1000 };

	nanosleep(&pause, NULL);
	resolver_engine_stop(engine);
	return NULL;
}

static void
test_stop_ends_waiting(void **state)
{
	struct fixture *fixture = *state;
	int64_t began = clock_monotonic_ms();
	pthread_t thread;

	start_engine(fixture);
	assert_int_equal(pthread_create(&thread, NULL, stop_soon, fixture->engine), 0);
	assert_int_equal(ask(fixture, "silent.plain.example", DNS_A, 10000)->state, DNS_FAILED);
	assert_int_equal(ask(fixture, "silent2.plain.example", DNS_A, 10000)->state, DNS_FAILED);
	pthread_join(thread, NULL);
	assert_in_range(clock_monotonic_ms() - began, 0, 2000);
}

static void
test_a_broken_trust_anchor_is_said(void **state)
{
	struct fixture *fixture = *state;
	char why[256] = "";
	FILE *file = fopen(fixture->anchors[0], "w");

	fputs("this is no key\n", file);
	fclose(file);
	assert_null(resolver_engine_new(&fixture->conf, &fixture->servers, RESOLVER_BY_SERVERS,
	    true, why, sizeof(why)));
	assert_non_null(strstr(why, "trust anchor"));
}

static void
test_asking_afresh(void **state)
{
	struct fixture *fixture = *state;
	struct dns_question question = { .name = "cached.plain.example", .type = DNS_TXT };
	struct resolver *resolver;
	unsigned before;
	char why[256];

	fixture->conf.dns.mode = DNS_MODE_FORWARD;
	fixture->conf.dns.servers = &fixture->forwarder;
	fixture->conf.dns.server_count = 1;
	fixture->conf.dns.trust_anchors.count = 0;
	resolver = resolver_new(&fixture->conf, why, sizeof(why));
	assert_non_null(resolver);
	assert_int_equal(resolver_health(resolver), RESOLVER_UNANCHORED);
	resolver_ask(resolver, fixture->arena, &question, 1, deadline_in(5000));
	before = tiny_dns_queries(fixture->server);
	resolver_ask(resolver, fixture->arena, &question, 1, deadline_in(5000));
	assert_int_equal(tiny_dns_queries(fixture->server), before);
	resolver_ask_afresh(resolver, fixture->arena, &question, 10 * 1000, deadline_in(5000));
	assert_int_equal(question.answer.count, 1);
	assert_int_equal(tiny_dns_queries(fixture->server), before + 1);
	resolver_ask_afresh(resolver, fixture->arena, &question, 0, deadline_in(5000));
	assert_int_equal(tiny_dns_queries(fixture->server), before + 2);
	/* This answer is the answer for all callers from now on. */
	question.name = "corrected.plain.example";
	resolver_ask_afresh(resolver, fixture->arena, &question, 0, deadline_in(5000));
	assert_int_equal(question.answer.count, 1);
	before = tiny_dns_queries(fixture->server);
	memset(&question.answer, 0, sizeof(question.answer));
	resolver_ask(resolver, fixture->arena, &question, 1, deadline_in(5000));
	assert_int_equal(question.answer.count, 1);
	assert_int_equal(tiny_dns_queries(fixture->server), before);
	resolver_free(resolver);
}

static void *
ask_afresh(void *context)
{
	struct dns_question question = { .name = "slow-corrected.plain.example", .type = DNS_TXT };
	struct arena *arena = arena_new();

	resolver_ask_afresh(context, arena, &question, 0, deadline_in(5000));
	assert_int_equal(question.answer.count, 1);
	arena_free(arena);
	return NULL;
}

/* Asked by servers, anchors or a path that are no longer those in force. */
static void
test_an_answer_of_the_past_corrects_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct dns_question question = { .name = "slow-corrected.plain.example", .type = DNS_TXT };
	struct resolver *resolver;
	pthread_t asker;
	unsigned before;
	char why[256];

	fixture->conf.dns.mode = DNS_MODE_FORWARD;
	fixture->conf.dns.servers = &fixture->forwarder;
	fixture->conf.dns.server_count = 1;
	fixture->conf.dns.trust_anchors.count = 0;
	resolver = resolver_new(&fixture->conf, why, sizeof(why));
	assert_non_null(resolver);
	before = tiny_dns_queries(fixture->server);
	assert_int_equal(pthread_create(&asker, NULL, ask_afresh, resolver), 0);
	while (tiny_dns_queries(fixture->server) == before)
		usleep(1000);
	resolver_forget(resolver);
	pthread_join(asker, NULL);
	before = tiny_dns_queries(fixture->server);
	resolver_ask(resolver, fixture->arena, &question, 1, deadline_in(5000));
	assert_int_equal(question.answer.count, 1);
	assert_int_equal(tiny_dns_queries(fixture->server), before + 1);
	resolver_free(resolver);
}

static void
test_wanting_waits_for_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct dns_question question = { .name = "slow-wanted.plain.example", .type = DNS_TXT };
	struct resolver *resolver;
	int64_t before_ms;
	unsigned before;
	char why[256];

	fixture->conf.dns.mode = DNS_MODE_FORWARD;
	fixture->conf.dns.servers = &fixture->forwarder;
	fixture->conf.dns.server_count = 1;
	fixture->conf.dns.trust_anchors.count = 0;
	resolver = resolver_new(&fixture->conf, why, sizeof(why));
	assert_non_null(resolver);
	before = tiny_dns_queries(fixture->server);
	before_ms = clock_monotonic_ms();
	resolver_want(resolver, "slow-wanted.plain.example", DNS_TXT);
	resolver_want(resolver, "slow-wanted.plain.example", DNS_TXT);
	resolver_want(resolver, "a..b.example", DNS_TXT);
	assert_in_range(clock_monotonic_ms() - before_ms, 0, 250);
	resolver_ask(resolver, fixture->arena, &question, 1, deadline_in(5000));
	assert_int_equal(question.answer.count, 1);
	assert_int_equal(tiny_dns_queries(fixture->server), before + 1);
	/* And one that is still open at the end is let go. */
	resolver_want(resolver, "silent-wanted.plain.example", DNS_TXT);
	resolver_free(resolver);
}

static void
test_self_test_validates(void **state)
{
	struct fixture *fixture = *state;
	struct resolver *resolver;
	char why[256];

	fixture->conf.dns.mode = DNS_MODE_FORWARD;
	fixture->conf.dns.servers = &fixture->forwarder;
	fixture->conf.dns.server_count = 1;
	resolver = resolver_new(&fixture->conf, why, sizeof(why));
	assert_non_null(resolver);
	assert_int_equal(resolver_wait_health(resolver, deadline_in(5000)), RESOLVER_VALIDATES);
	resolver_free(resolver);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_states),
		TEST(test_answer_in_full),
		TEST(test_stripped_signatures_are_bogus),
		TEST(test_insecure_names_are_not_validated),
		TEST(test_zone_has_its_own_servers),
		TEST(test_deadline),
		TEST(test_a_dead_zone_slows_no_other),
		TEST(test_a_flood_of_a_silent_zone_starves_no_other),
		TEST(test_cancelling_races_with_answers),
		TEST(test_stop_ends_waiting),
		TEST(test_a_broken_trust_anchor_is_said),
		TEST(test_asking_afresh),
		TEST(test_an_answer_of_the_past_corrects_nothing),
		TEST(test_wanting_waits_for_nothing),
		TEST(test_self_test_validates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
