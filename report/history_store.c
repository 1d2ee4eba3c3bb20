/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/number.h"
#include "report/history_inside.h"

#define HOUR_S	3600
#define DAY_HOURS	24
#define BATCH	50	/* entries of one change: each holds locks on pages */
#define DROP	200
#define CHAIN_KEY	(2 + DIGEST_TEXT)

/* What an entry takes on disk: pages are about two thirds full. */
static uint64_t
size_of(size_t key, size_t value)
{
	return (key + value + 40) * 3 / 2;
}

struct addition {
	struct history_disk *disk;
	struct history_item *first, *end;	/* of the list: up to, and without, end */
	uint64_t entries_size, chains_size, hour_size;	/* after it */
	int64_t hour;
};

/* The chain once, with the day of its last use. */
static enum store_result
put_chain(struct addition *addition, struct store_change *change, const struct history_item *item)
{
	char key[CHAIN_KEY];
	struct buf value = { 0 };
	enum store_result result;
	uint64_t day = (uint64_t)item->hour / DAY_HOURS, before = 0, size;
	const char *at;

	(void)snprintf(key, sizeof(key), "c.%s", item->chain);
	result = store_change_get(change, STORE_HISTORY, key, &value);
	at = buf_text(&value);
	if (result == STORE_OK && number_take(&at, NUMBER_COUNT_MAX, &before) && before >= day)
		goto out;
	size = size_of(strlen(key), strlen(item->pem) + 6);
	if (result == STORE_FAILED ||
	    (result == STORE_ABSENT && addition->chains_size + size > addition->disk->max_size / 4))
		goto out;
	if (result == STORE_ABSENT)
		addition->chains_size += size;
	buf_clear(&value);
	buf_printf(&value, "%" PRIu64 "\n%s", day, item->pem);
	result = store_change_put(change, STORE_HISTORY, key, value.data, value.length, 0);
out:
	buf_free(&value);
	return result == STORE_FAILED ? STORE_FAILED : STORE_OK;
}

static enum store_result
put_entry(struct addition *addition, struct store_change *change, const struct history_item *item)
{
	struct history_figures sum = item->figures, before;
	struct buf value = { 0 };
	enum store_result result;
	const char *tail;
	uint64_t size;
	bool fresh;

	result = store_change_get(change, STORE_HISTORY, item->key, &value);
	fresh = result != STORE_OK || !history_figures_read(buf_text(&value), &before, &tail);
	if (result == STORE_FAILED)
		goto out;
	if (!fresh)
		history_figures_add(&sum, &before);
	buf_clear(&value);
	history_figures_write(&value, &sum);
	buf_add_text(&value, item->tail);
	size = size_of(strlen(item->key), value.length);
	if (fresh) {
		addition->entries_size += size;
		if (item->hour != addition->hour)
			addition->hour_size = 0;
		addition->hour = item->hour;
		addition->hour_size += size;
	}
	result = store_change_put(change, STORE_HISTORY, item->key, value.data, value.length, 0);
out:
	buf_free(&value);
	return result;
}

static enum store_result
add_batch(void *context, struct store_change *change)
{
	struct addition *addition = context;
	const struct history_disk *disk = addition->disk;
	enum store_result result = STORE_OK;
	struct history_item *item;

	addition->entries_size = disk->entries_size;
	addition->chains_size = disk->chains_size;
	addition->hour = disk->hour;
	addition->hour_size = disk->hour_size;
	for (item = addition->first; item != addition->end && result == STORE_OK;
	     item = item->next) {
		if (item->pem != NULL)
			result = put_chain(addition, change, item);
		if (result == STORE_OK)
			result = put_entry(addition, change, item);
	}
	return result;
}

enum store_result
history_disk_add(struct history_disk *disk, struct history_item **list)
{
	struct addition addition = { .disk = disk };
	enum store_result result = STORE_OK;
	struct history_item *item;
	unsigned count;

	while (*list != NULL && result == STORE_OK) {
		for (item = *list, count = 0; item != NULL && count < BATCH; count++)
			item = item->next;
		addition.first = *list;
		addition.end = item;
		/* The last change makes all of them durable. */
		result = store_change(disk->store, item == NULL ? STORE_SYNC : STORE_LAZY,
		    add_batch, &addition);
		if (result != STORE_OK)
			break;
		disk->entries_size = addition.entries_size;
		disk->chains_size = addition.chains_size;
		disk->hour = addition.hour;
		disk->hour_size = addition.hour_size;
		while ((item = *list) != addition.end) {
			*list = item->next;
			history_item_free(item);
		}
	}
	return result;
}

