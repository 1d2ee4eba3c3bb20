/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/number.h"
#include "report/outbox.h"

/* "i " or "w SECOND ", DAY, DOMAIN, RECORD and RUA with blanks between them */
#define KEY_ROOM	(16 + DAY_TEXT + DOMAIN_MAX + 2 * DIGEST_TEXT)
#define ERROR_MAX	300
#define TRIES_MAX	1000000

static const char *const state_names[] = {
	[OUTBOX_WAITING] = "waiting",
	[OUTBOX_TAKEN] = "taken",
	[OUTBOX_GIVEN_UP] = "given-up",
};

const char *
outbox_state_name(enum outbox_state state)
{
	return state_names[state];
}

const char *
outbox_key(struct arena *arena, const struct outbox_entry *entry)
{
	const char *uri = arena_printf(arena, "%s:%s", rua_scheme_name(entry->scheme),
	    entry->target);
	char day[DAY_TEXT], rua[DIGEST_TEXT];

	day_format(entry->day, day);
	digest(uri, strlen(uri), rua);
	return arena_printf(arena, "%s %s %s %s", day, entry->domain, entry->record, rua);
}

static void
entry_key(char room[KEY_ROOM], const char *key)
{
	(void)snprintf(room, KEY_ROOM, "i %s", key);
}

/* Ten digits keep the order of time until 2286. */
static void
waiting_key(char room[KEY_ROOM], int64_t next_s, const char *key)
{
	(void)snprintf(room, KEY_ROOM, "w %010" PRId64 " %s", next_s, key);
}

/* "STATE TRIES FIRST NEXT SCHEME TARGET\nERROR": targets hold no blanks. */
static const char *
write_entry(struct arena *arena, const struct outbox_entry *entry)
{
	return arena_printf(arena, "%d %u %" PRId64 " %" PRId64 " %s %s\n%.*s", (int)entry->state,
	    entry->tries, entry->first_s, entry->next_s, rua_scheme_name(entry->scheme),
	    entry->target, ERROR_MAX, entry->error);
}

/* The kinds of receivers. */
static bool
read_target(const char *scheme, const char *target, struct outbox_entry *entry)
{
	const size_t https = strlen("https://");

	entry->target = target;
	if (strcmp(scheme, rua_scheme_name(RUA_MAILTO)) == 0) {
		entry->scheme = RUA_MAILTO;
		return strchr(target, '@') != NULL;
	}
	entry->scheme = RUA_HTTPS;
	return strcmp(scheme, rua_scheme_name(RUA_HTTPS)) == 0 &&
	    strncasecmp(target, "https://", https) == 0 && target[https] != '\0';
}

static int
read_entry(struct arena *arena, const char *value, size_t length, struct outbox_entry *entry)
{
	char *text = arena_strndup(arena, value, length), *line = strchr(text, '\n'), *scheme, *end;
	const char *at = text;
	uint64_t state, tries;

	if (line == NULL)
		return -1;
	*line = '\0';
	if (!number_take(&at, OUTBOX_GIVEN_UP, &state) || !number_skip(&at, ' ') ||
	    !number_take(&at, TRIES_MAX, &tries) || !number_skip(&at, ' ') ||
	    !number_take_wall(&at, &entry->first_s) || !number_skip(&at, ' ') ||
	    !number_take_wall(&at, &entry->next_s) || !number_skip(&at, ' '))
		return -1;
	scheme = text + (at - text);
	end = strchr(scheme, ' ');
	if (end == NULL)
		return -1;
	*end = '\0';
	entry->state = (enum outbox_state)state;
	entry->tries = (unsigned)tries;
	entry->error = line + 1;
	return read_target(scheme, end + 1, entry) ? 0 : -1;
}

/* day, domain and record from "DAY DOMAIN RECORD RUA" */
static int
read_key(const char *key, struct outbox_entry *entry)
{
	char day[DAY_TEXT];

	_Static_assert(DAY_TEXT == 11 && DOMAIN_MAX == 254 && DIGEST_TEXT == 21, "as below");
	return sscanf(key, "%10s %253s %20s", day, entry->domain, entry->record) == 3
	    ? day_parse(day, &entry->day)
	    : -1;
}

enum store_result
outbox_read_key(struct store *store, struct arena *arena, const char *key,
    struct outbox_entry *entry)
{
	struct buf value = { 0 };
	char room[KEY_ROOM];
	enum store_result result;

	entry_key(room, key);
	result = store_get(store, STORE_OUTBOX, room, &value);
	if (result == STORE_OK &&
	    (read_key(key, entry) != 0 ||
		read_entry(arena, buf_text(&value), value.length, entry) != 0))
		result = STORE_ABSENT;
	buf_free(&value);
	return result;
}

enum store_result
outbox_read(struct store *store, struct arena *arena, struct outbox_entry *entry)
{
	return outbox_read_key(store, arena, outbox_key(arena, entry), entry);
}

/* One report more for a receiver. */
struct counting {
	char kind;	/* 'n' or 'f', as in the header */
	int64_t day;
	struct outbox_bound *bound;
	int64_t purge_at;
};

