/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The self-test of a resolver: do answers of the configured servers validate, and if not, those
 * from the root? It is made with engines of its own, since one that answers remembers for a
 * minute which keys did not validate, and for hours which did. When look-ups failed in a row and a
 * fresh engine validates, the engine that answers is tested too: libunbound can stop answering
 * after it was refused memory.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alarm.h"
#include "base/log.h"
#include "base/thread.h"
#include "policy/dns/resolver_inside.h"

#define TESTER_STACK	(256 * 1024)

enum probe_result {
	PROBE_GOOD,
	PROBE_BOGUS,
	PROBE_SILENT,
	PROBE_NONE	/* it could not be made, or could not ask */
};

/* Of one self-test. */
struct findings {
	unsigned server_lists, engines;	/* that the resolver had when it began */
	enum probe_result servers, around;	/* fresh engines */
	bool stale;	/* the engine that answers remembers bogus keys, or does not answer */
	char why[DNS_WHY_MAX];
};

/*
 * The zone of each trust anchor is asked for its SOA, which can be secure only when signatures come
 * through and the key is the right one, and for a name that it hardly has. A denial needs records
 * that are dropped more often: systemd-resolved, with DNSSEC=no, passes on the proof of existing
 * names, but not of absent ones.
 */
static void
list_questions(struct arena *arena, const struct resolver_anchors *anchors,
    struct dns_question *questions)
{
	for (size_t i = 0; i < anchors->count; i++) {
		const char *zone = anchors->at[i];

		questions[2 * i] = (struct dns_question){ .name = zone, .type = DNS_SOA };
		questions[2 * i + 1] = (struct dns_question){ .type = DNS_TXT,
			.name = arena_printf(arena, "stsgate-self-test.%s",
			    strcmp(zone, ".") == 0 ? "" : zone) };
	}
}

static enum probe_result
probe_engine(struct resolver_engine *engine, const struct resolver_anchors *anchors,
    int64_t timeout_ms, char why[DNS_WHY_MAX])
{
	struct dns_question questions[2 * RESOLVER_ANCHORS_MAX] = { 0 };
	struct arena *arena = arena_new();
	enum probe_result result = PROBE_GOOD;

	list_questions(arena, anchors, questions);
	resolver_engine_ask(engine, arena, questions, 2 * anchors->count, deadline_in(timeout_ms));
	for (size_t i = 0; i < 2 * anchors->count && result != PROBE_BOGUS; i++) {
		const struct dns_answer *answer = &questions[i].answer;

		if (answer->state == DNS_BOGUS)
			result = PROBE_BOGUS;
		else if (answer->state == DNS_FAILED && questions[i].type == DNS_SOA)
			result = answer->not_asked ? PROBE_NONE : PROBE_SILENT;
		else
			continue;
		snprintf(why, DNS_WHY_MAX, "%s", answer->why);
	}
	arena_free(arena);
	return result;
}

/* With the lock held, which is given up meanwhile. shared is released. */
static enum probe_result
probe(struct resolver *resolver, struct resolver_shared *shared, char why[DNS_WHY_MAX])
{
	struct resolver_anchors *anchors = xmalloc(sizeof(*anchors));
	int64_t timeout_ms = resolver->conf->dns.timeout;
	enum probe_result result;

	*anchors = resolver->anchors;
	resolver->probed = shared;
	if (resolver->stop)
		resolver_shared_cancel(shared);
	pthread_mutex_unlock(&resolver->lock);
	result = probe_engine(shared->engine, anchors, timeout_ms, why);
	free(anchors);
	pthread_mutex_lock(&resolver->lock);
	resolver->probed = NULL;
	shared = resolver_shared_release(shared);
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(shared);
	pthread_mutex_lock(&resolver->lock);
	return result;
}

/* As probe(), of an engine that remembers nothing. */
static enum probe_result
probe_path(struct resolver *resolver, enum resolver_path path, char why[DNS_WHY_MAX])
{
	struct resolver_shared *shared = resolver_shared_new(resolver->conf, &resolver->servers,
	    path, true, why, DNS_WHY_MAX);

	return shared != NULL ? probe(resolver, shared, why) : PROBE_NONE;
}

