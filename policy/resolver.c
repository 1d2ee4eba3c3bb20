/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "policy/resolver.h"
#include "policy/resolver_answers.h"
#include "policy/resolver_engine.h"
#include "policy/resolver_files.h"
#include "policy/resolver_setup.h"

#define RESOLV_CONF	"/etc/resolv.conf"
#define LOOK_EVERY_MS	1000	/* at resolv.conf */
#define TEST_EVERY_MS	(60 * 1000)	/* while the self-test has no good answer */
#define TESTER_STACK	(256 * 1024)

/* An engine and how many use it: the resolver's own use, and one for each running question. */
struct shared_engine {
	struct resolver_engine *engine;
	struct resolver_answers *answers;	/* NULL for one that is asked past all caches */
	unsigned users;	/* under the resolver's lock */
	int64_t made_ms;
};

struct resolver {
	const struct conf *conf;	/* under the lock, as it may be replaced */
	const char *resolv_conf;
	struct resolver_anchors anchors;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct shared_engine *engine;	/* that answers questions */
	struct shared_engine *fresh;	/* for questions past the cache, or NULL */
	bool fresh_is_stale;	/* it asks servers of the past */
	struct resolver_engine *way_round;	/* while it is being tested, or NULL */
	struct resolver_servers servers;	/* that engine asks */
	struct resolver_file resolv_conf_seen;
	int64_t next_look_ms;	/* at resolv.conf */
	enum resolver_health health;
	unsigned tests;	/* self-tests that have ended */
	int64_t next_test_ms;	/* INT64_MAX: none */
	bool stop;
	bool testing;	/* the thread exists */
	pthread_t tester;
	struct buf setup;	/* resolver_files_describe(); of the thread that loads */
};

static struct shared_engine *
shared_new(const struct conf *conf, const struct resolver_servers *servers, bool small, char *why,
    size_t why_room)
{
	struct resolver_engine *engine = resolver_engine_new(conf, servers, small, why, why_room);
	struct shared_engine *shared;

	if (engine == NULL)
		return NULL;
	shared = xcalloc(1, sizeof(*shared));
	shared->engine = engine;
	shared->answers = small ? NULL : resolver_answers_new();
	shared->users = 1;
	shared->made_ms = clock_monotonic_ms();
	return shared;
}

/* With the lock held. Returns what the caller is to free once he has given the lock up. */
static struct resolver_engine *
shared_release(struct shared_engine *shared)
{
	struct resolver_engine *engine;

	if (shared == NULL || --shared->users > 0)
		return NULL;
	engine = shared->engine;
	resolver_answers_free(shared->answers);
	free(shared);
	return engine;
}

static void
log_health(const struct resolver *resolver, enum log_level level, const char *what)
{
	struct log_line line;

	log_begin(&line, level, "dns");
	log_text(&line, "health", resolver_health_name(resolver->health));
	log_text(&line, "servers", resolver->servers.count > 0 ? resolver->servers.at[0] : "root");
	log_text(&line, "msg", what);
	log_end(&line);
}

/* With the lock held: from now on questions go to engine. */
static struct resolver_engine *
switch_engine(struct resolver *resolver, struct shared_engine *engine,
    const struct resolver_servers *servers)
{
	struct resolver_engine *old = shared_release(resolver->engine);

	resolver->engine = engine;
	resolver->servers = *servers;
	resolver->fresh_is_stale = true;
	return old;
}

/*
 * The self-test: the zone of each trust anchor is asked for its SOA, which can be secure only
 * when signatures come through and the key is the right one.
 */
enum test_result { TEST_GOOD, TEST_BOGUS, TEST_SILENT };

