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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/dns/resolver_engine.h"
#include "tests/unit/resolver_world.h"

struct resolver_engine {
	char server[RESOLVER_SERVER_TEXT];
	bool validates;
	int number;	/* from 1, in the order in which they are made */
	atomic_int asking;
	atomic_bool stopped;
};

atomic_bool root_validates, heals, strips;
atomic_int made, silent, dead, anchors_asked;
sem_t held, release;
static atomic_int engines;	/* alive */

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

_Thread_local char asked_of[RESOLVER_SERVER_TEXT];
_Thread_local int asked_number;
static struct dns_record record[] = { { (const uint8_t *)"", 0 } };

static void
hold(void)
{
	sem_post(&held);
	while (sem_wait(&release) != 0)
		continue;
}

/* "held" is answered when the test says so. */
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
		if (strcmp(questions[i].name, "held") == 0)
			hold();
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

void
write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

int
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
	sem_init(&held, 0, 0);
	sem_init(&release, 0, 0);
	*state = fixture;
	return 0;
}

int
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

void
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

const struct dns_answer *
ask(struct fixture *fixture, const char *name, enum dns_type type)
{
	struct dns_question *question = arena_alloc(fixture->arena, sizeof(*question));

	question->name = name;
	question->type = type;
	resolver_ask(fixture->resolver, fixture->arena, question, 1, deadline_in(1000));
	return &question->answer;
}

const char *
asked(struct fixture *fixture)
{
	static unsigned number;

	ask(fixture, arena_printf(fixture->arena, "host%u.example", number++), DNS_A);
	return asked_of;
}

enum resolver_health
health(struct fixture *fixture)
{
	return resolver_wait_health(fixture->resolver, deadline_in(5000));
}

void
assert_engines(int expected)
{
	for (int tries = 0; engines != expected && tries < 2000; tries++)
		usleep(1000);
	assert_int_equal(engines, expected);
}

void
assert_health(struct fixture *fixture, enum resolver_health expected)
{
	struct deadline deadline = deadline_in(15 * 1000);

	while (resolver_health(fixture->resolver) != expected && !deadline_passed(deadline))
		usleep(10 * 1000);
	assert_int_equal(resolver_health(fixture->resolver), expected);
}
