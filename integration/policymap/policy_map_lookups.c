/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/thread.h"
#include "base/worker.h"
#include "integration/policymap/plan_map.h"
#include "integration/policymap/policy_map_lookups.h"

#define STACK	(256 * 1024)
#define BUCKETS	256	/* of domains */
#define LOOK_AT	4	/* old look-ups, for each that is joined */
#define KEEP_LEAST_MS	5000
#define KEEP_MOST_MS	(60 * 1000)
#define SLOW_MS	3000
#define KEEP_SLOW_MS	(15 * 60 * 1000)	/* an MTA comes again in five minutes or so */

enum phase { WAITING, GATHERING, DONE };

struct entry {
	struct policy_map_lookup lookup;	/* first: what others see of it */
	struct arena *arena;
	struct domain domain;
	bool as_mta;
	enum phase phase;
	int64_t began_ms;	/* when it was requested */
	size_t users;	/* those who joined, and the thread that flies it */
	struct entry *next;	/* of its bucket */
	struct gatherer gatherer;	/* whose configuration the plan speaks of; unset: WAITING */
	struct entry *after;	/* in the queue of those that wait, or of those that have done */
};

struct queue {
	struct entry *first, **last;
};

struct policy_map_lookups {
	struct gatherer gatherer;
	pthread_mutex_t lock;	/* for all below */
	pthread_cond_t done, waiting_changed;
	struct entry *buckets[BUCKETS];
	struct queue waiting, finished;	/* each in the order in which they came there */
	size_t waiting_count;
	size_t count;	/* in the buckets */
	struct worker *workers[LIMIT_MAP_GATHERS];
	size_t worker_count, idle;
	bool stopping;
};

static void
queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void
queue_add(struct queue *queue, struct entry *entry)
{
	entry->after = NULL;
	*queue->last = entry;
	queue->last = &entry->after;
}

static struct entry *
queue_take(struct queue *queue)
{
	struct entry *entry = queue->first;

	if (entry == NULL)
		return NULL;
	queue->first = entry->after;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return entry;
}

struct policy_map_lookups *
policy_map_lookups_new(const struct gatherer *gatherer)
{
	struct policy_map_lookups *lookups = xcalloc(1, sizeof(*lookups));

	lookups->gatherer = *gatherer;
	queue_init(&lookups->waiting);
	queue_init(&lookups->finished);
	pthread_mutex_init(&lookups->lock, NULL);
	thread_condition(&lookups->done);
	thread_condition(&lookups->waiting_changed);
	return lookups;
}

static struct entry **
bucket_of(struct policy_map_lookups *lookups, const char *domain)
{
	return &lookups->buckets[hash_text(domain) % BUCKETS];
}

static void
release(struct entry *entry)
{
	if (--entry->users > 0)
		return;
	arena_free(entry->arena);
	if (entry->phase != WAITING)
		gatherer_give(&entry->gatherer);
	free(entry);
}

/* It can no longer be found; those that have joined keep it. With the lock held. */
static void
forget(struct policy_map_lookups *lookups, struct entry *entry)
{
	struct entry **at = bucket_of(lookups, entry->domain.name);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	lookups->count--;
	release(entry);
}

/* The first that done are looked at: those that stay longer go to the end, or, where there are
 * too many, go as well. With the lock held. */
static void
forget_old(struct policy_map_lookups *lookups, int64_t now_ms)
{
	struct entry *entry;

	for (size_t i = 0; i < LOOK_AT && lookups->finished.first != NULL; i++) {
		entry = queue_take(&lookups->finished);
		if (entry->lookup.until_ms <= now_ms || lookups->count >= LIMIT_MAP_LOOKUPS)
			forget(lookups, entry);
		else
			queue_add(&lookups->finished, entry);
	}
}

static void
gather(struct entry *entry)
{
	const struct conf *conf = entry->gatherer.conf;
	struct facts *facts;

	entry->lookup.plan = gather_plan(&entry->gatherer, entry->arena, entry->domain.name, NULL,
	    deadline_in(conf->sts.fetch_timeout + 3 * conf->dns.timeout), &facts);
	entry->lookup.facts = facts;
}