static enum test_result
test_engine(struct resolver *resolver, struct resolver_engine *engine)
{
	struct dns_question questions[RESOLVER_ANCHORS_MAX] = { 0 };
	struct arena *arena = arena_new();
	struct resolver_anchors *anchors = arena_alloc(arena, sizeof(*anchors));
	int64_t timeout;
	enum test_result result = TEST_GOOD;

	pthread_mutex_lock(&resolver->lock);
	*anchors = resolver->anchors;
	timeout = resolver->conf->dns.timeout;
	pthread_mutex_unlock(&resolver->lock);
	for (size_t i = 0; i < anchors->count; i++)
		questions[i] = (struct dns_question){ .name = anchors->at[i], .type = DNS_SOA };
	resolver_engine_ask(engine, arena, questions, anchors->count, deadline_in(timeout));
	for (size_t i = 0; i < anchors->count && result != TEST_BOGUS; i++) {
		if (questions[i].answer.state == DNS_BOGUS)
			result = TEST_BOGUS;
		else if (questions[i].answer.state == DNS_FAILED)
			result = TEST_SILENT;
	}
	arena_free(arena);
	return result;
}

static void
set_health(struct resolver *resolver, enum resolver_health health)
{
	static const char broken[] = "DNS answers do not validate: mail for every signed domain is"
	    " deferred. The servers drop DNSSEC records, the trust anchor is out of date, or the"
	    " clock is wrong. Let the servers pass DNSSEC, or set dns.mode to recurse and open"
	    " port 53";
	static const char recurses[] = "the configured DNS servers drop DNSSEC records, so stsgated"
	    " asks from the root instead. Set dns.mode to recurse, or let the servers pass DNSSEC"
	    " and restart stsgated";
	bool news = resolver->health != health;

	resolver->health = health;
	switch (health) {
	case RESOLVER_BROKEN:
		if (news)
			log_health(resolver, LOG_LEVEL_ERROR, broken);
		break;
	case RESOLVER_RECURSES:
		log_health(resolver, LOG_LEVEL_ERROR, recurses);
		break;
	case RESOLVER_VALIDATES:
		log_health(resolver, LOG_LEVEL_INFO, "DNS answers validate");
		break;
	case RESOLVER_UNTESTED:
		log_health(resolver, LOG_LEVEL_WARNING, "DNS does not answer: whether answers"
		    " validate is not known yet");
		break;
	case RESOLVER_UNANCHORED:
		break;
	}
}

static void
set_way_round(struct resolver *resolver, struct resolver_engine *engine)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->way_round = engine;
	if (engine != NULL && resolver->stop)
		resolver_engine_stop(engine);
	pthread_mutex_unlock(&resolver->lock);
}

/* The configured servers drop DNSSEC: NULL unless asking from the root does better. */
static struct shared_engine *
find_way_round(struct resolver *resolver)
{
	static const struct resolver_servers from_the_root;
	struct shared_engine *shared;
	enum test_result result;
	char why[200];

	pthread_mutex_lock(&resolver->lock);
	shared = resolver->conf->dns.mode == DNS_MODE_RECURSE ? NULL :
	    shared_new(resolver->conf, &from_the_root, false, why, sizeof(why));
	pthread_mutex_unlock(&resolver->lock);
	if (shared == NULL)
		return NULL;
	set_way_round(resolver, shared->engine);
	result = test_engine(resolver, shared->engine);
	set_way_round(resolver, NULL);
	if (result == TEST_GOOD)
		return shared;
	resolver_engine_free(shared_release(shared));
	return NULL;
}

/* With the lock held; tested is the engine that gave the result. */
static struct resolver_engine *
conclude(struct resolver *resolver, const struct shared_engine *tested, enum test_result result,
    struct shared_engine *way_round)
{
	static const struct resolver_servers from_the_root;
	struct resolver_engine *old = NULL;

	/* resolv.conf has changed meanwhile: the new servers are still to be tested. */
	if (resolver->stop || resolver->engine != tested)
		return shared_release(way_round);
	resolver->next_test_ms = clock_monotonic_ms() + TEST_EVERY_MS;
	switch (result) {
	case TEST_GOOD:
		set_health(resolver, RESOLVER_VALIDATES);
		resolver->next_test_ms = INT64_MAX;
		break;
	case TEST_SILENT:
		set_health(resolver, resolver->health);
		break;
	case TEST_BOGUS:
		if (way_round == NULL) {
			set_health(resolver, RESOLVER_BROKEN);
			break;
		}
		set_health(resolver, RESOLVER_RECURSES);
		old = switch_engine(resolver, way_round, &from_the_root);
		resolver->next_test_ms = INT64_MAX;
		break;
	}
	resolver->tests++;
	pthread_cond_broadcast(&resolver->changed);
	return old;
}