/* With the lock held, which is given up meanwhile. */
static void
find(struct resolver *resolver, struct findings *findings)
{
	char why[DNS_WHY_MAX] = "";
	bool good, doubted = resolver_watch_doubts_engine(&resolver->watch);
	enum probe_result answering;

	*findings = (struct findings){ .server_lists = resolver->server_lists,
		.engines = resolver->engines,
		.around = PROBE_NONE };
	findings->servers = probe_path(resolver, RESOLVER_BY_SERVERS, findings->why);
	if (resolver->conf->dns.mode != DNS_MODE_RECURSE &&
	    (findings->servers == PROBE_BOGUS ||
		(findings->servers == PROBE_SILENT && resolver->path == RESOLVER_AROUND)))
		findings->around = probe_path(resolver, RESOLVER_AROUND, why);
	good = findings->servers == PROBE_GOOD
	    ? resolver->path == RESOLVER_BY_SERVERS
	    : findings->around == PROBE_GOOD && resolver->path == RESOLVER_AROUND;
	if (good && (doubted || resolver->watch.bogus > 0)) {
		resolver->engine->users++;
		answering = probe(resolver, resolver->engine, why);
		findings->stale = answering == PROBE_BOGUS || (doubted && answering != PROBE_GOOD);
	}
}

static void
log_health(const struct resolver *resolver)
{
	struct log_line line;

	log_begin(&line,
	    resolver->health == RESOLVER_VALIDATES ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "dns");
	log_text(&line, "health", resolver_health_name(resolver->health));
	log_text(&line, "servers", resolver->servers.count > 0 ? resolver->servers.at[0] : "root");
	log_text(&line, "reason", resolver->why[0] != '\0' ? resolver->why : NULL);
	log_end(&line);
}

/* The effect on mail, and the remedy; NULL: no fault. */
static const char *
alarm_text(enum resolver_health health)
{
	switch (health) {
	case RESOLVER_BROKEN:
		return "no DNS answer can be validated: all mail waits, for unsigned domains too, "
		       "except for names below dns.insecure. The DNS servers drop DNSSEC "
		       "records, the trust anchor is out of date, or the clock is wrong. "
		       "Let the servers pass DNSSEC records, or set dns.mode to recurse and open "
		       "port 53";
	case RESOLVER_RECURSES:
		return "the answers of the configured DNS servers cannot be validated, so "
		       "stsgated resolves from the root until they can; names below dns.insecure "
		       "are still looked up at the servers, and mail for other names that "
		       "exist only there waits. Let the servers pass DNSSEC records, or set "
		       "dns.mode to recurse";
	case RESOLVER_SILENT:
		return "the DNS servers do not answer, or only with failures: all mail waits";
	case RESOLVER_VALIDATES:
	case RESOLVER_UNTESTED:
	case RESOLVER_UNANCHORED:
		break;
	}
	return NULL;
}

static void
set_health(struct resolver *resolver, enum resolver_health health, const char *why)
{
	const char *text = alarm_text(health);
	bool news = resolver->health != health;

	resolver->health = health;
	snprintf(resolver->why, sizeof(resolver->why), "%s", why);
	if (!news)
		return;
	log_health(resolver);
	alarm_end(ALARM_RESOLVER, "", "%s",
	    text == NULL ? "DNS answers validate" : "something else is wrong now");
	if (text != NULL)
		alarm_begin(ALARM_RESOLVER, "", "%s (%s: %s)", text,
		    resolver->servers.count > 0 ? resolver->servers.at[0] : "root", why);
}

/* With the lock held: by this path, and by an engine that answers and remembers nothing bogus.
 * retired is to be freed. false: it cannot be made, and all stays as it is. */
static bool
take_path(struct resolver *resolver, const struct findings *findings, enum resolver_path path,
    struct resolver_shared **retired)
{
	struct resolver_shared *engine;
	char why[200] = "";

