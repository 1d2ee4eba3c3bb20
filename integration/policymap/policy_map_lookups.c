/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/session.h"
#include "base/thread.h"
#include "integration/policymap/plan_map.h"
#include "integration/policymap/policy_map_lookups.h"

#define STACK	(256 * 1024)
#define BUCKETS	256	/* of domains */
#define LOOK_AT	4	/* old flights, for each that is joined */
#define KEEP_LEAST_MS	5000
#define KEEP_MOST_MS	(60 * 1000)
#define SLOW_MS	3000
#define KEEP_SLOW_MS	(15 * 60 * 1000)	/* an MTA comes again in five minutes or so */

enum phase { WAITING, FLYING, LANDED };

struct entry {
	struct flight flight;	/* first: what others see of it */
	struct arena *arena;
	struct domain domain;
	bool as_mta;
	enum phase phase;
	int64_t began_ms;	/* when it was requested */
	size_t users;	/* those who joined, and the thread that flies it */
	struct entry *next;	/* of its bucket */
	struct gatherer gatherer;	/* whose configuration the plan speaks of; unset: WAITING */
	struct entry *after;	/* in the queue of those that wait, or of those that have landed */
};

struct queue {
	struct entry *first, **last;
};

struct flights {
	struct gatherer gatherer;
	pthread_mutex_t lock;	/* for all below */
	pthread_cond_t landed, waiting_changed;
	struct entry *buckets[BUCKETS];
	struct queue waiting, landings;	/* each in the order in which they came there */
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

struct flights *
flights_new(const struct gatherer *gatherer)
{
	struct flights *flights = xcalloc(1, sizeof(*flights));

	flights->gatherer = *gatherer;
	queue_init(&flights->waiting);
	queue_init(&flights->landings);
	pthread_mutex_init(&flights->lock, NULL);
	thread_condition(&flights->landed);
	thread_condition(&flights->waiting_changed);
	return flights;
}

static struct entry **
bucket_of(struct flights *flights, const char *domain)
{
	unsigned hash = 5381;

	while (*domain != '\0')
		hash = hash * 33 + (unsigned char)*domain++;
	return &flights->buckets[hash % BUCKETS];
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
forget(struct flights *flights, struct entry *entry)
{
	struct entry **at = bucket_of(flights, entry->domain.name);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	flights->count--;
	release(entry);
}

/* The first that landed are looked at: those that stay longer go to the end, or, where there are
 * too many, go as well. With the lock held. */
static void
forget_old(struct flights *flights, int64_t now_ms)
{
	struct entry *entry;

	for (size_t i = 0; i < LOOK_AT && flights->landings.first != NULL; i++) {
		entry = queue_take(&flights->landings);
		if (entry->flight.until_ms <= now_ms || flights->count >= LIMIT_MAP_FLIGHTS)
			forget(flights, entry);
		else
			queue_add(&flights->landings, entry);
	}
}

static void
fly(struct entry *entry)
{
	const struct conf *conf = entry->gatherer.conf;
	struct facts *facts;

	entry->flight.plan = gather_plan(&entry->gatherer, entry->arena, entry->domain.name, NULL,
	    deadline_in(conf->sts.fetch_timeout + 3 * conf->dns.timeout), &facts);
	entry->flight.facts = facts;
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
end_of(const struct flight *flight, int64_t took_ms)
{
	const struct sts_facts *sts = &flight->facts->sts;
	int64_t left = (int64_t)flight->facts->ttl * 1000;

	if (left < KEEP_LEAST_MS)
		left = KEEP_LEAST_MS;
	if (left > KEEP_MOST_MS)
		left = KEEP_MOST_MS;
	if (took_ms >= SLOW_MS && is_certain(flight->facts))
		left = KEEP_SLOW_MS;
	if (sts->state == STS_VALID && (sts->expires - clock_wall_s()) * 1000 < left)
		left = (sts->expires - clock_wall_s()) * 1000;
	return clock_monotonic_ms() + left;
}

/* With the lock held. */
static void
land(struct flights *flights, struct entry *entry)
{
	entry->flight.until_ms = end_of(&entry->flight, clock_monotonic_ms() - entry->began_ms);
	entry->phase = LANDED;
	queue_add(&flights->landings, entry);
	pthread_cond_broadcast(&flights->landed);
}

/* With the lock held, which is released meanwhile. */
static void
take_off(struct flights *flights, struct entry *entry)
{
	/* In this order: a reload puts its configuration in force, and then counts as a change. */
	entry->flight.changes = *entry->flight.watched;
	entry->gatherer = gatherer_take(&flights->gatherer);
	entry->gatherer.skip_relay = entry->as_mta;
	entry->flight.gatherer = &entry->gatherer;
	entry->phase = FLYING;
	entry->users++;
	pthread_mutex_unlock(&flights->lock);
	fly(entry);
	pthread_mutex_lock(&flights->lock);
	land(flights, entry);
	release(entry);
}

static void
work(void *context)
{
	struct flights *flights = context;
	struct entry *entry;

	pthread_mutex_lock(&flights->lock);
	while (!flights->stopping) {
		entry = queue_take(&flights->waiting);
		if (entry != NULL) {
			flights->waiting_count--;
			take_off(flights, entry);
			continue;
		}
		flights->idle++;
		pthread_cond_wait(&flights->waiting_changed, &flights->lock);
		flights->idle--;
	}
	pthread_mutex_unlock(&flights->lock);
}

/* With the lock held. An idle thread that was called counts as idle until it runs. Without one
 * more, another takes the flight when it is free. */
static void
call_worker(struct flights *flights)
{
	struct worker *worker = NULL;

	if (flights->idle < flights->waiting_count && flights->worker_count < LIMIT_MAP_GATHERS)
		worker = worker_start(STACK, work, flights);
	if (worker != NULL)
		flights->workers[flights->worker_count++] = worker;
	pthread_cond_signal(&flights->waiting_changed);
}

static bool
may_share(const struct entry *entry, const struct conf *in_force, int64_t now_ms)
{
	switch (entry->phase) {
	case WAITING:
		return true;
	case FLYING:
		return entry->gatherer.conf == in_force;
	case LANDED:
		break;
	}
	return entry->gatherer.conf == in_force && entry->flight.until_ms > now_ms &&
	    entry->flight.changes == *entry->flight.watched;
}

/* With the lock held. */
static struct entry *
find(struct flights *flights, const char *domain, bool as_mta, int64_t now_ms)
{
	struct gatherer gatherer = gatherer_take(&flights->gatherer);
	struct entry *entry;

	for (entry = *bucket_of(flights, domain); entry != NULL; entry = entry->next)
		if (entry->as_mta == as_mta && strcmp(entry->domain.name, domain) == 0 &&
		    may_share(entry, gatherer.conf, now_ms))
			break;
	gatherer_give(&gatherer);
	return entry;
}

/* With the lock held. */
static struct entry *
start(struct flights *flights, const char *domain, bool as_mta)
{
	struct entry **bucket = bucket_of(flights, domain);
	struct entry *entry = xcalloc(1, sizeof(*entry));

	entry->arena = arena_new();
	memcpy(entry->domain.name, domain, strlen(domain) + 1);
	entry->flight.watched = sts_cache_changes(flights->gatherer.sts_cache, domain);
	entry->as_mta = as_mta;
	entry->began_ms = clock_monotonic_ms();
	entry->users = 1;
	entry->next = *bucket;
	*bucket = entry;
	flights->count++;
	queue_add(&flights->waiting, entry);
	flights->waiting_count++;
	call_worker(flights);
	return entry;
}

struct flight *
flights_join(struct flights *flights, const char *domain, bool as_mta)
{
	int64_t now_ms = clock_monotonic_ms();
	struct entry *entry;

	pthread_mutex_lock(&flights->lock);
	forget_old(flights, now_ms);
	entry = find(flights, domain, as_mta, now_ms);
	if (entry == NULL && !flights->stopping && flights->count < LIMIT_MAP_FLIGHTS)
		entry = start(flights, domain, as_mta);
	if (entry != NULL)
		entry->users++;
	pthread_mutex_unlock(&flights->lock);
	return entry != NULL ? &entry->flight : NULL;
}

bool
flight_wait(struct flights *flights, struct flight *flight, struct deadline deadline)
{
	struct entry *entry = (struct entry *)flight;
	struct timespec at = deadline_timespec(deadline);
	int error = deadline.at_ms == 0;
	bool landed;

	pthread_mutex_lock(&flights->lock);
	while (entry->phase != LANDED && error == 0 && !flights->stopping)
		error = pthread_cond_timedwait(&flights->landed, &flights->lock, &at);
	landed = entry->phase == LANDED;
	pthread_mutex_unlock(&flights->lock);
	return landed;
}

void
flight_leave(struct flights *flights, struct flight *flight)
{
	pthread_mutex_lock(&flights->lock);
	release((struct entry *)flight);
	pthread_mutex_unlock(&flights->lock);
}

void
flights_stop(struct flights *flights)
{
	size_t i;

	pthread_mutex_lock(&flights->lock);
	flights->stopping = true;
	pthread_cond_broadcast(&flights->waiting_changed);
	pthread_cond_broadcast(&flights->landed);
	pthread_mutex_unlock(&flights->lock);
	for (i = 0; i < flights->worker_count; i++)
		worker_join(flights->workers[i]);
	flights->worker_count = 0;
}

void
flights_free(struct flights *flights)
{
	struct entry *entry, *next;

	for (size_t i = 0; i < BUCKETS; i++)
		for (entry = flights->buckets[i]; entry != NULL; entry = next) {
			next = entry->next;
			release(entry);
		}
	pthread_cond_destroy(&flights->landed);
	pthread_cond_destroy(&flights->waiting_changed);
	pthread_mutex_destroy(&flights->lock);
	free(flights);
}
