/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/thread.h"
#include "report/history_inside.h"

#define STACK	(256 * 1024)
#define WRITE_EVERY_MS	2000
#define TRIM_EVERY_MS	(600 * 1000)
#define BUCKETS	1024
#define WAITING_MAX	8192 /* entries that are not written yet; beyond, they are not told apart */
#define WAITING_PEM_MAX	(4 * 1024 * 1024)	/* octets of their chains */

struct history {
	pthread_mutex_t lock;	/* of what waits, and of the limits */
	pthread_cond_t wake;
	bool stop;
	struct history_item *waiting[BUCKETS];
	size_t count, pem_size;
	_Atomic int64_t keep_s;	/* read without the lock only to see that nothing is kept */
	uint64_t max_size;
	int64_t full_hour;	/* has no room for further entries; 0: none */

	struct history_lasts *lasts;
	pthread_mutex_t writing;	/* taken before lock */
	struct history_disk disk;
	struct deadline trim;
	pthread_t thread;
};

static struct history_item **
bucket(struct history *history, const char *key)
{
	/* the end of the key is a digest */
	return &history->waiting[strtoul(key + strlen(key) - 6, NULL, 16) % BUCKETS];
}

static struct history_item *
find(struct history *history, const char *key)
{
	struct history_item *item = *bucket(history, key);

	while (item != NULL && strcmp(item->key, key) != 0)
		item = item->next;
	return item;
}

/* With the lock held. Takes the item over. */
static void
add(struct history *history, struct history_item *item)
{
	struct history_item *same = find(history, item->key), **first;

	if (same != NULL) {
		history_figures_add(&same->figures, &item->figures);
		history_item_free(item);
		return;
	}
	if (item->pem != NULL && history->pem_size > WAITING_PEM_MAX) {
		free(item->pem);
		item->pem = NULL;
	}
	if (item->pem != NULL)
		history->pem_size += strlen(item->pem);
	first = bucket(history, item->key);
	item->next = *first;
	*first = item;
	if (++history->count == WAITING_MAX / 2)
		(void)pthread_cond_signal(&history->wake);
}

void
history_note(struct history *history, const struct history_entry *event)
{
	struct history_item *item;

	if (history == NULL || history->keep_s == 0)
		return;
	item = history_item_new(event);
	(void)pthread_mutex_lock(&history->lock);
	if (find(history, item->key) == NULL &&
	    (history->count >= WAITING_MAX || item->hour == history->full_hour))
		history_item_blur(item, event);
	add(history, item);
	(void)pthread_mutex_unlock(&history->lock);
}

/* All that waits, as a list. */
static struct history_item *
take_waiting(struct history *history)
{
	struct history_item *list = NULL, *item;

	(void)pthread_mutex_lock(&history->lock);
	for (size_t i = 0; i < BUCKETS; i++)
		while ((item = history->waiting[i]) != NULL) {
			history->waiting[i] = item->next;
			item->next = list;
			list = item;
		}
	history->count = history->pem_size = 0;
	history->disk.keep_s = history->keep_s;
	history->disk.max_size = history->max_size;
	(void)pthread_mutex_unlock(&history->lock);
	return list;
}

/* What could not be written waits again; and is an hour full, so that it would push out all that
 * came before? */
static void
put_back(struct history *history, struct history_item *list)
{
	const struct history_disk *disk = &history->disk;
	struct history_item *item;
	size_t lost = 0;

	(void)pthread_mutex_lock(&history->lock);
	while ((item = list) != NULL) {
		list = item->next;
		if (history->count < WAITING_MAX) {
			add(history, item);
		} else {
			history_item_free(item);
			lost++;
		}
	}
	history->full_hour = disk->hour_size > disk->max_size / 2 ? disk->hour : 0;
	(void)pthread_mutex_unlock(&history->lock);
	if (lost > 0)
		log_message(LOG_LEVEL_WARNING, "history",
		    "%zu entries of the history are lost: the store could not be written", lost);
}

static void
write_waiting(struct history *history)
{
	struct history_item *list;

	(void)pthread_mutex_lock(&history->writing);
	list = take_waiting(history);
	(void)history_disk_add(&history->disk, &list);
	if (deadline_passed(history->trim) ||
	    history->disk.entries_size + history->disk.chains_size > history->disk.max_size) {
		history_disk_trim(&history->disk, clock_wall_s());
		history->trim = deadline_in(TRIM_EVERY_MS);
	}
	put_back(history, list);
	(void)pthread_mutex_unlock(&history->writing);
}

static bool
stopped(struct history *history)
{
	struct deadline until = deadline_in(WRITE_EVERY_MS);
	struct timespec at = deadline_timespec(until);
	bool stop;

	(void)pthread_mutex_lock(&history->lock);
	while (!history->stop && !deadline_passed(until) && history->count < WAITING_MAX / 2)
		(void)pthread_cond_timedwait(&history->wake, &history->lock, &at);
	stop = history->stop;
	(void)pthread_mutex_unlock(&history->lock);
	return stop;
}

