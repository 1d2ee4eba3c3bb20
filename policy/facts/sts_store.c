/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/domain.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "policy/facts/sts_record.h"
#include "policy/facts/sts_store.h"

#define STRIPES	64
#define CHANGES	1024	/* counters of changes */
#define LOOSE_MAX	10000	/* in memory; beyond that only what enforces */
#define KEEP_EXPIRED_S	(30 * 24 * 3600)
#define DUE_DIGITS	12
#define DUE_KEY_MAX	(DUE_DIGITS + 1 + DOMAIN_MAX)

/* An entry that the store could not take. */
struct loose {
	char *domain;
	struct buf record;
};

struct sts_store {
	struct store *store;
	_Atomic uint64_t changes[CHANGES];	/* each for the domains of one hash value */
	pthread_mutex_t stripes[STRIPES];	/* each for the domains of one hash value */
	pthread_mutex_t lock;	/* for what follows */
	struct loose *loose;	/* in order of domain */
	size_t loose_room;
	atomic_size_t loose_count;	/* read without the lock only to see that there is none */
};

struct sts_store *
sts_store_new(struct store *store)
{
	struct sts_store *policies = xcalloc(1, sizeof(*policies));

	policies->store = store;
	pthread_mutex_init(&policies->lock, NULL);
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&policies->stripes[i], NULL);
	return policies;
}

void
sts_store_free(struct sts_store *policies)
{
	if (policies == NULL)
		return;
	if (sts_store_flush(policies) > 0)
		log_message(LOG_LEVEL_ERROR, "store",
		    "%zu MTA-STS policies could not be written "
		    "and are now lost",
		    (size_t)policies->loose_count);
	for (size_t i = 0; i < policies->loose_count; i++) {
		free(policies->loose[i].domain);
		buf_free(&policies->loose[i].record);
	}
	free(policies->loose);
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&policies->stripes[i]);
	pthread_mutex_destroy(&policies->lock);
	free(policies);
}

static pthread_mutex_t *
stripe_of(struct sts_store *policies, const char *domain)
{
	return &policies->stripes[hash_text(domain) % STRIPES];
}

const _Atomic uint64_t *
sts_store_changes(const struct sts_store *policies, const char *domain)
{
	return &policies->changes[hash_text(domain) % CHANGES];
}

void
sts_store_change_all(struct sts_store *policies)
{
	for (size_t i = 0; i < CHANGES; i++)
		policies->changes[i]++;
}