/* With the lock held, which is given up meanwhile. */
static void
run_test(struct resolver *resolver)
{
	struct shared_engine *tested = resolver->engine, *way_round = NULL;
	struct resolver_engine *retired, *replaced;
	enum test_result result;

	tested->users++;
	pthread_mutex_unlock(&resolver->lock);
	result = test_engine(resolver, tested->engine);
	if (result == TEST_BOGUS)
		way_round = find_way_round(resolver);
	pthread_mutex_lock(&resolver->lock);
	replaced = conclude(resolver, tested, result, way_round);
	retired = shared_release(tested);
	pthread_mutex_unlock(&resolver->lock);
	resolver_engine_free(replaced);
	resolver_engine_free(retired);
	pthread_mutex_lock(&resolver->lock);
}

static void *
tester_run(void *context)
{
	struct resolver *resolver = context;

	pthread_mutex_lock(&resolver->lock);
	while (!resolver->stop) {
		struct timespec until = deadline_timespec(
		    (struct deadline){ resolver->next_test_ms });

		if (resolver->next_test_ms <= clock_monotonic_ms())
			run_test(resolver);
		else if (resolver->next_test_ms == INT64_MAX)
			pthread_cond_wait(&resolver->changed, &resolver->lock);
		else
			pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until);
	}
	pthread_mutex_unlock(&resolver->lock);
	return NULL;
}

static int
start_tester(struct resolver *resolver)
{
	int error;

	if (resolver->anchors.count == 0) {
		resolver->health = RESOLVER_UNANCHORED;
		return 0;
	}
	error = thread_start(&resolver->tester, TESTER_STACK, tester_run, resolver);
	resolver->testing = error == 0;
	return error;
}

static struct resolver *
allocate(const struct conf *conf, const char *resolv_conf)
{
	struct resolver *resolver = xcalloc(1, sizeof(*resolver));

	resolver->conf = conf;
	resolver->resolv_conf = resolv_conf;
	pthread_mutex_init(&resolver->lock, NULL);
	thread_condition(&resolver->changed);
	return resolver;
}

struct resolver *
resolver_new_with(const struct conf *conf, const char *resolv_conf, char *why, size_t why_room)
{
	struct resolver *resolver = allocate(conf, resolv_conf);
	int error;

	resolver_files_look(resolv_conf, &resolver->resolv_conf_seen);
	if (resolver_files_anchors(conf, &resolver->anchors, why, why_room) != 0 ||
	    resolver_files_servers(conf, resolv_conf, &resolver->servers, why, why_room) != 0)
		goto fail;
	resolver->engine = shared_new(conf, &resolver->servers, false, why, why_room);
	if (resolver->engine == NULL)
		goto fail;
	resolver_files_describe(conf, &resolver->servers, &resolver->setup);
	error = start_tester(resolver);
	if (error == 0)
		return resolver;
	snprintf(why, why_room, "no thread for the resolver: %s", strerror(error));
fail:
	resolver_free(resolver);
	return NULL;
}

struct resolver *
resolver_new(const struct conf *conf, char *why, size_t why_room)
{
	return resolver_new_with(conf, RESOLV_CONF, why, why_room);
}

/* With the lock held. */
static struct resolver_engine *
begin_anew(struct resolver *resolver, const struct resolver_anchors *anchors,
    struct shared_engine *engine, const struct resolver_servers *servers)
{
	resolver->anchors = *anchors;
	resolver->health = anchors->count == 0 ? RESOLVER_UNANCHORED : RESOLVER_UNTESTED;
	resolver->next_test_ms = anchors->count == 0 ? INT64_MAX : clock_monotonic_ms();
	if (!resolver->testing && start_tester(resolver) != 0)
		log_message(LOG_LEVEL_ERROR, "dns", "no thread to test the DNS servers with");
	pthread_cond_broadcast(&resolver->changed);
	return switch_engine(resolver, engine, servers);
}

