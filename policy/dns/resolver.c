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
#include "policy/dns/resolver_inside.h"
#include "policy/dns/resolver_names.h"

#define RESOLV_CONF	"/etc/resolv.conf"
#define LOOK_EVERY_MS	1000	/* at resolv.conf */
#define REVIVE_MS	1000	/* from one dead engine to the next, then twice as long ... */
#define REVIVE_MOST_MS	(32 * 1000)	/* ... up to this: each may be left behind */
#define REVIVED_MS	(60 * 1000)	/* after which the last one is history */

struct resolver_shared *
resolver_switch(struct resolver *resolver, struct resolver_shared *engine, enum resolver_path path)
{
	struct resolver_shared *old = resolver_shared_release(resolver->engine);

	resolver->engine = engine;
	resolver->engines++;
	resolver->path = path;
	resolver->fresh_is_stale = true;
	return old;
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
	resolver->engine = resolver_shared_new(conf, &resolver->servers, RESOLVER_BY_SERVERS, false,
	    why, why_room);
	if (resolver->engine == NULL)
		goto fail;
	resolver_files_describe(conf, &resolver->servers, &resolver->setup);
	resolver_watch_start(&resolver->watch, clock_monotonic_ms());
	error = resolver_test_start(resolver);
	if (error == 0)
		return resolver;
	snprintf(why, why_room, "cannot create a thread for the resolver: %s", strerror(error));
fail:
	resolver_free(resolver);
	return NULL;
}

struct resolver *
resolver_new(const struct conf *conf, char *why, size_t why_room)
{
	return resolver_new_with(conf, RESOLV_CONF, why, why_room);
}

/* With the lock held: other servers, that are still to be tested. */
static struct resolver_shared *
begin_anew(struct resolver *resolver, struct resolver_shared *engine,
    const struct resolver_servers *servers)
{
	resolver->servers = *servers;
	resolver->server_lists++;
	resolver->health = RESOLVER_UNTESTED;
	resolver->why[0] = '\0';
	resolver_watch_start(&resolver->watch, clock_monotonic_ms());
	if (resolver_test_start(resolver) != 0)
		log_message(LOG_LEVEL_ERROR, "dns",
		    "cannot create a thread to test the DNS "
		    "servers");
	pthread_cond_broadcast(&resolver->changed);
	return resolver_switch(resolver, engine, RESOLVER_BY_SERVERS);
}

int
resolver_reload(struct resolver *resolver, const struct conf *conf, char *why, size_t why_room)
{
	struct resolver_anchors anchors = { .count = 0 };
	struct resolver_shared *engine = NULL, *retired = NULL;
	struct resolver_servers servers;
	struct buf setup = { 0 };
	bool changed;

	if (resolver_files_anchors(conf, &anchors, why, why_room) != 0 ||
	    resolver_files_servers(conf, resolver->resolv_conf, &servers, why, why_room) != 0)
		return -1;
	resolver_files_describe(conf, &servers, &setup);
	changed = strcmp(buf_text(&setup), buf_text(&resolver->setup)) != 0;
	if (changed)
		engine = resolver_shared_new(conf, &servers, RESOLVER_BY_SERVERS, false, why,
		    why_room);
	if (changed && engine == NULL) {
		buf_free(&setup);
		return -1;
	}
	pthread_mutex_lock(&resolver->lock);
	resolver->conf = conf;
	if (changed) {
		resolver->anchors = anchors;
		retired = begin_anew(resolver, engine, &servers);
	}
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(retired);
	buf_free(&resolver->setup);
	resolver->setup = setup;
	return 0;
}

void
resolver_forget(struct resolver *resolver)
{
	struct resolver_shared *engine = NULL, *retired = NULL;
	char why[200] = "stsgated stops";

	pthread_mutex_lock(&resolver->lock);
	if (!resolver->stop)
		engine = resolver_shared_new(resolver->conf, &resolver->servers, resolver->path,
		    false, why, sizeof(why));
	if (engine != NULL)
		retired = resolver_switch(resolver, engine, resolver->path);
	pthread_mutex_unlock(&resolver->lock);
	if (engine == NULL)
		log_message(LOG_LEVEL_ERROR, "dns", "cached answers are kept: %s", why);
	resolver_shared_free(retired);
}