/* Where domain is, or belongs. With the lock held. */
static size_t
loose_find(const struct sts_store *policies, const char *domain, bool *found)
{
	size_t low = 0, high = policies->loose_count;

	*found = false;
	while (low < high && !*found) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(domain, policies->loose[middle].domain);

		if (order == 0) {
			low = middle;
			*found = true;
		} else if (order < 0) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

/* The record in memory, freed by the caller with buf_free(). */
static bool
loose_get(struct sts_store *policies, const char *domain, struct buf *record)
{
	bool found;
	size_t at;

	if (policies->loose_count == 0)
		return false;
	pthread_mutex_lock(&policies->lock);
	at = loose_find(policies, domain, &found);
	if (found)
		buf_add(record, policies->loose[at].record.data, policies->loose[at].record.length);
	pthread_mutex_unlock(&policies->lock);
	return found;
}

static void
loose_remove(struct sts_store *policies, const char *domain)
{
	bool found;
	size_t at;

	if (policies->loose_count == 0)
		return;
	pthread_mutex_lock(&policies->lock);
	at = loose_find(policies, domain, &found);
	if (found) {
		free(policies->loose[at].domain);
		buf_free(&policies->loose[at].record);
		policies->loose_count--;
		metrics_add(METRIC_POLICIES_UNSAVED, NULL, -1);
		memmove(&policies->loose[at], &policies->loose[at + 1],
		    (policies->loose_count - at) * sizeof(policies->loose[0]));
	}
	pthread_mutex_unlock(&policies->lock);
}

/* Takes the record over. With the lock held. */
static void
loose_insert(struct sts_store *policies, size_t at, const char *domain, struct buf *record)
{
	if (policies->loose_count == policies->loose_room) {
		policies->loose_room = policies->loose_room > 0 ? 2 * policies->loose_room : 16;
		policies->loose = xrealloc(policies->loose,
		    policies->loose_room * sizeof(policies->loose[0]));
	}
	memmove(&policies->loose[at + 1], &policies->loose[at],
	    (policies->loose_count - at) * sizeof(policies->loose[0]));
	policies->loose[at] = (struct loose){ xstrdup(domain), *record };
	*record = (struct buf){ 0 };
	policies->loose_count++;
	metrics_add(METRIC_POLICIES_UNSAVED, NULL, 1);
}

/* A policy that enforces is always kept: without it the next message would go unprotected. */
static void
loose_put(struct sts_store *policies, const struct sts_entry *entry, struct buf *record)
{
	bool found, kept;
	size_t at;

	pthread_mutex_lock(&policies->lock);
	at = loose_find(policies, entry->domain, &found);
	kept = found || policies->loose_count < LOOSE_MAX || entry->policy.mode == STS_MODE_ENFORCE;
	if (found) {
		struct buf old = policies->loose[at].record;

		policies->loose[at].record = *record;
		*record = old;
	} else if (kept) {
		loose_insert(policies, at, entry->domain, record);
	}
	pthread_mutex_unlock(&policies->lock);
	log_message(LOG_LEVEL_WARNING, "store",
	    kept ? "the MTA-STS policy of %s cannot be written;"
		   " it is kept in memory until it can, and lost when stsgated stops before"
		 : "the MTA-STS policy of %s, which enforces nothing, cannot be written, and "
		   "memory is full: it is not kept",
	    entry->domain);
}

static void
due_key(char key[DUE_KEY_MAX], const char *domain, int64_t at)
{
	snprintf(key, DUE_KEY_MAX, "%0*" PRId64 " %s", DUE_DIGITS, at, domain);
}

/* The mark comes first: one without its entry is dropped when it is met, while an entry without
 * its mark would never be refreshed. */
static enum store_result
write_entry(struct sts_store *policies, const struct sts_entry *entry, const struct buf *record,
    enum store_sync sync)
{
	int64_t purge_at = entry->expires + KEEP_EXPIRED_S;
	char key[DUE_KEY_MAX];

	if (entry->refresh != 0) {
		due_key(key, entry->domain, entry->refresh);
		if (store_put(policies->store, STORE_DUE, key, "", 0, purge_at, STORE_LAZY) !=
		    STORE_OK)
			return STORE_FAILED;
	}
	return store_put(policies->store, STORE_POLICIES, entry->domain, record->data,
	    record->length, purge_at, sync);
}

static enum store_result
put_entry(struct sts_store *policies, const struct sts_entry *entry, enum store_sync sync)
{
	struct buf record = { 0 };
	enum store_result result;

	sts_record_write(entry, &record);
	result = write_entry(policies, entry, &record, sync);
	if (result == STORE_OK)
		loose_remove(policies, entry->domain);
	else
		loose_put(policies, entry, &record);
	buf_free(&record);
	return result;
}

enum store_result
sts_store_get(struct sts_store *policies, struct arena *arena, const char *domain,
    struct sts_entry *entry)
{
	struct buf record = { 0 };
	enum store_result result = STORE_OK;

	*entry = (struct sts_entry){ .domain = arena_strdup(arena, domain) };
	if (!loose_get(policies, domain, &record))
		result = store_get(policies->store, STORE_POLICIES, domain, &record);
	if (result == STORE_OK &&
	    sts_record_read(arena, entry->domain, record.data, record.length, entry) != 0) {
		log_message(LOG_LEVEL_ERROR, "store",
		    "the stored MTA-STS policy of %s is damaged;"
		    " its mail waits until the policy can be fetched again. If the domain no "
		    "longer has one: stsgate cache forget %s",
		    domain, domain);
		result = STORE_FAILED;
	}
	buf_free(&record);
	return result;
}

void
sts_store_undue(struct sts_store *policies, const char *domain, int64_t at)
{
	char key[DUE_KEY_MAX];

	due_key(key, domain, at);
	store_delete(policies->store, STORE_DUE, key, STORE_LAZY);
}

/* The second of the fetch is not enough: an administrator is quick. */
static bool
is_same_policy(const struct sts_entry *a, const struct sts_entry *b)
{
	return a->fetched == b->fetched && strcmp(a->policy.id, b->policy.id) == 0 &&
	    a->policy.mode == b->policy.mode && a->policy.body_length == b->policy.body_length &&
	    (a->policy.body_length == 0 ||
		memcmp(a->policy.body, b->policy.body, a->policy.body_length) == 0);
}

enum store_result
sts_store_update(struct sts_store *policies, const char *domain, enum store_sync sync,
    enum sts_store_change (*update)(void *context, struct arena *arena, struct sts_entry *entry,
	bool found),
    void *context)
{
	pthread_mutex_t *stripe = stripe_of(policies, domain);
	struct arena *arena = arena_new();
	enum store_result result = STORE_OK;
	struct sts_entry entry, before;
	int64_t due;
	bool found;

	pthread_mutex_lock(stripe);
	found = sts_store_get(policies, arena, domain, &entry) == STORE_OK;
	if (!found)
		entry = (struct sts_entry){ .domain = domain, .last_error = "" };
	due = entry.refresh;
	before = entry;
	if (update(context, arena, &entry, found) == STS_STORE_WRITE) {
		result = put_entry(policies, &entry, sync);
		if (!found || !is_same_policy(&before, &entry))
			policies->changes[hash_text(domain) % CHANGES]++;
		if (due != 0 && due != entry.refresh && result == STORE_OK)
			sts_store_undue(policies, domain, due);
	}
	pthread_mutex_unlock(stripe);
	arena_free(arena);
	return result;
}

enum store_result
sts_store_forget(struct sts_store *policies, const char *domain)
{
	pthread_mutex_t *stripe = stripe_of(policies, domain);
	struct arena *arena = arena_new();
	enum store_result known, result;
	struct sts_entry entry;

	pthread_mutex_lock(stripe);
	known = sts_store_get(policies, arena, domain, &entry);
	result = store_delete(policies->store, STORE_POLICIES, domain, STORE_SYNC);
	policies->changes[hash_text(domain) % CHANGES]++;
	if (result != STORE_FAILED) {
		loose_remove(policies, domain);
		if (known == STORE_OK && entry.refresh != 0)
			sts_store_undue(policies, domain, entry.refresh);
	}
	pthread_mutex_unlock(stripe);
	arena_free(arena);
	return result == STORE_ABSENT && known == STORE_OK ? STORE_OK : result;
}

struct listing {
	struct sts_store *policies;
	bool (*each)(void *context, const struct sts_entry *entry);
	void *context;
	char last[DOMAIN_MAX];	/* handed out */
	bool stopped;
};

static bool
list_record(struct listing *listing, const char *domain, const void *octets, size_t length)
{
	struct arena *arena = arena_new();
	struct sts_entry entry;

	if (sts_record_read(arena, domain, octets, length, &entry) == 0)
		listing->stopped = !listing->each(listing->context, &entry);
	arena_free(arena);
	snprintf(listing->last, sizeof(listing->last), "%s", domain);
	return !listing->stopped;
}

/* The first entry in memory after the last one handed out, if it comes before domain or that is
 * NULL. */
static bool
next_loose(struct listing *listing, const char *domain, struct arena *arena, const char **name,
    struct buf *record)
{
	struct sts_store *policies = listing->policies;
	bool found;
	size_t at;

	pthread_mutex_lock(&policies->lock);
	at = loose_find(policies, listing->last, &found) + found;
	found = at < policies->loose_count &&
	    (domain == NULL || strcmp(policies->loose[at].domain, domain) <= 0);
	if (found) {
		*name = arena_strdup(arena, policies->loose[at].domain);
		buf_clear(record);
		buf_add(record, policies->loose[at].record.data, policies->loose[at].record.length);
	}
	pthread_mutex_unlock(&policies->lock);
	return found;
}

/* Entries in memory come in their place, and replace the store's entry of the same domain. */
static void
list_loose(struct listing *listing, const char *until)
{
	struct arena *arena = arena_new();
	struct buf record = { 0 };
	const char *name;

	while (!listing->stopped && next_loose(listing, until, arena, &name, &record))
		list_record(listing, name, record.data, record.length);
	buf_free(&record);
	arena_free(arena);
}

static bool
list_stored(void *context, const char *key, const void *value, size_t length)
{
	struct listing *listing = context;

	if (listing->policies->loose_count > 0)
		list_loose(listing, key);
	if (listing->stopped || strcmp(key, listing->last) <= 0)
		return !listing->stopped;
	return list_record(listing, key, value, length);
}

enum store_result
sts_store_list(struct sts_store *policies, const char *after,
    bool (*each)(void *context, const struct sts_entry *entry), void *context)
{
	struct listing listing = { .policies = policies, .each = each, .context = context };
	enum store_result result;

	snprintf(listing.last, sizeof(listing.last), "%s", after);
	result = store_scan(policies->store, STORE_POLICIES, after, list_stored, &listing);
	list_loose(&listing, NULL);
	return result;
}

struct due_scan {
	int64_t now, next;
	bool (*each)(void *context, const char *domain, int64_t at);
	void *context;
};

static bool
see_due(void *context, const char *key, const void *value, size_t length)
{
	struct due_scan *scan = context;
	char *domain;
	int64_t at = strtoll(key, &domain, 10);

	(void)value;
	(void)length;
	if (*domain != ' ')
		return true;
	if (at > scan->now) {
		scan->next = at;
		return false;
	}
	return scan->each(scan->context, domain + 1, at);
}

enum store_result
sts_store_due(struct sts_store *policies, int64_t now, int64_t *next,
    bool (*each)(void *context, const char *domain, int64_t at), void *context)
{
	struct due_scan scan = { now, 0, each, context };
	enum store_result result = store_scan(policies->store, STORE_DUE, "", see_due, &scan);

	*next = scan.next;
	return result;
}

/* One entry, under its domain's lock, so that a change made meanwhile is not undone. */
static enum sts_store_change
write_again(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	(void)context;
	(void)arena;
	(void)entry;
	return found ? STS_STORE_WRITE : STS_STORE_LEAVE;
}

size_t
sts_store_flush(struct sts_store *policies)
{
	struct arena *arena = arena_new();
	struct listing all = { .policies = policies };
	struct buf record = { 0 };
	enum store_result result = STORE_OK;
	const char *name;

	while (result == STORE_OK && policies->loose_count > 0 &&
	    next_loose(&all, NULL, arena, &name, &record)) {
		snprintf(all.last, sizeof(all.last), "%s", name);
		result = sts_store_update(policies, name, STORE_SYNC, write_again, NULL);
	}
	buf_free(&record);
	arena_free(arena);
	return policies->loose_count;
}
