/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/stream.h"
#include "base/thread.h"
#include "shim/smtp/conn_cache.h"

#define BUCKETS	1024
#define END_MS	500	/* for a host to hang up after QUIT, where it counts */
#define REAPER_STACK	(256 * 1024)
#define REAP_EVERY_MS	100	/* at most: those that end together are closed together */

struct idle {
	LIST_ENTRY(idle) in_bucket;
	TAILQ_ENTRY(idle) in_age;
	char *key, *domain;
	struct ip ip;
	int64_t until_ms;	/* monotonic */
	struct kept kept;
};

LIST_HEAD(bucket, idle);
TAILQ_HEAD(ages, idle);

struct conn_cache {
	pthread_mutex_t lock;
	pthread_cond_t changed;	/* for the reaper */
	pthread_t reaper;
	struct conn_cache_rules rules;
	struct conn_limit *limit;
	struct bucket buckets[BUCKETS];	/* used last comes first */
	struct ages ages;	/* idle longest comes first */
	int64_t wake_ms;	/* when the reaper wakes by itself; INT64_MAX: never */
	bool stopping;
};

void
conn_cache_close(struct kept *kept)
{
	smtp_client_quit(&kept->client);
	stream_free(kept->client.stream);
	kept->client.stream = NULL;
}

static struct bucket *
bucket_of(struct conn_cache *cache, const char *key)
{
	return &cache->buckets[hash_text(key) % BUCKETS];
}

/* Out of the pool; the caller holds the lock and disposes of it. */
static void
detach(struct conn_cache *cache, struct idle *idle)
{
	LIST_REMOVE(idle, in_bucket);
	TAILQ_REMOVE(&cache->ages, idle, in_age);
	conn_limit_unpark(cache->limit, &idle->ip, idle->domain);
}

static void
idle_free(struct idle *idle)
{
	free(idle->key);
	free(idle->domain);
	free(idle);
}

/* Until the host has hung up, or is slow to do so: one that counts our connections counts this one
 * so long. */
static void
hear_the_end(struct kept *kept, struct deadline deadline)
{
	enum stream_status status = STREAM_OK;
	char line[LIMIT_SMTP_REPLY_LINE + 1];
	size_t length;

	smtp_client_quit(&kept->client);
	while (status == STREAM_OK)
		status = stream_read_line(kept->client.stream, line, sizeof(line), &length,
		    deadline);
}

/* Without the lock: saying good-bye may take a moment. */
static void
close_all(struct ages *doomed, bool hear)
{
	struct deadline deadline = deadline_in(END_MS);
	struct idle *idle;

	while ((idle = TAILQ_FIRST(doomed)) != NULL) {
		TAILQ_REMOVE(doomed, idle, in_age);
		if (hear)
			hear_the_end(&idle->kept, deadline);
		conn_cache_close(&idle->kept);
		idle_free(idle);
	}
}

static void
doom(struct conn_cache *cache, struct idle *idle, struct ages *doomed)
{
	detach(cache, idle);
	TAILQ_INSERT_TAIL(doomed, idle, in_age);
}

/* Moves what has ended to doomed. When does the next one end? INT64_MAX: there is none. */
static int64_t
reap(struct conn_cache *cache, int64_t now_ms, struct ages *doomed)
{
	struct idle *idle = TAILQ_FIRST(&cache->ages), *next;
	int64_t earliest = INT64_MAX;

	for (; idle != NULL; idle = next) {
		next = TAILQ_NEXT(idle, in_age);
		if (cache->stopping || idle->until_ms <= now_ms)
			doom(cache, idle, doomed);
		else if (idle->until_ms < earliest)
			earliest = idle->until_ms;
	}
	return earliest;
}

static void
await_change(struct conn_cache *cache, int64_t earliest)
{
	struct deadline next = deadline_in(REAP_EVERY_MS);
	struct timespec until;

	cache->wake_ms = next.at_ms > earliest ? next.at_ms : earliest;
	if (earliest == INT64_MAX) {
		pthread_cond_wait(&cache->changed, &cache->lock);
		return;
	}
	next.at_ms = cache->wake_ms;
	until = deadline_timespec(next);
	pthread_cond_timedwait(&cache->changed, &cache->lock, &until);
}

static void *
reaper_run(void *context)
{
	struct conn_cache *cache = context;
	struct ages doomed = TAILQ_HEAD_INITIALIZER(doomed);
	int64_t earliest;

	pthread_mutex_lock(&cache->lock);
	while (!cache->stopping) {
		earliest = reap(cache, clock_monotonic_ms(), &doomed);
		if (TAILQ_EMPTY(&doomed)) {
			await_change(cache, earliest);
			continue;
		}
		pthread_mutex_unlock(&cache->lock);
		close_all(&doomed, false);
		pthread_mutex_lock(&cache->lock);
	}
	pthread_mutex_unlock(&cache->lock);
	return NULL;
}

struct conn_cache *
conn_cache_new(const struct conn_cache_rules *rules, struct conn_limit *limit)
{
	struct conn_cache *cache = xcalloc(1, sizeof(*cache));

	pthread_mutex_init(&cache->lock, NULL);
	thread_condition(&cache->changed);
	cache->rules = *rules;
	cache->limit = limit;
	TAILQ_INIT(&cache->ages);
	if (thread_start(&cache->reaper, REAPER_STACK, reaper_run, cache) != 0)
		abort();
	return cache;
}

void
conn_cache_clear(struct conn_cache *cache)
{
	struct ages doomed = TAILQ_HEAD_INITIALIZER(doomed);

	pthread_mutex_lock(&cache->lock);
	(void)reap(cache, INT64_MAX, &doomed);
	pthread_mutex_unlock(&cache->lock);
	close_all(&doomed, false);
}

