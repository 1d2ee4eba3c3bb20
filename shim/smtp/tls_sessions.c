/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "shim/smtp/tls_sessions.h"

#define BUCKETS	1024
#define LIFETIME_MS	(60 * 60 * 1000)

struct entry {
	TAILQ_ENTRY(entry) in_bucket;
	TAILQ_ENTRY(entry) in_age;
	void *session;	/* NULL: the host accepts none; the only entry of its key */
	size_t octets;	/* with all that it holds */
	int64_t shaken_ms;	/* without a session: when that was seen */
	char key[];
};

TAILQ_HEAD(entries, entry);

struct tls_sessions {
	pthread_mutex_t lock;
	void (*release)(void *session);
	struct entries buckets[BUCKETS];	/* newest first */
	struct entries ages;	/* oldest first */
	size_t count, octets;
};

struct tls_sessions *
tls_sessions_new(void (*release)(void *session))
{
	struct tls_sessions *sessions = xcalloc(1, sizeof(*sessions));
	size_t i;

	if (pthread_mutex_init(&sessions->lock, NULL) != 0)
		abort();
	sessions->release = release;
	for (i = 0; i < BUCKETS; i++)
		TAILQ_INIT(&sessions->buckets[i]);
	TAILQ_INIT(&sessions->ages);
	return sessions;
}

static struct entries *
bucket_of(struct tls_sessions *sessions, const char *key)
{
	return &sessions->buckets[hash_text(key) % BUCKETS];
}

static bool
is_over(const struct entry *entry, int64_t now_ms)
{
	return now_ms - entry->shaken_ms >= LIFETIME_MS;
}

/* Returns the session, which is the caller's. */
static void *
detach(struct tls_sessions *sessions, struct entry *entry)
{
	void *session = entry->session;

	TAILQ_REMOVE(bucket_of(sessions, entry->key), entry, in_bucket);
	TAILQ_REMOVE(&sessions->ages, entry, in_age);
	sessions->count--;
	sessions->octets -= entry->octets;
	free(entry);
	return session;
}

static void
drop(struct tls_sessions *sessions, struct entry *entry)
{
	void *session = detach(sessions, entry);

	if (session != NULL)
		sessions->release(session);
}

void
tls_sessions_clear(struct tls_sessions *sessions)
{
	pthread_mutex_lock(&sessions->lock);
	while (!TAILQ_EMPTY(&sessions->ages))
		drop(sessions, TAILQ_FIRST(&sessions->ages));
	pthread_mutex_unlock(&sessions->lock);
}

void
tls_sessions_free(struct tls_sessions *sessions)
{
	if (sessions == NULL)
		return;
	tls_sessions_clear(sessions);
	pthread_mutex_destroy(&sessions->lock);
	free(sessions);
}

static struct entry *
newest(struct tls_sessions *sessions, const char *key)
{
	struct entry *entry;

	TAILQ_FOREACH (entry, bucket_of(sessions, key), in_bucket)
		if (strcmp(entry->key, key) == 0)
			break;
	return entry;
}

static struct entry *
oldest_beyond(struct tls_sessions *sessions, const char *key, size_t most)
{
	struct entry *entry, *oldest = NULL;
	size_t count = 0;

	TAILQ_FOREACH (entry, bucket_of(sessions, key), in_bucket) {
		if (strcmp(entry->key, key) != 0)
			continue;
		oldest = entry;
		count++;
	}
	return count > most ? oldest : NULL;
}

static struct entry *
surplus(struct tls_sessions *sessions, const char *key)
{
	if (sessions->count > LIMIT_TLS_SESSIONS || sessions->octets > LIMIT_TLS_SESSION_OCTETS)
		return TAILQ_FIRST(&sessions->ages);
	return oldest_beyond(sessions, key, LIMIT_TLS_SESSIONS_PER_KEY);
}

static void
add(struct tls_sessions *sessions, const char *key, void *session, size_t octets, int64_t shaken_ms)
{
	size_t size = strlen(key) + 1;
	struct entry *entry = xcalloc(1, sizeof(*entry) + size), *victim;

	memcpy(entry->key, key, size);
	entry->session = session;
	entry->octets = sizeof(*entry) + size + octets;
	entry->shaken_ms = shaken_ms;
	TAILQ_INSERT_HEAD(bucket_of(sessions, key), entry, in_bucket);
	TAILQ_INSERT_TAIL(&sessions->ages, entry, in_age);
	sessions->count++;
	sessions->octets += entry->octets;
	while ((victim = surplus(sessions, key)) != NULL)
		drop(sessions, victim);
}

static void
forget(struct tls_sessions *sessions, const char *key)
{
	struct entry *entry;

	while ((entry = newest(sessions, key)) != NULL)
		drop(sessions, entry);
}

static bool
is_shunned(struct tls_sessions *sessions, const char *key)
{
	const struct entry *entry = newest(sessions, key);

	return entry != NULL && entry->session == NULL;
}

void
tls_sessions_put(struct tls_sessions *sessions, const char *key, void *session, size_t octets,
    int64_t shaken_ms)
{
	pthread_mutex_lock(&sessions->lock);
	if (is_shunned(sessions, key))
		sessions->release(session);
	else
		add(sessions, key, session, octets, shaken_ms);
	pthread_mutex_unlock(&sessions->lock);
}

void *
tls_sessions_take(struct tls_sessions *sessions, const char *key, int64_t now_ms,
    int64_t *shaken_ms)
{
	struct entry *entry;
	void *session = NULL;

	pthread_mutex_lock(&sessions->lock);
	while ((entry = newest(sessions, key)) != NULL && is_over(entry, now_ms))
		drop(sessions, entry);
	if (entry != NULL && entry->session != NULL) {
		*shaken_ms = entry->shaken_ms;
		session = detach(sessions, entry);
	}
	pthread_mutex_unlock(&sessions->lock);
	return session;
}

void
tls_sessions_forget(struct tls_sessions *sessions, const char *key)
{
	pthread_mutex_lock(&sessions->lock);
	if (!is_shunned(sessions, key))
		forget(sessions, key);
	pthread_mutex_unlock(&sessions->lock);
}

void
tls_sessions_shun(struct tls_sessions *sessions, const char *key, int64_t now_ms)
{
	pthread_mutex_lock(&sessions->lock);
	forget(sessions, key);
	add(sessions, key, NULL, 0, now_ms);
	pthread_mutex_unlock(&sessions->lock);
}

bool
tls_sessions_shunned(struct tls_sessions *sessions, const char *key, int64_t now_ms)
{
	bool shunned;

	pthread_mutex_lock(&sessions->lock);
	shunned = is_shunned(sessions, key) && !is_over(newest(sessions, key), now_ms);
	pthread_mutex_unlock(&sessions->lock);
	return shunned;
}
