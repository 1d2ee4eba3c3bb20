/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "shim/smtp/host_backoff.h"

#define BUCKETS	4096
#define INTERVAL_MOST_MS	(30 * 60 * 1000)	/* doubling ends here */

struct entry {
	LIST_ENTRY(entry) in_bucket;
	TAILQ_ENTRY(entry) in_age;
	struct host_backoff_key key;	/* without domains */
	enum host_backoff_scope scope;
	char *next_hop, *sender;	/* NULL where the scope is wider */
	unsigned failures;	/* in a row */
	int64_t next_ms;	/* not to be tried before */
	bool probed;	/* a delivery is probing it */
	char last[HOST_BACKOFF_TEXT];
};

LIST_HEAD(bucket, entry);
TAILQ_HEAD(ages, entry);

struct host_backoff {
	pthread_mutex_t lock;
	_Atomic int64_t retry_ms;
	size_t count;
	struct bucket buckets[BUCKETS];
	struct ages ages;	/* first: failed longest ago */
};

struct host_backoff *
host_backoff_new(int64_t retry_ms)
{
	struct host_backoff *backoff = xcalloc(1, sizeof(*backoff));

	if (pthread_mutex_init(&backoff->lock, NULL) != 0)
		abort();
	backoff->retry_ms = retry_ms;
	TAILQ_INIT(&backoff->ages);
	return backoff;
}

void
host_backoff_set_retry(struct host_backoff *backoff, int64_t retry_ms)
{
	backoff->retry_ms = retry_ms;
}

static uint64_t
hash_ip(uint64_t hash, const struct ip *ip)
{
	return hash_add(hash, ip->octets, ip->v6 ? 16 : 4);
}

/* Upper and lower case are the same. */
static uint64_t
hash_domain(uint64_t hash, const char *domain)
{
	for (; *domain != '\0'; domain++) {
		char lower = (char)(*domain | 0x20);

		hash = hash_add(hash, &lower, 1);
	}
	return hash;
}

static struct bucket *
bucket_of(struct host_backoff *backoff, const struct host_backoff_key *key,
    enum host_backoff_scope scope)
{
	uint64_t hash = hash_ip(hash_ip(HASH_START, &key->ip), &key->source);

	if (scope >= HOST_BACKOFF_NEXT_HOP)
		hash = hash_domain(hash, key->next_hop);
	if (scope >= HOST_BACKOFF_SENDER)
		hash = hash_domain(hash, key->sender);
	return &backoff->buckets[(hash ^ key->port) % BUCKETS];
}

static bool
is_of(const struct entry *entry, const struct host_backoff_key *key, enum host_backoff_scope scope)
{
	const struct host_backoff_key *own = &entry->key;

	if (entry->scope != scope || own->port != key->port || !ip_equal(&own->ip, &key->ip) ||
	    !ip_equal(&own->source, &key->source))
		return false;
	if (scope >= HOST_BACKOFF_NEXT_HOP && strcasecmp(entry->next_hop, key->next_hop) != 0)
		return false;
	return scope < HOST_BACKOFF_SENDER || strcasecmp(entry->sender, key->sender) == 0;
}

static struct entry *
find(struct host_backoff *backoff, const struct host_backoff_key *key,
    enum host_backoff_scope scope)
{
	struct entry *entry;

	LIST_FOREACH (entry, bucket_of(backoff, key, scope), in_bucket)
		if (is_of(entry, key, scope))
			break;
	return entry;
}

static void
forget(struct host_backoff *backoff, struct entry *entry)
{
	LIST_REMOVE(entry, in_bucket);
	TAILQ_REMOVE(&backoff->ages, entry, in_age);
	backoff->count--;
	free(entry->next_hop);
	free(entry->sender);
	free(entry);
}

void
host_backoff_free(struct host_backoff *backoff)
{
	if (backoff == NULL)
		return;
	while (!TAILQ_EMPTY(&backoff->ages))
		forget(backoff, TAILQ_FIRST(&backoff->ages));
	pthread_mutex_destroy(&backoff->lock);
	free(backoff);
}

static struct entry *
add(struct host_backoff *backoff, const struct host_backoff_key *key, enum host_backoff_scope scope)
{
	struct entry *entry = xcalloc(1, sizeof(*entry));

	if (backoff->count >= LIMIT_FAILED_ADDRESSES)
		forget(backoff, TAILQ_FIRST(&backoff->ages));
	entry->key = (struct host_backoff_key){
		.ip = key->ip, .port = key->port, .source = key->source
	};
	entry->next_hop = scope >= HOST_BACKOFF_NEXT_HOP ? xstrdup(key->next_hop) : NULL;
	entry->sender = scope >= HOST_BACKOFF_SENDER ? xstrdup(key->sender) : NULL;
	entry->scope = scope;
	LIST_INSERT_HEAD(bucket_of(backoff, key, scope), entry, in_bucket);
	TAILQ_INSERT_TAIL(&backoff->ages, entry, in_age);
	backoff->count++;
	return entry;
}