void
conn_cache_set_rules(struct conn_cache *cache, const struct conn_cache_rules *rules)
{
	pthread_mutex_lock(&cache->lock);
	cache->rules = *rules;
	pthread_mutex_unlock(&cache->lock);
}

void
conn_cache_stop(struct conn_cache *cache)
{
	struct ages doomed = TAILQ_HEAD_INITIALIZER(doomed);

	pthread_mutex_lock(&cache->lock);
	cache->stopping = true;
	(void)reap(cache, clock_monotonic_ms(), &doomed);
	pthread_cond_signal(&cache->changed);
	pthread_mutex_unlock(&cache->lock);
	close_all(&doomed, false);
}

void
conn_cache_free(struct conn_cache *cache)
{
	if (cache == NULL)
		return;
	conn_cache_stop(cache);
	pthread_join(cache->reaper, NULL);
	pthread_cond_destroy(&cache->changed);
	pthread_mutex_destroy(&cache->lock);
	free(cache);
}

static struct idle *
idle_new(const struct conn_cache_rules *rules, const char *key, const struct ip *ip,
    const char *domain, const struct kept *kept)
{
	struct idle *idle = xcalloc(1, sizeof(*idle));
	int64_t idle_until = clock_monotonic_ms() + rules->idle_ms;
	int64_t time_until = kept->dialled_ms + rules->time_ms;

	idle->key = xstrdup(key);
	idle->domain = xstrdup(domain);
	idle->ip = *ip;
	idle->kept = *kept;
	idle->until_ms = idle_until < time_until ? idle_until : time_until;
	return idle;
}

bool
conn_cache_put(struct conn_cache *cache, const char *key, const struct ip *ip, const char *domain,
    const struct kept *kept)
{
	struct conn_cache_rules rules;
	struct idle *idle;
	bool stopping;

	pthread_mutex_lock(&cache->lock);
	rules = cache->rules;
	pthread_mutex_unlock(&cache->lock);
	if (rules.idle_ms == 0 || kept->messages >= rules.messages ||
	    clock_monotonic_ms() - kept->dialled_ms >= rules.time_ms)
		return false;
	idle = idle_new(&rules, key, ip, domain, kept);
	pthread_mutex_lock(&cache->lock);
	stopping = cache->stopping;
	if (!stopping) {
		LIST_INSERT_HEAD(bucket_of(cache, key), idle, in_bucket);
		TAILQ_INSERT_TAIL(&cache->ages, idle, in_age);
		conn_limit_park(cache->limit, ip, domain);
		if (idle->until_ms < cache->wake_ms)
			pthread_cond_signal(&cache->changed);
	}
	pthread_mutex_unlock(&cache->lock);
	if (stopping)
		idle_free(idle);
	return !stopping;
}

/* A host sends nothing without a command: any input is its good-bye. */
static bool
is_quiet(const struct kept *kept)
{
	struct pollfd ready = { .fd = stream_fd(kept->client.stream), .events = POLLIN };

	return !stream_has_input(kept->client.stream) && poll(&ready, 1, 0) == 0;
}

static struct idle *
find(struct conn_cache *cache, const char *key)
{
	struct idle *idle;

	LIST_FOREACH (idle, bucket_of(cache, key), in_bucket)
		if (strcmp(idle->key, key) == 0)
			break;
	return idle;
}

bool
conn_cache_take(struct conn_cache *cache, const char *key, struct kept *kept)
{
	struct ages doomed = TAILQ_HEAD_INITIALIZER(doomed);
	int64_t now_ms = clock_monotonic_ms();
	struct idle *idle;

	pthread_mutex_lock(&cache->lock);
	while ((idle = find(cache, key)) != NULL) {
		if (idle->until_ms > now_ms && is_quiet(&idle->kept)) {
			detach(cache, idle);
			break;
		}
		doom(cache, idle, &doomed);
	}
	pthread_mutex_unlock(&cache->lock);
	close_all(&doomed, false);
	if (idle == NULL)
		return false;
	*kept = idle->kept;
	idle_free(idle);
	return true;
}

/* The one that was idle longest among those that block the caller. */
static struct idle *
find_victim(struct conn_cache *cache, enum conn_limit_excess excess, const struct ip *ip,
    const char *domain)
{
	struct idle *idle;

	TAILQ_FOREACH (idle, &cache->ages, in_age) {
		switch (excess) {
		case CONN_LIMIT_EXCESS_NONE:
			return NULL;
		case CONN_LIMIT_EXCESS_PROCESS:
			return idle;
		case CONN_LIMIT_EXCESS_IP:
			if (ip_equal(&idle->ip, ip))
				return idle;
			break;
		case CONN_LIMIT_EXCESS_DOMAIN:
			if (strcmp(idle->domain, domain) == 0)
				return idle;
			break;
		}
	}
	return NULL;
}

void
conn_cache_make_room(struct conn_cache *cache, const struct ip *ip, const char *domain,
    unsigned domain_limit)
{
	struct ages doomed = TAILQ_HEAD_INITIALIZER(doomed);
	enum conn_limit_excess excess;
	struct idle *victim;
	bool of_host = false;

	pthread_mutex_lock(&cache->lock);
	for (;;) {
		excess = conn_limit_excess(cache->limit, ip, domain, domain_limit);
		victim = find_victim(cache, excess, ip, domain);
		if (victim == NULL)
			break;
		of_host = of_host || excess == CONN_LIMIT_EXCESS_IP;
		doom(cache, victim, &doomed);
	}
	pthread_mutex_unlock(&cache->lock);
	close_all(&doomed, of_host);
}