static enum store_result
count_one(const struct counting *counting, struct store_change *change)
{
	struct outbox_bound *bound = counting->bound;
	struct buf value = { 0 };
	char key[KEY_ROOM], day[DAY_TEXT], receiver[DIGEST_TEXT], text[32];
	const char *at;
	uint64_t count = 0;
	bool told = false;
	enum store_result result;

	day_format(counting->day, day);
	digest(bound->receiver, strlen(bound->receiver), receiver);
	(void)snprintf(key, sizeof(key), "%c %s %s", counting->kind, day, receiver);
	result = store_change_get(change, STORE_OUTBOX, key, &value);
	if (result == STORE_OK) {
		at = buf_text(&value);
		told = number_take(&at, NUMBER_COUNT_MAX, &count) && *at == '!';
	}
	buf_free(&value);
	if (result == STORE_FAILED)
		return result;
	bound->beyond = count >= bound->most;
	bound->untold = bound->beyond && !told;
	(void)snprintf(text, sizeof(text), "%" PRIu64 "%s", count + !bound->beyond,
	    told || bound->beyond ? "!" : "");
	return bound->beyond && told
	    ? STORE_OK
	    : store_change_put(change, STORE_OUTBOX, key, text, strlen(text), counting->purge_at);
}

static enum store_result
count_alone(void *context, struct store_change *change)
{
	return count_one(context, change);
}

enum store_result
outbox_count(struct store *store, int64_t day, struct outbox_bound *bound, int64_t purge_at)
{
	struct counting counting = { 'f', day, bound, purge_at };

	bound->beyond = bound->untold = false;
	return store_change(store, STORE_LAZY, count_alone, &counting);
}

/* The new entry, and the second it waited for. */
struct writing {
	struct arena *arena;
	const struct outbox_entry *entry;
	const char *key;
	int64_t was_next_s;	/* 0: it did not wait */
	bool only_new;
	struct outbox_bound *bound;	/* NULL: none */
	int64_t purge_at;
};

static enum store_result
put(const struct writing *writing, struct store_change *change, const char *key, const char *value)
{
	return store_change_put(change, STORE_OUTBOX, key, value, strlen(value), writing->purge_at);
}

static enum store_result
write_both(void *context, struct store_change *change)
{
	const struct writing *writing = context;
	struct buf value = { 0 };
	enum store_result result = STORE_OK;
	char room[KEY_ROOM];

	entry_key(room, writing->key);
	if (writing->only_new) {
		result = store_change_get(change, STORE_OUTBOX, room, &value);
		buf_free(&value);
		if (result != STORE_ABSENT)
			return result == STORE_OK ? STORE_ABSENT : result;
	}
	if (writing->bound != NULL) {
		const struct counting counting = { 'n', writing->entry->day, writing->bound,
			writing->purge_at };

		result = count_one(&counting, change);
		if (result != STORE_OK || writing->bound->beyond)
			return result;
	}
	result = put(writing, change, room, write_entry(writing->arena, writing->entry));
	if (result == STORE_OK && writing->was_next_s != 0) {
		waiting_key(room, writing->was_next_s, writing->key);
		result = store_change_delete(change, STORE_OUTBOX, room);
		if (result == STORE_ABSENT)
			result = STORE_OK;
	}
	if (result == STORE_OK && writing->entry->state == OUTBOX_WAITING) {
		waiting_key(room, writing->entry->next_s, writing->key);
		result = put(writing, change, room, "");
	}
	return result;
}

static enum store_result
write_entries(struct store *store, struct writing *writing)
{
	enum store_result result;

	writing->arena = arena_new();
	writing->key = outbox_key(writing->arena, writing->entry);
	result = store_change(store, STORE_LAZY, write_both, writing);
	arena_free(writing->arena);
	return result;
}

enum store_result
outbox_add(struct store *store, const struct outbox_entry *entry, struct outbox_bound *bound,
    int64_t purge_at, int64_t now)
{
	struct outbox_entry fresh = *entry;
	struct writing writing = {
		.entry = &fresh, .only_new = true, .bound = bound, .purge_at = purge_at
	};
	enum store_result result;

	if (bound != NULL)
		bound->beyond = bound->untold = false;
	fresh.state = OUTBOX_WAITING;
	fresh.tries = 0;
	fresh.first_s = 0;
	fresh.next_s = now;
	fresh.error = "";
	result = write_entries(store, &writing);
	return result == STORE_ABSENT ? STORE_OK : result;
}

/* The last try is as late as it may be: a receiver that is back within the day gets its report. */
static void
schedule(struct outbox_entry *entry, int64_t now)
{
	int64_t gap = OUTBOX_FIRST_GAP_S << (entry->tries < 16 ? entry->tries : 16) >> 1;
	int64_t last = entry->first_s + OUTBOX_TIME_S;

	if (now >= last)
		entry->state = OUTBOX_GIVEN_UP;
	entry->next_s = entry->state == OUTBOX_WAITING && now + gap > last ? last : now + gap;
}

