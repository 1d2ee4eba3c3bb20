/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/limits.h"
#include "policy/facts/sts_backoff.h"

#define BUCKETS	4096

struct entry {
	LIST_ENTRY(entry) bucket;
	TAILQ_ENTRY(entry) age;
	char *domain;
	unsigned failures;	/* in a row; 0: the next five mean nothing */
	char failed_id[LIMIT_STS_ID + 1];
	int64_t failed_ms;
	enum sts_fault fault;
	struct finding finding;
	char why[200];
	char *served;	/* NULL: nothing */
	bool done[STS_ACTIONS];
	int64_t done_ms[STS_ACTIONS];
};

struct sts_backoff {
	pthread_mutex_t lock;
	LIST_HEAD(entry_bucket, entry) buckets[BUCKETS];
	TAILQ_HEAD(entry_ages, entry) ages;	/* used longest ago first */
	size_t count, max;
};

struct sts_backoff *
sts_backoff_new(size_t max)
{
	struct sts_backoff *backoff = xcalloc(1, sizeof(*backoff));

	pthread_mutex_init(&backoff->lock, NULL);
	TAILQ_INIT(&backoff->ages);
	backoff->max = max;
	return backoff;
}

static void
drop(struct sts_backoff *backoff, struct entry *entry)
{
	LIST_REMOVE(entry, bucket);
	TAILQ_REMOVE(&backoff->ages, entry, age);
	backoff->count--;
	free(entry->domain);
	free(entry->served);
	free(entry);
}

void
sts_backoff_free(struct sts_backoff *backoff)
{
	struct entry *entry;

	if (backoff == NULL)
		return;
	while ((entry = TAILQ_FIRST(&backoff->ages)) != NULL)
		drop(backoff, entry);
	pthread_mutex_destroy(&backoff->lock);
	free(backoff);
}

static struct entry_bucket *
bucket_of(struct sts_backoff *backoff, const char *domain)
{
	return &backoff->buckets[hash_text(domain) % BUCKETS];
}

static struct entry *
find(struct sts_backoff *backoff, const char *domain)
{
	struct entry *entry;

	LIST_FOREACH (entry, bucket_of(backoff, domain), bucket)
		if (strcmp(entry->domain, domain) == 0)
			break;
	return entry;
}

static struct entry *
find_or_make(struct sts_backoff *backoff, const char *domain)
{
	struct entry *entry = find(backoff, domain);

	if (entry != NULL) {
		TAILQ_REMOVE(&backoff->ages, entry, age);
	} else {
		if (backoff->count >= backoff->max)
			drop(backoff, TAILQ_FIRST(&backoff->ages));
		entry = xcalloc(1, sizeof(*entry));
		entry->domain = xstrdup(domain);
		LIST_INSERT_HEAD(bucket_of(backoff, domain), entry, bucket);
		backoff->count++;
	}
	TAILQ_INSERT_TAIL(&backoff->ages, entry, age);
	return entry;
}

bool
sts_backoff_applies(struct sts_backoff *backoff, const char *domain, const char *id, int64_t now_ms,
    int64_t interval_ms, struct sts_backoff_failure *failure)
{
	const struct entry *entry;
	bool backs_off;

	pthread_mutex_lock(&backoff->lock);
	entry = find(backoff, domain);
	/* RFC 8461 3.3: no sooner than the interval, but a new id is a new policy. */
	backs_off = entry != NULL && entry->failures > 0 && strcmp(entry->failed_id, id) == 0 &&
	    now_ms - entry->failed_ms < interval_ms;
	if (backs_off) {
		failure->fault = entry->fault;
		failure->finding = entry->finding;
		snprintf(failure->why, sizeof(failure->why), "%s", entry->why);
		snprintf(failure->served, sizeof(failure->served), "%s",
		    entry->served != NULL ? entry->served : "");
	}
	pthread_mutex_unlock(&backoff->lock);
	return backs_off;
}

unsigned
sts_backoff_failed(struct sts_backoff *backoff, const char *domain, const char *id, int64_t now_ms,
    const struct sts_backoff_failure *failure)
{
	struct entry *entry;
	unsigned failures;

	pthread_mutex_lock(&backoff->lock);
	entry = find_or_make(backoff, domain);
	snprintf(entry->failed_id, sizeof(entry->failed_id), "%s", id);
	entry->failed_ms = now_ms;
	entry->fault = failure->fault;
	entry->finding = failure->finding;
	snprintf(entry->why, sizeof(entry->why), "%s", failure->why);
	free(entry->served);
	entry->served = failure->served[0] != '\0' ? xstrdup(failure->served) : NULL;
	failures = ++entry->failures;
	pthread_mutex_unlock(&backoff->lock);
	return failures;
}

void
sts_backoff_succeeded(struct sts_backoff *backoff, const char *domain)
{
	struct entry *entry;

	pthread_mutex_lock(&backoff->lock);
	entry = find(backoff, domain);
	if (entry != NULL)
		entry->failures = 0;
	pthread_mutex_unlock(&backoff->lock);
}

bool
sts_backoff_once(struct sts_backoff *backoff, const char *domain, enum sts_backoff_action kind,
    int64_t now_ms, int64_t interval_ms)
{
	struct entry *entry;
	bool due;

	pthread_mutex_lock(&backoff->lock);
	entry = find_or_make(backoff, domain);
	due = !entry->done[kind] || now_ms - entry->done_ms[kind] >= interval_ms;
	if (due) {
		entry->done[kind] = true;
		entry->done_ms[kind] = now_ms;
	}
	pthread_mutex_unlock(&backoff->lock);
	return due;
}

void
sts_backoff_forget(struct sts_backoff *backoff, const char *domain)
{
	struct entry *entry;

	pthread_mutex_lock(&backoff->lock);
	entry = find(backoff, domain);
	if (entry != NULL)
		drop(backoff, entry);
	pthread_mutex_unlock(&backoff->lock);
}