	if (path == resolver->path && !(findings->stale && resolver->engines == findings->engines))
		return true;
	engine = resolver_shared_new(resolver->conf, &resolver->servers, path, false, why,
	    sizeof(why));
	if (engine == NULL) {
		log_message(LOG_LEVEL_ERROR, "dns", "the resolver is unchanged: %s", why);
		return false;
	}
	*retired = resolver_switch(resolver, engine, path);
	return true;
}

static enum resolver_health
judge(const struct resolver *resolver, const struct findings *findings)
{
	switch (findings->servers) {
	case PROBE_GOOD:
		return RESOLVER_VALIDATES;
	case PROBE_BOGUS:
		return findings->around == PROBE_GOOD ? RESOLVER_RECURSES : RESOLVER_BROKEN;
	case PROBE_SILENT:
		return findings->around == PROBE_GOOD ? RESOLVER_RECURSES : RESOLVER_SILENT;
	case PROBE_NONE:
		break;
	}
	return resolver->health;
}

/* With the lock held. Gives what is to be freed. */
static struct resolver_shared *
conclude(struct resolver *resolver, struct findings *findings)
{
	struct resolver_shared *retired = NULL;
	enum resolver_health health = judge(resolver, findings);
	enum resolver_path path = health == RESOLVER_RECURSES ? RESOLVER_AROUND
							      : RESOLVER_BY_SERVERS;

	/* The servers have changed meanwhile: the new ones are still to be tested. */
	if (resolver->stop || resolver->server_lists != findings->server_lists)
		return NULL;
	if (findings->servers != PROBE_NONE && take_path(resolver, findings, path, &retired))
		set_health(resolver, health, health == RESOLVER_VALIDATES ? "" : findings->why);
	else
		health = RESOLVER_UNTESTED;	/* to be tested again soon */
	resolver_watch_tested(&resolver->watch, health, clock_monotonic_ms());
	resolver->tests++;
	pthread_cond_broadcast(&resolver->changed);
	return retired;
}

/* With the lock held, which is given up meanwhile. */
static void
run_test(struct resolver *resolver)
{
	struct resolver_shared *retired;
	struct findings findings;

	find(resolver, &findings);
	retired = conclude(resolver, &findings);
	pthread_mutex_unlock(&resolver->lock);
	resolver_shared_free(retired);
	pthread_mutex_lock(&resolver->lock);
}

static void *
tester_run(void *context)
{
	struct resolver *resolver = context;

	pthread_mutex_lock(&resolver->lock);
	while (!resolver->stop) {
		int64_t due_ms = resolver->watch.due_ms;
		struct timespec until = deadline_timespec((struct deadline){ due_ms });

		if (due_ms <= clock_monotonic_ms())
			run_test(resolver);
		else if (due_ms == INT64_MAX)
			pthread_cond_wait(&resolver->changed, &resolver->lock);
		else
			pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until);
	}
	pthread_mutex_unlock(&resolver->lock);
	return NULL;
}

int
resolver_test_start(struct resolver *resolver)
{
	int error = 0;

	if (resolver->anchors.count == 0) {
		resolver->health = RESOLVER_UNANCHORED;
		alarm_end(ALARM_RESOLVER, "", "without dns.trust-anchor nothing is validated");
		resolver_watch_stop(&resolver->watch);
		return 0;
	}
	if (!resolver->testing)
		error = thread_start(&resolver->tester, TESTER_STACK, tester_run, resolver);
	resolver->testing = resolver->testing || error == 0;
	return error;
}

void
resolver_test_await(struct resolver *resolver, struct deadline deadline)
{
	struct timespec until = deadline_timespec(deadline);

	while (resolver->testing && !resolver->stop && !deadline_passed(deadline) &&
	    resolver->watch.due_ms <= clock_monotonic_ms())
		pthread_cond_timedwait(&resolver->changed, &resolver->lock, &until);
}