static void *
run(void *context)
{
	struct history *history = context;

	while (!stopped(history))
		write_waiting(history);
	write_waiting(history);
	return NULL;
}

static void
destroy(struct history *history)
{
	history_lasts_free(history->lasts);
	(void)pthread_cond_destroy(&history->wake);
	(void)pthread_mutex_destroy(&history->lock);
	(void)pthread_mutex_destroy(&history->writing);
	free(history);
}

struct history *
history_new(struct store *store, int64_t keep_s, uint64_t max_size)
{
	struct history *history = xcalloc(1, sizeof(*history));

	history->disk.store = store;
	history->lasts = history_lasts_new();
	history->keep_s = history->disk.keep_s = keep_s;
	history->max_size = history->disk.max_size = max_size;
	history->trim = deadline_in(0);
	history_disk_measure(&history->disk);
	(void)pthread_mutex_init(&history->lock, NULL);
	(void)pthread_mutex_init(&history->writing, NULL);
	thread_condition(&history->wake);
	if (thread_start(&history->thread, STACK, run, history) == 0)
		return history;
	destroy(history);
	return NULL;
}

void
history_set_limits(struct history *history, int64_t keep_s, uint64_t max_size)
{
	(void)pthread_mutex_lock(&history->lock);
	history->keep_s = keep_s;
	history->max_size = max_size;
	(void)pthread_mutex_unlock(&history->lock);
}

void
history_free(struct history *history)
{
	struct history_item *list, *item;

	if (history == NULL)
		return;
	(void)pthread_mutex_lock(&history->lock);
	history->stop = true;
	(void)pthread_cond_signal(&history->wake);
	(void)pthread_mutex_unlock(&history->lock);
	(void)pthread_join(history->thread, NULL);
	list = take_waiting(history);
	while ((item = list) != NULL) {
		list = item->next;
		history_item_free(item);
	}
	destroy(history);
}

struct history_lasts *
history_lasts(struct history *history)
{
	return history->lasts;
}

struct scan {
	struct history *history;
	const struct history_query *query;
	bool (*each)(void *context, const char *key, const struct history_entry *entry);
	void *context;
};

static const char *
read_chain(const struct scan *scan, struct arena *arena, const char *digest)
{
	struct buf value = { 0 };
	const char *pem = NULL;
	char key[2 + DIGEST_TEXT];

	if (digest[0] == '\0' || !scan->query->chains)
		return NULL;
	(void)snprintf(key, sizeof(key), "c.%s", digest);
	if (store_get(scan->history->disk.store, STORE_HISTORY, key, &value) == STORE_OK) {
		pem = strchr(buf_text(&value), '\n');
		if (pem != NULL)
			pem = arena_strdup(arena, pem + 1);
	}
	buf_free(&value);
	return pem;
}

static bool
is_wanted(const struct history_query *query, const struct history_figures *figures,
    const struct history_head *head)
{
	if (figures->last_s < query->since_s || (query->of_kind && head->kind != query->kind))
		return false;
	return query->domain == NULL ||
	    (strlen(query->domain) == head->domain_length &&
		strncmp(query->domain, head->domain, head->domain_length) == 0);
}

static bool
see_entry(void *context, const char *key, const void *value, size_t length)
{
	struct scan *scan = context;
	struct history_figures figures;
	struct history_entry entry = { .kind = HISTORY_REFUSED };
	struct history_head head;
	struct arena *arena;
	struct buf text = { 0 };
	const char *tail;
	bool more = true;

	buf_add(&text, value, length);
	if (!history_figures_read(buf_text(&text), &figures, &tail) ||
	    !history_head_read(tail, &head) || !is_wanted(scan->query, &figures, &head))
		goto out;
	arena = arena_new();
	if (history_rest_read(arena, &head, &entry)) {
		entry.count = figures.count;
		entry.recipients = figures.recipients;
		entry.first_s = figures.first_s;
		entry.last_s = figures.last_s;
		entry.chain = read_chain(scan, arena, head.chain);
		more = scan->each(scan->context, key, &entry);
	}
	arena_free(arena);
out:
	buf_free(&text);
	return more;
}

enum store_result
history_scan(struct history *history, const struct history_query *query,
    bool (*each)(void *context, const char *key, const struct history_entry *entry), void *context)
{
	struct scan scan = { history, query, each, context };
	char after[HISTORY_KEY_MAX];
	int64_t hour = query->since_s > 0 ? query->since_s / 3600 : 0;

	if (history == NULL)
		return STORE_OK;
	write_waiting(history);
	(void)snprintf(after, sizeof(after), "e.%010" PRId64, hour);
	if (query->after != NULL && strcmp(query->after, after) > 0)
		(void)snprintf(after, sizeof(after), "%s", query->after);
	return store_scan(history->disk.store, STORE_HISTORY, after, see_entry, &scan);
}