void
resolver_cancel(struct resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->stop = true;
	resolver_shared_cancel(resolver->engine);
	resolver_shared_cancel(resolver->fresh);
	resolver_shared_cancel(resolver->probed);
	pthread_cond_broadcast(&resolver->changed);
	pthread_mutex_unlock(&resolver->lock);
}

void
resolver_free(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	resolver_cancel(resolver);
	if (resolver->testing)
		pthread_join(resolver->tester, NULL);
	resolver_shared_free(resolver_shared_release(resolver->engine));
	resolver_shared_free(resolver_shared_release(resolver->fresh));
	pthread_cond_destroy(&resolver->changed);
	pthread_mutex_destroy(&resolver->lock);
	buf_free(&resolver->setup);
	free(resolver);
}

/* With the lock held. A resolv.conf that is away or half written changes nothing. */
static struct resolver_shared *
follow_resolv_conf(struct resolver *resolver)
{
	struct resolver_servers servers;
	struct resolver_shared *engine;
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
	engine = resolver_shared_new(resolver->conf, &servers, RESOLVER_BY_SERVERS, false, why,
	    sizeof(why));
	if (engine == NULL) {
		log_message(LOG_LEVEL_ERROR, "dns", "the new %s is not used: %s",
		    resolver->resolv_conf, why);
		return NULL;
	}
	log_message(LOG_LEVEL_INFO, "dns", "%s has changed: asking %s", resolver->resolv_conf,
	    servers.at[0]);
	return begin_anew(resolver, engine, &servers);
}

/* With the lock held. An engine whose libunbound has stopped never answers again. */
static struct resolver_shared *
revive(struct resolver *resolver)
{
	struct resolver_shared *engine;
	char why[200] = "";
	int64_t at = clock_monotonic_ms();

	if (resolver->stop || at < resolver->next_revival_ms ||
	    !resolver_shared_is_dead(resolver->engine))
		return NULL;
	resolver->revival_ms *= 2;
	if (resolver->revival_ms == 0 || at - resolver->next_revival_ms >= REVIVED_MS)
		resolver->revival_ms = REVIVE_MS;
	else if (resolver->revival_ms > REVIVE_MOST_MS)
		resolver->revival_ms = REVIVE_MOST_MS;
	resolver->next_revival_ms = at + resolver->revival_ms;
	engine = resolver_shared_new(resolver->conf, &resolver->servers, resolver->path, false, why,
	    sizeof(why));
	if (engine == NULL) {
		log_message(LOG_LEVEL_ERROR, "dns", "no name can be resolved: %s", why);
		return NULL;
	}
	return resolver_switch(resolver, engine, resolver->path);
}

/* With the lock held, before a question. Returns an engine to free, or NULL. */
static struct resolver_shared *
renew(struct resolver *resolver)
{
	struct resolver_shared *retired = follow_resolv_conf(resolver);

	return retired != NULL ? retired : revive(resolver);
}

/* With the lock held, which is released meanwhile. */
static void
ask_shared(struct resolver *resolver, struct resolver_shared *shared, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	struct resolver_shared *retired;

	shared->users++;
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_ask(shared, arena, questions, count, deadline);
	for (size_t i = 0; i < count; i++)
		metrics_count(METRIC_DNS_LOOKUPS, dns_state_name(questions[i].answer.state), NULL);
	pthread_mutex_lock(&resolver->lock);
	retired = resolver_shared_release(shared);
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(retired);
	pthread_mutex_lock(&resolver->lock);
}

/* With the lock held. true: the answers should wait for the self-test. */
static bool
watch_answers(struct resolver *resolver, const struct dns_question *questions, size_t count)
{
	int64_t due_ms = resolver->watch.due_ms;
	bool waits = resolver_watch_answers(&resolver->watch, resolver->health, questions, count,
	    clock_monotonic_ms());

	if (waits || resolver->watch.due_ms != due_ms)
		pthread_cond_broadcast(&resolver->changed);
	return waits;
}