enum store_result
outbox_settle(struct store *store, struct outbox_entry *entry, bool taken, int64_t purge_at,
    int64_t now)
{
	struct writing writing = {
		.entry = entry, .was_next_s = entry->next_s, .purge_at = purge_at
	};

	entry->tries++;
	if (entry->first_s == 0)
		entry->first_s = now;
	if (taken) {
		entry->state = OUTBOX_TAKEN;
		entry->error = "";
	} else {
		schedule(entry, now);
	}
	if (entry->state != OUTBOX_WAITING)
		entry->next_s = now;
	return write_entries(store, &writing);
}

enum store_result
outbox_give_up(struct store *store, struct outbox_entry *entry, int64_t purge_at, int64_t now)
{
	struct writing writing = {
		.entry = entry, .was_next_s = entry->next_s, .purge_at = purge_at
	};

	entry->state = OUTBOX_GIVEN_UP;
	entry->next_s = now;
	return write_entries(store, &writing);
}

struct due {
	int64_t now;
	bool (*each)(void *context, const char *key);
	void *context;
};

static bool
take_due(void *context, const char *key, const void *value, size_t length)
{
	const struct due *due = context;
	int64_t next_s;
	const char *at = key;

	(void)value, (void)length;
	/* A damaged entry does not block those after it. */
	if (!number_skip(&at, 'w'))
		return false;
	if (!number_skip(&at, ' ') || !number_take_wall(&at, &next_s) || !number_skip(&at, ' '))
		return true;
	return next_s <= due->now && due->each(due->context, at);
}

enum store_result
outbox_due(struct store *store, int64_t now, bool (*each)(void *context, const char *key),
    void *context)
{
	struct due due = { now, each, context };

	return store_scan(store, STORE_OUTBOX, "w ", take_due, &due);
}

struct listing {
	char prefix[KEY_ROOM];
	bool (*each)(void *context, const char *key, const struct outbox_entry *entry);
	void *context;
};

static bool
take_listed(void *context, const char *key, const void *value, size_t length)
{
	const struct listing *listing = context;
	struct outbox_entry entry;
	struct arena *arena;
	bool more;

	if (strncmp(key, listing->prefix, strlen(listing->prefix)) != 0)
		return false;
	arena = arena_new();
	more = read_key(key + 2, &entry) != 0 || read_entry(arena, value, length, &entry) != 0 ||
	    listing->each(listing->context, key + 2, &entry);
	arena_free(arena);
	return more;
}

enum store_result
outbox_scan(struct store *store, int64_t day, const char *domain, const char *after,
    bool (*each)(void *context, const char *key, const struct outbox_entry *entry), void *context)
{
	char from[KEY_ROOM];
	struct listing listing = { .each = each, .context = context };
	char text[DAY_TEXT];

	day_format(day, text);
	(void)snprintf(listing.prefix, sizeof(listing.prefix), "i %s %s%s", text, domain,
	    domain[0] != '\0' ? " " : "");
	(void)snprintf(from, sizeof(from), "i %s %s!", text, after);
	return store_scan(store, STORE_OUTBOX, after[0] != '\0' ? from : listing.prefix,
	    take_listed, &listing);
}

static void
day_key(char room[KEY_ROOM], int64_t day)
{
	char text[DAY_TEXT];

	day_format(day, text);
	(void)snprintf(room, KEY_ROOM, "p %s", text);
}

/* "SEND_AT DONE DOMAIN" */
static int
read_day(const char *text, struct outbox_day *state)
{
	uint64_t done;

	if (!number_take_wall(&text, &state->send_at_s) || !number_skip(&text, ' ') ||
	    !number_take(&text, 1, &done) || !number_skip(&text, ' ') ||
	    strlen(text) >= sizeof(state->domain))
		return -1;
	state->done = done == 1;
	memcpy(state->domain, text, strlen(text) + 1);
	return 0;
}

enum store_result
outbox_day_read(struct store *store, int64_t day, struct outbox_day *state)
{
	struct buf value = { 0 };
	char key[KEY_ROOM];
	enum store_result result;

	*state = (struct outbox_day){ .send_at_s = 0 };
	day_key(key, day);
	result = store_get(store, STORE_OUTBOX, key, &value);
	if (result == STORE_OK && read_day(buf_text(&value), state) != 0) {
		*state = (struct outbox_day){ .send_at_s = 0 };
		result = STORE_ABSENT;
	}
	buf_free(&value);
	return result;
}

enum store_result
outbox_day_write(struct store *store, int64_t day, const struct outbox_day *state, int64_t purge_at)
{
	char key[KEY_ROOM], value[DOMAIN_MAX + 32];

	day_key(key, day);
	(void)snprintf(value, sizeof(value), "%" PRId64 " %d %s", state->send_at_s,
	    state->done ? 1 : 0, state->domain);
	return store_put(store, STORE_OUTBOX, key, value, strlen(value), purge_at, STORE_SYNC);
}