int
resolver_reload(struct resolver *resolver, const struct conf *conf, char *why, size_t why_room)
{
	struct resolver_anchors anchors = { .count = 0 };
	struct resolver_engine *retired = NULL;
	struct shared_engine *engine = NULL;
	struct resolver_servers servers;
	struct buf setup = { 0 };
	bool changed;

	if (resolver_files_anchors(conf, &anchors, why, why_room) != 0 ||
	    resolver_files_servers(conf, resolver->resolv_conf, &servers, why, why_room) != 0)
		return -1;
	resolver_files_describe(conf, &servers, &setup);
	changed = strcmp(buf_text(&setup), buf_text(&resolver->setup)) != 0;
	if (changed)
		engine = shared_new(conf, &servers, false, why, why_room);
	if (changed && engine == NULL) {
		buf_free(&setup);
		return -1;
	}
	pthread_mutex_lock(&resolver->lock);
	resolver->conf = conf;
	if (changed)
		retired = begin_anew(resolver, &anchors, engine, &servers);
	pthread_mutex_unlock(&resolver->lock);
	resolver_engine_free(retired);
	buf_free(&resolver->setup);
	resolver->setup = setup;
	return 0;
}

void
resolver_stop(struct resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->stop = true;
	if (resolver->engine != NULL)
		resolver_engine_stop(resolver->engine->engine);
	if (resolver->fresh != NULL)
		resolver_engine_stop(resolver->fresh->engine);
	if (resolver->way_round != NULL)
		resolver_engine_stop(resolver->way_round);
	pthread_cond_broadcast(&resolver->changed);
	pthread_mutex_unlock(&resolver->lock);
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	resolver_stop(resolver);
	if (resolver->testing)
		pthread_join(resolver->tester, NULL);
	resolver_engine_free(shared_release(resolver->engine));
	resolver_engine_free(shared_release(resolver->fresh));
	pthread_cond_destroy(&resolver->changed);
	pthread_mutex_destroy(&resolver->lock);
	buf_free(&resolver->setup);
	free(resolver);
}

/* With the lock held. A resolv.conf that is away or half written changes nothing. */
static struct resolver_engine *
follow_resolv_conf(struct resolver *resolver)
{
	struct resolver_servers servers;
	struct shared_engine *engine;
	struct resolver_file now;
	char why[200] = "";
	int64_t at = clock_monotonic_ms();

	if (resolver->conf->dns.mode != DNS_MODE_SYSTEM || resolver->stop ||
	    at < resolver->next_look_ms)
		return NULL;
	resolver->next_look_ms = at + LOOK_EVERY_MS;
	if (resolver_files_look(resolver->resolv_conf, &now) != 0 || now.size == 0 ||
	    resolver_files_same(&now, &resolver->resolv_conf_seen))
		return NULL;
	resolver->resolv_conf_seen = now;
	if (resolver_files_servers(resolver->conf, resolver->resolv_conf, &servers, why,
	    sizeof(why)) != 0)
		return NULL;
	engine = shared_new(resolver->conf, &servers, false, why, sizeof(why));
	if (engine == NULL) {
		log_message(LOG_LEVEL_ERROR, "dns", "the new %s is not used: %s",
		    resolver->resolv_conf, why);
		return NULL;
	}
	log_message(LOG_LEVEL_INFO, "dns", "%s has changed: asking %s", resolver->resolv_conf,
	    servers.at[0]);
	resolver->next_test_ms = at;
	if (resolver->health != RESOLVER_UNANCHORED)
		resolver->health = RESOLVER_UNTESTED;
	pthread_cond_broadcast(&resolver->changed);
	return switch_engine(resolver, engine, &servers);
}

/* Asks the engine for what was not answered a moment ago. */
static void
ask_missing(struct shared_engine *shared, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	struct dns_question *missing = arena_array(arena, count, sizeof(missing[0]));
	struct dns_question **of = arena_array(arena, count, sizeof(of[0]));
	int64_t now_ms = clock_monotonic_ms();
	size_t i, left = 0;

	for (i = 0; i < count; i++)
		if (shared->answers == NULL ||
		    !resolver_answers_find(shared->answers, arena, &questions[i], now_ms)) {
			of[left] = &questions[i];
			missing[left++] = questions[i];
		}
	if (left == 0)
		return;
	resolver_engine_ask(shared->engine, arena, missing, left, deadline);
	for (i = 0; i < left; i++) {
		of[i]->answer = missing[i].answer;
		if (shared->answers != NULL)
			resolver_answers_keep(shared->answers, &missing[i], clock_monotonic_ms());
	}
}