/* Repeats bogus questions at the engine that has replaced the earlier one. */
static void
ask_again(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	struct dns_question *again = arena_array(arena, count, sizeof(again[0]));
	size_t i, bogus = 0;

	for (i = 0; i < count; i++)
		if (questions[i].answer.state == DNS_BOGUS)
			again[bogus++] = (struct dns_question){ .name = questions[i].name,
				.type = questions[i].type };
	if (bogus == 0)
		return;
	ask_shared(resolver, resolver->engine, arena, again, bogus, deadline);
	bogus = 0;
	for (i = 0; i < count; i++)
		if (questions[i].answer.state == DNS_BOGUS)
			questions[i].answer = again[bogus++].answer;
}

void
resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	struct resolver_shared *retired;
	unsigned engines;

	pthread_mutex_lock(&resolver->lock);
	retired = renew(resolver);
	engines = resolver->engines;
	deadline = deadline_earlier(deadline, deadline_in(resolver->conf->dns.timeout));
	ask_shared(resolver, resolver->engine, arena, questions, count, deadline);
	if (engines == resolver->engines && watch_answers(resolver, questions, count))
		resolver_test_await(resolver, deadline);
	if (engines != resolver->engines)
		ask_again(resolver, arena, questions, count, deadline);
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(retired);
}

void
resolver_want(struct resolver *resolver, const char *name, enum dns_type type)
{
	struct resolver_shared *shared, *replaced, *retired;

	pthread_mutex_lock(&resolver->lock);
	replaced = renew(resolver);
	shared = resolver->engine;
	shared->users++;
	pthread_mutex_unlock(&resolver->lock);
	if (shared->answers == NULL ||
	    !resolver_answers_have(shared->answers, name, type, clock_monotonic_ms()))
		resolver_engine_want(shared->engine, name, type);
	pthread_mutex_lock(&resolver->lock);
	retired = resolver_shared_release(shared);
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(replaced);
	resolver_shared_free(retired);
}

/* With the lock held: an engine with nothing in its cache that is as old as interval_ms. */
static struct resolver_shared *
freshen(struct resolver *resolver, int64_t interval_ms)
{
	struct resolver_shared *old = resolver->fresh;
	char why[200];

	if (resolver->stop ||
	    (old != NULL && !resolver->fresh_is_stale && !resolver_shared_is_dead(old) &&
		clock_monotonic_ms() - old->made_ms < interval_ms))
		return NULL;
	resolver->fresh = resolver_shared_new(resolver->conf, &resolver->servers, resolver->path,
	    true, why, sizeof(why));
	resolver->fresh_is_stale = false;
	return resolver_shared_release(old);
}

void
resolver_ask_afresh(struct resolver *resolver, struct arena *arena, struct dns_question *question,
    int64_t interval_ms, struct deadline deadline)
{
	struct resolver_shared *asked, *retired;
	unsigned engines;

	pthread_mutex_lock(&resolver->lock);
	engines = resolver->engines;
	retired = freshen(resolver, interval_ms);
	asked = resolver->fresh != NULL ? resolver->fresh : resolver->engine;
	deadline = deadline_earlier(deadline, deadline_in(resolver->conf->dns.timeout));
	ask_shared(resolver, asked, arena, question, 1, deadline);
	/* An answer by a path of the past corrects nothing. */
	if (asked == resolver->fresh && engines == resolver->engines)
		resolver_answers_correct(resolver->engine->answers, question, clock_monotonic_ms());
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(retired);
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

int64_t
resolver_tested_ms_ago(struct resolver *resolver)
{
	int64_t ago_ms = -1;

	pthread_mutex_lock(&resolver->lock);
	if (resolver->health != RESOLVER_UNTESTED)
		ago_ms = clock_monotonic_ms() - resolver->watch.tested_ms;
	pthread_mutex_unlock(&resolver->lock);
	return ago_ms;
}

enum resolver_health
resolver_fault(struct resolver *resolver, char words[RESOLVER_FAULT_MAX])
{
	enum resolver_health health;

	pthread_mutex_lock(&resolver->lock);
	health = resolver->health;
	resolver_fault_words(health, resolver->servers.count > 0 ? resolver->servers.at[0] : NULL,
	    resolver->why, words);
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