/* Is there nothing that a look-up might find in a moment? */
static bool
is_certain(const struct facts *facts)
{
	for (size_t i = 0; i < facts->host_count; i++)
		if (plan_map_hides_tlsa(&facts->hosts[i]))
			return false;
	return facts->mx != MX_UNKNOWN &&
	    (facts->sts.state == STS_VALID || facts->sts.state == STS_NONE ||
		facts->sts.state == STS_NOT_ASKED);
}

/* An MTA asks several times for one delivery, and the DNS would say the same for as long as its
 * TTLs last. A result that took longer than an MTA waits is kept until the MTA asks again:
 * otherwise it would be late each time. No result is kept beyond the end of its policy. */
static int64_t
end_of(const struct policy_map_lookup *lookup, int64_t took_ms)
{
	const struct sts_facts *sts = &lookup->facts->sts;
	int64_t left = (int64_t)lookup->facts->ttl * 1000;

	if (left < KEEP_LEAST_MS)
		left = KEEP_LEAST_MS;
	if (left > KEEP_MOST_MS)
		left = KEEP_MOST_MS;
	if (took_ms >= SLOW_MS && is_certain(lookup->facts))
		left = KEEP_SLOW_MS;
	if (sts->state == STS_VALID && (sts->expires - clock_wall_s()) * 1000 < left)
		left = (sts->expires - clock_wall_s()) * 1000;
	return clock_monotonic_ms() + left;
}

/* With the lock held. */
static void
finish(struct policy_map_lookups *lookups, struct entry *entry)
{
	entry->lookup.until_ms = end_of(&entry->lookup, clock_monotonic_ms() - entry->began_ms);
	entry->phase = DONE;
	queue_add(&lookups->finished, entry);
	pthread_cond_broadcast(&lookups->done);
}

/* With the lock held, which is released meanwhile. */
static void
run(struct policy_map_lookups *lookups, struct entry *entry)
{
	/* In this order: a reload puts its configuration in force, and then counts as a change. */
	entry->lookup.changes = *entry->lookup.watched;
	entry->gatherer = gatherer_take(&lookups->gatherer);
	entry->gatherer.skip_relay = entry->as_mta;
	entry->lookup.gatherer = &entry->gatherer;
	entry->phase = GATHERING;
	entry->users++;
	pthread_mutex_unlock(&lookups->lock);
	gather(entry);
	pthread_mutex_lock(&lookups->lock);
	finish(lookups, entry);
	release(entry);
}

static void
work(void *context)
{
	struct policy_map_lookups *lookups = context;
	struct entry *entry;

	pthread_mutex_lock(&lookups->lock);
	while (!lookups->stopping) {
		entry = queue_take(&lookups->waiting);
		if (entry != NULL) {
			lookups->waiting_count--;
			run(lookups, entry);
			continue;
		}
		lookups->idle++;
		pthread_cond_wait(&lookups->waiting_changed, &lookups->lock);
		lookups->idle--;
	}
	pthread_mutex_unlock(&lookups->lock);
}

/* With the lock held. An idle thread that was called counts as idle until it runs. Without one
 * more, another takes the look-up when it is free. */
static void
call_worker(struct policy_map_lookups *lookups)
{
	struct worker *worker = NULL;

	if (lookups->idle < lookups->waiting_count && lookups->worker_count < LIMIT_MAP_GATHERS)
		worker = worker_start(STACK, work, lookups);
	if (worker != NULL)
		lookups->workers[lookups->worker_count++] = worker;
	pthread_cond_signal(&lookups->waiting_changed);
}

static bool
may_share(const struct entry *entry, const struct conf *in_force, int64_t now_ms)
{
	switch (entry->phase) {
	case WAITING:
		return true;
	case GATHERING:
		return entry->gatherer.conf == in_force;
	case DONE:
		break;
	}
	return entry->gatherer.conf == in_force && entry->lookup.until_ms > now_ms &&
	    entry->lookup.changes == *entry->lookup.watched;
}

