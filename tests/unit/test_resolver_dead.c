/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A libunbound that stops, or never comes back from a call: this program's ub_process() stands in
 * front of the library's, and treats the context that it meets next, and that one for ever, so.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <unbound.h>

#include "policy/dns/resolver.h"
#include "policy/dns/resolver_engine.h"
#include "tests/unit/tiny_dns.h"

#define SOON_MS	4000	/* well before a question's own deadline */

enum fault { FAULT_NONE, FAULT_STOPS, FAULT_HANGS };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum fault fault;
static struct ub_ctx *victim;
static unsigned hanging;	/* threads */

int
ub_process(struct ub_ctx *ctx)
{
	int (*real)(struct ub_ctx *);
	void *symbol = dlsym(RTLD_NEXT, "ub_process");
	enum fault mine;

	memcpy(&real, &symbol, sizeof(real));
	pthread_mutex_lock(&lock);
	if (fault != FAULT_NONE && victim == NULL)
		victim = ctx;
	mine = ctx == victim ? fault : FAULT_NONE;
	if (mine == FAULT_HANGS) {
		hanging++;
		while (fault == FAULT_HANGS)
			pthread_cond_wait(&changed, &lock);
		hanging--;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return mine == FAULT_STOPS ? UB_PIPE : real(ctx);
}

static void
set_fault(enum fault wanted)
{
	pthread_mutex_lock(&lock);
	fault = wanted;
	victim = NULL;
	pthread_cond_broadcast(&changed);
	while (fault == FAULT_NONE && hanging > 0)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
}

struct fixture {
	struct tiny_dns *server;
	struct conf conf;
	char *anchors[1];
	struct conf_server forwarder;
	struct resolver_servers servers;
	struct arena *arena;
};

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
	fixture->conf.dns.servers = forwarder;
	fixture->conf.dns.server_count = 1;
	fixture->conf.dns.mode = DNS_MODE_FORWARD;
	fixture->conf.dns.timeout = 20 * 1000;
	fixture->arena = arena_new();
	*state = fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	set_fault(FAULT_NONE);
	tiny_dns_stop(fixture->server);
	arena_free(fixture->arena);
	free(fixture->anchors[0]);
	free(fixture);
	return 0;
}

static struct resolver_engine *
new_engine(struct fixture *fixture)
{
	struct resolver_engine *engine;
	char why[256] = "";

	engine = resolver_engine_new(&fixture->conf, &fixture->servers, RESOLVER_BY_SERVERS, true,
	    why, sizeof(why));
	if (engine == NULL)
		fail_msg("no engine: %s", why);
	return engine;
}

static const struct dns_answer *
ask_engine(struct fixture *fixture, struct resolver_engine *engine, const char *name, int64_t ms)
{
	struct dns_question *question = arena_alloc(fixture->arena, sizeof(*question));

	*question = (struct dns_question){ .name = name, .type = DNS_A };
	resolver_engine_ask(engine, fixture->arena, question, 1, deadline_in(ms));
	return &question->answer;
}

static void
assert_works(struct fixture *fixture)
{
	struct resolver_engine *engine = new_engine(fixture);

	assert_int_equal(ask_engine(fixture, engine, "host.signed.example", 5000)->state,
	    DNS_SECURE);
	assert_false(resolver_engine_is_dead(engine));
	resolver_engine_free(engine);
}

/* Who waits goes on at once, and so does who asks later. */
static void
test_libunbound_stops(void **state)
{
	struct deadline soon = deadline_in(SOON_MS);
	struct resolver_engine *engine = new_engine(*state);
	const struct dns_answer *answer;

	set_fault(FAULT_STOPS);
	answer = ask_engine(*state, engine, "host.signed.example", 20 * 1000);
	assert_int_equal(answer->state, DNS_FAILED);
	assert_true(answer->not_asked);
	assert_true(resolver_engine_is_dead(engine));
	answer = ask_engine(*state, engine, "other.signed.example", 20 * 1000);
	assert_int_equal(answer->state, DNS_FAILED);
	assert_true(answer->not_asked);
	assert_string_equal(answer->why, "the resolver library has stopped");
	assert_works(*state);	/* beside it */
	resolver_engine_free(engine);
	assert_false(deadline_passed(soon));
	assert_works(*state);
}

static void
test_libunbound_never_comes_back(void **state)
{
	struct resolver_engine *engine = new_engine(*state);
	struct deadline soon;

	set_fault(FAULT_HANGS);
	assert_int_equal(ask_engine(*state, engine, "host.signed.example", 300)->state, DNS_FAILED);
	assert_works(*state);	/* beside it */
	soon = deadline_in(SOON_MS);
	resolver_engine_free(engine);
	assert_false(deadline_passed(soon));
	assert_works(*state);
}

/* A resolver finds names again with the question after the one that libunbound stopped for. */
static void
test_resolver_goes_on(void **state)
{
	struct fixture *fixture = *state;
	struct dns_question questions[] = {
		{ .name = "one.signed.example", .type = DNS_A },
		{ .name = "two.signed.example", .type = DNS_A },
	};
	struct deadline soon;
	struct resolver *resolver;
	char why[256] = "";

	resolver = resolver_new_with(&fixture->conf, "/nonexistent", why, sizeof(why));
	if (resolver == NULL)
		fail_msg("%s", why);
	assert_int_equal(resolver_wait_health(resolver, deadline_in(20 * 1000)),
	    RESOLVER_VALIDATES);
	soon = deadline_in(SOON_MS);
	set_fault(FAULT_STOPS);
	resolver_ask(resolver, fixture->arena, &questions[0], 1, deadline_in(20 * 1000));
	assert_int_equal(questions[0].answer.state, DNS_FAILED);
	resolver_ask(resolver, fixture->arena, &questions[1], 1, deadline_in(20 * 1000));
	assert_int_equal(questions[1].answer.state, DNS_SECURE);
	resolver_free(resolver);
	assert_false(deadline_passed(soon));
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_libunbound_stops),
		TEST(test_libunbound_never_comes_back),
		TEST(test_resolver_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