static bool
measure(void *context, const char *key, const void *value, size_t length)
{
	struct history_disk *disk = context;
	uint64_t size = size_of(strlen(key), length);
	int64_t hour;

	(void)value;
	if (key[0] != 'e') {
		disk->chains_size += size;
		return true;
	}
	hour = strtoll(key + 2, NULL, 10);
	if (hour != disk->hour)
		disk->hour_size = 0;
	disk->hour = hour;
	disk->hour_size += size;
	disk->entries_size += size;
	return true;
}

void
history_disk_measure(struct history_disk *disk)
{
	disk->entries_size = disk->chains_size = disk->hour_size = 0;
	disk->hour = 0;
	(void)store_scan(disk->store, STORE_HISTORY, "", measure, disk);
}

/* Entries that are to go. */
struct dropping {
	const struct history_disk *disk;
	int64_t hour;	/* entries before it go whatever there is room for */
	uint64_t day;	/* and chains that were last used before it */
	uint64_t surplus;	/* octets of entries that are too many */
	char keys[DROP][HISTORY_KEY_MAX];
	uint64_t size;	/* of those */
	size_t count;
};

static void
pick(struct dropping *dropping, const char *key, uint64_t size)
{
	(void)snprintf(dropping->keys[dropping->count++], HISTORY_KEY_MAX, "%s", key);
	dropping->size += size;
}

static bool
pick_entry(void *context, const char *key, const void *value, size_t length)
{
	struct dropping *dropping = context;

	(void)value;
	if (strtoll(key + 2, NULL, 10) >= dropping->hour && dropping->size >= dropping->surplus)
		return false;
	pick(dropping, key, size_of(strlen(key), length));
	return dropping->count < DROP;
}

static bool
pick_chain(void *context, const char *key, const void *value, size_t length)
{
	struct dropping *dropping = context;
	char text[24];
	const char *at = text;
	uint64_t day;

	if (key[0] != 'c')
		return false;
	(void)snprintf(text, sizeof(text), "%.*s", (int)(length < 20 ? length : 20),
	    (const char *)value);
	if (!number_take(&at, NUMBER_COUNT_MAX, &day) || day < dropping->day)
		pick(dropping, key, size_of(strlen(key), length));
	return dropping->count < DROP;
}

static enum store_result
drop_picked(void *context, struct store_change *change)
{
	const struct dropping *dropping = context;
	enum store_result result = STORE_OK;

	for (size_t i = 0; i < dropping->count && result != STORE_FAILED; i++)
		result = store_change_delete(change, STORE_HISTORY, dropping->keys[i]);
	return result == STORE_FAILED ? STORE_FAILED : STORE_OK;
}

static uint64_t
minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static bool
see_oldest(void *context, const char *key, const void *value, size_t length)
{
	(void)value;
	(void)length;
	*(uint64_t *)context = strtoull(key + 2, NULL, 10) / DAY_HOURS;
	return false;
}

static void
drop_chains(struct history_disk *disk, struct dropping *dropping)
{
	dropping->day = UINT64_MAX;
	(void)store_scan(disk->store, STORE_HISTORY, "e.", see_oldest, &dropping->day);
	do {
		dropping->count = 0;
		dropping->size = 0;
		(void)store_scan(disk->store, STORE_HISTORY, "", pick_chain, dropping);
		if (dropping->count == 0 ||
		    store_change(disk->store, STORE_LAZY, drop_picked, dropping) != STORE_OK)
			return;
		disk->chains_size = minus(disk->chains_size, dropping->size);
	} while (dropping->count == DROP);
}

void
history_disk_trim(struct history_disk *disk, int64_t now_s)
{
	struct dropping *dropping = xcalloc(1, sizeof(*dropping));
	bool dropped = false;

	dropping->disk = disk;
	dropping->hour = (now_s - disk->keep_s) / HOUR_S;
	do {
		dropping->count = 0;
		dropping->size = 0;
		dropping->surplus = minus(disk->entries_size + disk->chains_size, disk->max_size);
		(void)store_scan(disk->store, STORE_HISTORY, "e.", pick_entry, dropping);
		if (dropping->count == 0 ||
		    store_change(disk->store, STORE_LAZY, drop_picked, dropping) != STORE_OK)
			break;
		disk->entries_size = minus(disk->entries_size, dropping->size);
		dropped = true;
	} while (true);
	if (dropped)
		drop_chains(disk, dropping);
	free(dropping);
}
