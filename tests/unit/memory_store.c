/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/store/store.h"
#include "tests/unit/memory_store.h"

struct memory_store memory_store;

struct record {
	struct record *next;
	enum store_table table;
	char *key;
	struct buf value;
	int64_t purge_at;
};

/* In order of table and key. A change holds the lock while its work calls the functions below. */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static struct record *records;

static struct record **
place_of(enum store_table table, const char *key)
{
	struct record **at = &records;

	while (*at != NULL &&
	    ((*at)->table < table || ((*at)->table == table && strcmp((*at)->key, key) < 0)))
		at = &(*at)->next;
	return at;
}

static bool
is_there(const struct record *record, enum store_table table, const char *key)
{
	return record != NULL && record->table == table && strcmp(record->key, key) == 0;
}

static void
drop(struct record **at)
{
	struct record *record = *at;

	*at = record->next;
	free(record->key);
	buf_free(&record->value);
	free(record);
}

void
memory_store_reset(void)
{
	memory_store = (struct memory_store){ 0 };
	while (records != NULL)
		drop(&records);
}

struct store *
store_open(const char *backend, const char *directory, char *why, size_t why_room)
{
	(void)backend;
	(void)directory;
	(void)why;
	(void)why_room;
	return xcalloc(1, 1);
}

void
store_close(struct store *store)
{
	free(store);
}

bool
store_was_damaged(const struct store *store)
{
	(void)store;
	return memory_store.damaged_at != 0;
}

int64_t
store_damaged_at(const struct store *store)
{
	(void)store;
	return memory_store.damaged_at;
}

enum store_result
store_get(struct store *store, enum store_table table, const char *key, struct buf *value)
{
	const struct record *record;
	bool found;

	(void)store;
	if (memory_store.reads_fail)
		return STORE_FAILED;
	pthread_mutex_lock(&lock);
	record = *place_of(table, key);
	found = is_there(record, table, key);
	if (found)
		buf_add(value, record->value.data, record->value.length);
	pthread_mutex_unlock(&lock);
	return found ? STORE_OK : STORE_ABSENT;
}

enum store_result
store_put(struct store *store, enum store_table table, const char *key, const void *value,
    size_t length, int64_t purge_at, enum store_sync sync)
{
	struct record **at, *record;

	(void)store;
	(void)sync;
	if (memory_store.writes_fail)
		return STORE_FAILED;
	pthread_mutex_lock(&lock);
	at = place_of(table, key);
	record = *at;
	if (!is_there(record, table, key)) {
		record = xcalloc(1, sizeof(*record));
		record->next = *at;
		record->table = table;
		record->key = xstrdup(key);
		*at = record;
	}
	buf_clear(&record->value);
	buf_add(&record->value, value, length);
	record->purge_at = purge_at;
	pthread_mutex_unlock(&lock);
	return STORE_OK;
}

enum store_result
store_delete(struct store *store, enum store_table table, const char *key, enum store_sync sync)
{
	struct record **at;
	bool found;

	(void)store;
	(void)sync;
	if (memory_store.writes_fail)
		return STORE_FAILED;
	pthread_mutex_lock(&lock);
	at = place_of(table, key);
	found = is_there(*at, table, key);
	if (found)
		drop(at);
	pthread_mutex_unlock(&lock);
	return found ? STORE_OK : STORE_ABSENT;
}

/* The record that comes after a key. */
static bool
next_of(enum store_table table, const char *after, char **key, struct buf *value)
{
	const struct record *record;
	bool found;

	pthread_mutex_lock(&lock);
	record = *place_of(table, after);
	if (is_there(record, table, after))
		record = record->next;
	found = record != NULL && record->table == table;
	if (found) {
		*key = xstrdup(record->key);
		buf_add(value, record->value.data, record->value.length);
	}
	pthread_mutex_unlock(&lock);
	return found;
}

enum store_result
store_scan(struct store *store, enum store_table table, const char *after,
    bool (*each)(void *context, const char *key, const void *value, size_t length), void *context)
{
	char *last = xstrdup(after), *key;
	bool more = true;

	(void)store;
	while (more && !memory_store.reads_fail) {
		struct buf value = { 0 };

		if (!next_of(table, last, &key, &value))
			break;
		more = each(context, key, buf_text(&value), value.length);
		buf_free(&value);
		free(last);
		last = key;
	}
	free(last);
	return memory_store.reads_fail ? STORE_FAILED : STORE_OK;
}

enum store_result
store_purge(struct store *store, enum store_table table, int64_t now)
{
	(void)store;
	pthread_mutex_lock(&lock);
	for (struct record **at = &records; *at != NULL;) {
		if ((*at)->table == table && (*at)->purge_at != 0 && (*at)->purge_at <= now)
			drop(at);
		else
			at = &(*at)->next;
	}
	pthread_mutex_unlock(&lock);
	return STORE_OK;
}

enum store_result
store_checkpoint(struct store *store)
{
	(void)store;
	return STORE_OK;
}

/* What a change has written is there at once, and stays though the change fails: for tests of what
 * becomes of a change that cannot be written at all. */
enum store_result
store_change(struct store *store, enum store_sync sync,
    enum store_result (*work)(void *context, struct store_change *change), void *context)
{
	enum store_result result;

	(void)store;
	(void)sync;
	if (memory_store.writes_fail)
		return STORE_FAILED;
	pthread_mutex_lock(&lock);
	result = work(context, NULL);
	pthread_mutex_unlock(&lock);
	return result;
}

enum store_result
store_change_get(struct store_change *change, enum store_table table, const char *key,
    struct buf *value)
{
	(void)change;
	return store_get(NULL, table, key, value);
}

enum store_result
store_change_put(struct store_change *change, enum store_table table, const char *key,
    const void *value, size_t length, int64_t purge_at)
{
	(void)change;
	return store_put(NULL, table, key, value, length, purge_at, STORE_LAZY);
}

enum store_result
store_change_delete(struct store_change *change, enum store_table table, const char *key)
{
	(void)change;
	return store_delete(NULL, table, key, STORE_LAZY);
}