/* With the lock held, which is given up meanwhile. */
static void
ask_shared(struct resolver *resolver, struct shared_engine *shared, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	struct resolver_engine *retired;

	deadline = deadline_earlier(deadline, deadline_in(resolver->conf->dns.timeout));
	shared->users++;
	pthread_mutex_unlock(&resolver->lock);
	ask_missing(shared, arena, questions, count, deadline);
	for (size_t i = 0; i < count; i++)
		metrics_count(METRIC_DNS_LOOKUPS, dns_state_name(questions[i].answer.state), NULL);
	pthread_mutex_lock(&resolver->lock);
	retired = shared_release(shared);
	pthread_mutex_unlock(&resolver->lock);
	resolver_engine_free(retired);
	pthread_mutex_lock(&resolver->lock);
}

void
resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	struct resolver_engine *retired;

	pthread_mutex_lock(&resolver->lock);
	retired = follow_resolv_conf(resolver);
	ask_shared(resolver, resolver->engine, arena, questions, count, deadline);
	pthread_mutex_unlock(&resolver->lock);
	resolver_engine_free(retired);
}

void
resolver_want(struct resolver *resolver, const char *name, enum dns_type type)
{
	struct resolver_engine *replaced, *retired;
	struct shared_engine *shared;

	pthread_mutex_lock(&resolver->lock);
	replaced = follow_resolv_conf(resolver);
	shared = resolver->engine;
	shared->users++;
	pthread_mutex_unlock(&resolver->lock);
	if (shared->answers == NULL ||
	    !resolver_answers_have(shared->answers, name, type, clock_monotonic_ms()))
		resolver_engine_want(shared->engine, name, type);
	pthread_mutex_lock(&resolver->lock);
	retired = shared_release(shared);
	pthread_mutex_unlock(&resolver->lock);
	resolver_engine_free(replaced);
	resolver_engine_free(retired);
}

/* With the lock held: an engine with nothing in its cache that is as old as interval_ms. */
static struct resolver_engine *
freshen(struct resolver *resolver, int64_t interval_ms)
{
	struct shared_engine *old = resolver->fresh;
	char why[200];

	if (resolver->stop || (old != NULL && !resolver->fresh_is_stale &&
	    clock_monotonic_ms() - old->made_ms < interval_ms))
		return NULL;
	resolver->fresh = shared_new(resolver->conf, &resolver->servers, true, why, sizeof(why));
	resolver->fresh_is_stale = false;
	return shared_release(old);
}

void
resolver_ask_afresh(struct resolver *resolver, struct arena *arena, struct dns_question *question,
    int64_t interval_ms, struct deadline deadline)
{
	struct resolver_engine *retired;
	struct shared_engine *asked;

	pthread_mutex_lock(&resolver->lock);
	retired = freshen(resolver, interval_ms);
	asked = resolver->fresh != NULL ? resolver->fresh : resolver->engine;
	ask_shared(resolver, asked, arena, question, 1, deadline);
	if (asked == resolver->fresh)
		resolver_answers_correct(resolver->engine->answers, question, clock_monotonic_ms());
	pthread_mutex_unlock(&resolver->lock);
	resolver_engine_free(retired);
}

enum resolver_health
resolver_health(struct resolver *resolver)
{
	enum resolver_health health;

	pthread_mutex_lock(&resolver->lock);
	health = resolver->health;
	pthread_mutex_unlock(&resolver->lock);
	return health;
}

enum resolver_health
resolver_wait_health(struct resolver *resolver, struct deadline deadline)
{
	struct timespec until = deadline_timespec(deadline);
	enum resolver_health health;

	pthread_mutex_lock(&resolver->lock);
	while (resolver->testing && resolver->tests == 0 && !deadline_passed(deadline))
		pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until);
	health = resolver->health;
	pthread_mutex_unlock(&resolver->lock);
	return health;
}