/* With the lock held. */
static struct entry *
find(struct policy_map_lookups *lookups, const char *domain, bool as_mta, int64_t now_ms)
{
	struct gatherer gatherer = gatherer_take(&lookups->gatherer);
	struct entry *entry;

	for (entry = *bucket_of(lookups, domain); entry != NULL; entry = entry->next)
		if (entry->as_mta == as_mta && strcmp(entry->domain.name, domain) == 0 &&
		    may_share(entry, gatherer.conf, now_ms))
			break;
	gatherer_give(&gatherer);
	return entry;
}

/* With the lock held. */
static struct entry *
start(struct policy_map_lookups *lookups, const char *domain, bool as_mta)
{
	struct entry **bucket = bucket_of(lookups, domain);
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->arena = arena_new();
	memcpy(entry->domain.name, domain, strlen(domain) + 1);
	entry->lookup.watched = sts_cache_changes(lookups->gatherer.sts_cache, domain);
	entry->as_mta = as_mta;
	entry->began_ms = clock_monotonic_ms();
	entry->users = 1;
	entry->next = *bucket;
	*bucket = entry;
	lookups->count++;
	queue_add(&lookups->waiting, entry);
	lookups->waiting_count++;
	call_worker(lookups);
	return entry;
}

struct policy_map_lookup *
policy_map_lookups_join(struct policy_map_lookups *lookups, const char *domain, bool as_mta)
{
	int64_t now_ms = clock_monotonic_ms();
	struct entry *entry;

	pthread_mutex_lock(&lookups->lock);
	forget_old(lookups, now_ms);
	entry = find(lookups, domain, as_mta, now_ms);
	if (entry == NULL && !lookups->stopping && lookups->count < LIMIT_MAP_LOOKUPS)
		entry = start(lookups, domain, as_mta);
	if (entry != NULL)
		entry->users++;
	pthread_mutex_unlock(&lookups->lock);
	return entry != NULL ? &entry->lookup : NULL;
}

bool
policy_map_lookup_wait(struct policy_map_lookups *lookups, struct policy_map_lookup *lookup,
    struct deadline deadline)
{
	struct entry *entry = (struct entry *)lookup;
	struct timespec at = deadline_timespec(deadline);
	int error = deadline.at_ms == 0;
	bool done;

	pthread_mutex_lock(&lookups->lock);
	while (entry->phase != DONE && error == 0 && !lookups->stopping)
		error = pthread_cond_timedwait(&lookups->done, &lookups->lock, &at);
	done = entry->phase == DONE;
	pthread_mutex_unlock(&lookups->lock);
	return done;
}

void
policy_map_lookup_leave(struct policy_map_lookups *lookups, struct policy_map_lookup *lookup)
{
	pthread_mutex_lock(&lookups->lock);
	release((struct entry *)lookup);
	pthread_mutex_unlock(&lookups->lock);
}

void
policy_map_lookups_join_threads(struct policy_map_lookups *lookups)
{
	size_t i;

	pthread_mutex_lock(&lookups->lock);
	lookups->stopping = true;
	pthread_cond_broadcast(&lookups->waiting_changed);
	pthread_cond_broadcast(&lookups->done);
	pthread_mutex_unlock(&lookups->lock);
	for (i = 0; i < lookups->worker_count; i++)
		worker_join(lookups->workers[i]);
	lookups->worker_count = 0;
}

void
policy_map_lookups_free(struct policy_map_lookups *lookups)
{
	struct entry *entry, *next;

	for (size_t i = 0; i < BUCKETS; i++)
		for (entry = lookups->buckets[i]; entry != NULL; entry = next) {
			next = entry->next;
			release(entry);
		}
	pthread_cond_destroy(&lookups->done);
	pthread_cond_destroy(&lookups->waiting_changed);
	pthread_mutex_destroy(&lookups->lock);
	free(lookups);
}