static int64_t
interval_ms(const struct host_backoff *backoff, unsigned failures)
{
	int64_t interval = backoff->retry_ms;
	unsigned i;

	for (i = 1; i < failures && interval < INTERVAL_MOST_MS; i++)
		interval *= 2;
	if (interval <= INTERVAL_MOST_MS)
		return interval;
	/* A longer interval than the maximum applies from the first failure on. */
	return backoff->retry_ms > INTERVAL_MOST_MS ? backoff->retry_ms : INTERVAL_MOST_MS;
}

static bool
is_passed(const struct entry *entry, int64_t now_ms)
{
	return entry != NULL && (entry->probed || entry->next_ms > now_ms);
}

/* For all mail, or for less. */
static bool
passes(struct host_backoff *backoff, const struct host_backoff_key *key, int64_t now_ms,
    struct host_backoff_note *note)
{
	const struct entry *entry = NULL;
	enum host_backoff_scope scope;

	for (scope = HOST_BACKOFF_ALL; scope <= HOST_BACKOFF_SENDER; scope++)
		if (is_passed(entry = find(backoff, key, scope), now_ms))
			break;
	if (scope > HOST_BACKOFF_SENDER)
		return false;
	note->scope = scope;
	note->failures = entry->failures;
	note->wait_ms = entry->next_ms > now_ms ? entry->next_ms - now_ms : 0;
	memcpy(note->last, entry->last, sizeof(note->last));
	return true;
}

bool
host_backoff_passes(struct host_backoff *backoff, const struct host_backoff_key *key,
    int64_t now_ms, struct host_backoff_note *note)
{
	bool passed;

	pthread_mutex_lock(&backoff->lock);
	passed = passes(backoff, key, now_ms, note);
	pthread_mutex_unlock(&backoff->lock);
	return passed;
}

bool
host_backoff_claim(struct host_backoff *backoff, const struct host_backoff_key *key, int64_t now_ms,
    struct host_backoff_probe *probe, struct host_backoff_note *note)
{
	enum host_backoff_scope scope;
	struct entry *entry;
	bool passed;

	memset(probe, 0, sizeof(*probe));
	pthread_mutex_lock(&backoff->lock);
	passed = passes(backoff, key, now_ms, note);
	for (scope = HOST_BACKOFF_ALL; !passed && scope <= HOST_BACKOFF_SENDER; scope++) {
		entry = find(backoff, key, scope);
		probe->of[scope] = entry != NULL;
		if (entry != NULL)
			entry->probed = true;
	}
	pthread_mutex_unlock(&backoff->lock);
	return passed;
}

/* Deliveries that run side by side fail together: that is one failure. */
static void
fail(struct host_backoff *backoff, struct entry *entry, int64_t now_ms, const char *how)
{
	if (entry->failures == 0 || entry->next_ms <= now_ms) {
		entry->failures++;
		entry->next_ms = now_ms + interval_ms(backoff, entry->failures);
	}
	snprintf(entry->last, sizeof(entry->last), "%s", how);
	TAILQ_REMOVE(&backoff->ages, entry, in_age);
	TAILQ_INSERT_TAIL(&backoff->ages, entry, in_age);
}

void
host_backoff_serves(struct host_backoff *backoff, const struct host_backoff_key *key,
    struct host_backoff_probe *probe, enum host_backoff_scope served)
{
	enum host_backoff_scope scope;
	struct entry *entry;

	pthread_mutex_lock(&backoff->lock);
	for (scope = HOST_BACKOFF_ALL; scope <= served; scope++) {
		if (!probe->of[scope])
			continue;
		probe->of[scope] = false;
		entry = find(backoff, key, scope);
		if (entry != NULL)
			forget(backoff, entry);
	}
	pthread_mutex_unlock(&backoff->lock);
}

void
host_backoff_tell(struct host_backoff *backoff, const struct host_backoff_key *key, int64_t now_ms,
    const struct host_backoff_probe *probe, const struct host_backoff_news *news)
{
	enum host_backoff_scope scope;
	struct entry *entry;

	pthread_mutex_lock(&backoff->lock);
	for (scope = HOST_BACKOFF_ALL; scope <= HOST_BACKOFF_SENDER; scope++) {
		entry = find(backoff, key, scope);
		if (entry != NULL && probe->of[scope])
			entry->probed = false;
		if (scope == news->failed)
			fail(backoff, entry != NULL ? entry : add(backoff, key, scope), now_ms,
			    news->how);
		else if (entry != NULL && scope <= news->served)
			forget(backoff, entry);
	}
	pthread_mutex_unlock(&backoff->lock);
}
