/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/arena.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/store/bdb.h"
#include "base/store/child.h"
#include "base/store/store.h"
#include "base/store/store_change.h"
#include "base/store/store_dir.h"
#include "base/store/store_mark.h"
#include "base/store/store_record.h"

#define FORMAT	1	/* raised when an older stsgated could no longer read what we write */
#define PATH_ROOM	4096
#define MESSAGES_MAX	20	/* of Berkeley DB's, between two writes that work */
#define RECOVER_MS	10000	/* between two attempts while it runs */
#define TABLE_COUNT	(sizeof(table_names) / sizeof(table_names[0]))

struct store {
	char *directory;	/* the state directory */
	char *home;	/* DIRECTORY/bdb, the environment */
	char *fresh;	/* DIRECTORY/bdb.new, what is salvaged, until it is complete */
	int lock_fd;
	pthread_rwlock_t lock;	/* the writer may change bdb */
	struct bdb *bdb;
	int64_t damaged_at;
	bool was_damaged;
	atomic_bool broken;	/* and said so */
	atomic_bool is_damaged;	/* until it is opened again */
	_Atomic int64_t recover_at;	/* monotonic ms: not before */
	atomic_uint messages;	/* of Berkeley DB's since then */
	atomic_int trouble;	/* why the last write failed, 0: it did not */
};

static const char *const table_names[] = {
	[STORE_POLICIES] = "policies",
	[STORE_DUE] = "due",
	[STORE_COLD_FAILURES] = "grace",
	[STORE_CLOCK] = "clock",
	[STORE_TALLY] = "tally",
	[STORE_OUTBOX] = "outbox",
	[STORE_HISTORY] = "history",
};

/* Berkeley DB's own words. A full disk says so once, not for every write, and a damaged file not
 * for every page. */
static void
on_message(void *context, const char *message)
{
	struct store *store = context;
	bool enough = store->trouble != 0 || atomic_fetch_add(&store->messages, 1) >= MESSAGES_MAX;

	log_message(enough ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "store", "Berkeley DB: %s",
	    message);
}

/* Damage that recovery does not repair. */
static bool
is_lasting(int error)
{
	return error != BDB_BROKEN && bdb_is_damage(error);
}

static const char *
advice(int error)
{
	if (error == BDB_BROKEN)
		return "nothing, if the store is recovered in a moment; else restart stsgated";
	if (error == ENOSPC || error == EDQUOT)
		return "make room: until then policies are kept in memory alone";
	if (is_lasting(error))
		return "restart stsgated, which then sets the damaged store aside and salvages it";
	return NULL;
}

static enum store_result
failed(struct store *store, const char *what, enum store_table table, const char *key, int error)
{
	struct log_line line;
	const char *action = advice(error);
	bool said = error == BDB_BROKEN ? atomic_exchange(&store->broken, true)
					: atomic_exchange(&store->trouble, error) == error;

	metrics_count(METRIC_STORE_FAILURES, what, NULL);
	if (is_lasting(error) && !said) {
		store->is_damaged = true;
		store_mark_suspect(store->directory);
		log_begin(&line, LOG_LEVEL_ERROR, "store");
		log_format(&line, "msg", "%s failed", what);
		log_text(&line, "table", table_names[table]);
		log_text(&line, "key", key);
		log_text(&line, "error", bdb_error_text(error));
		log_text(&line, "do", action);
		log_end(&line);
	}
	(void)alarm_begin(ALARM_STORE, "", "%s in table %s of %s failed: %s%s%s", what,
	    table_names[table], store->home, bdb_error_text(error), action != NULL ? "; " : "",
	    action != NULL ? action : "");
	return STORE_FAILED;
}

static enum store_result
written(struct store *store)
{
	if (store->messages != 0)
		store->messages = 0;
	if (store->trouble != 0 && atomic_exchange(&store->trouble, 0) != 0 && !store->is_damaged)
		alarm_end(ALARM_STORE, "", "writing to %s works again", store->home);
	return STORE_OK;
}

static int
home_open(struct store *store, const char *home, bool existing, bool verify, struct bdb **bdb)
{
	const struct bdb_plan plan = { .home = home,
		.format = FORMAT,
		.tables = table_names,
		.count = TABLE_COUNT,
		.existing = existing,
		.verify = verify,
		.say = on_message,
		.context = store };

	return bdb_open(&plan, bdb);
}

/* Something has broken the environment, say a log file that could not be made for want of
 * descriptors. It is recovered as after a crash; until that works the broken one stays. */
static void
recover(struct store *store)
{
	struct bdb *fresh;

	if (pthread_rwlock_trywrlock(&store->lock) != 0)
		return;
	if (store->broken && clock_monotonic_ms() >= store->recover_at) {
		store->recover_at = clock_monotonic_ms() + RECOVER_MS;
		if (home_open(store, store->home, true, false, &fresh) == 0) {
			(void)bdb_close(store->bdb);
			store->bdb = fresh;
			store->broken = false;
			store->trouble = 0;
			alarm_end(ALARM_STORE, "", "%s was recovered", store->home);
		}
	}
	(void)pthread_rwlock_unlock(&store->lock);
}

static struct bdb *
acquire(struct store *store)
{
	if (store->broken && clock_monotonic_ms() >= store->recover_at)
		recover(store);
	(void)pthread_rwlock_rdlock(&store->lock);
	return store->bdb;
}

static int
release(struct store *store, int error)
{
	(void)pthread_rwlock_unlock(&store->lock);
	return error;
}

enum store_result
store_get(struct store *store, enum store_table table, const char *key, struct buf *value)
{
	struct buf record = { 0 };
	const void *octets;
	size_t length;
	int error = release(store, bdb_get(acquire(store), table, key, &record));

	if (error == 0 &&
	    store_record_unpack(key, strlen(key), record.data, record.length, &octets, &length) !=
		0)
		error = BDB_BAD;
	if (error == 0) {
		buf_clear(value);
		buf_add(value, octets, length);
	}
	buf_free(&record);
	if (error == BDB_ABSENT)
		return STORE_ABSENT;
	return error == 0 ? STORE_OK : failed(store, "get", table, key, error);
}

enum store_result
store_put(struct store *store, enum store_table table, const char *key, const void *value,
    size_t length, int64_t purge_at, enum store_sync sync)
{
	struct buf record = { 0 };
	int error;

	store_record_pack(&record, key, value, length, purge_at);
	error = release(store, bdb_put(acquire(store), table, key, &record, sync == STORE_SYNC));
	buf_free(&record);
	return error == 0 ? written(store) : failed(store, "put", table, key, error);
}

enum store_result
store_delete(struct store *store, enum store_table table, const char *key, enum store_sync sync)
{
	int error = release(store, bdb_delete(acquire(store), table, key, sync == STORE_SYNC));

	if (error == BDB_ABSENT)
		return STORE_ABSENT;
	return error == 0 ? written(store) : failed(store, "delete", table, key, error);
}

/* Hands the batch's entries out until each has enough. 0 or BDB_BAD. */
static int
hand_out(const struct bdb_batch *batch,
    bool (*each)(void *context, const char *key, const void *value, size_t length), void *context,
    bool *more)
{
	const void *value;
	size_t i, length;

	for (i = 0; i < batch->count && *more; i++) {
		if (store_record_unpack(bdb_batch_key(batch, i), batch->entries[i].key_length,
			bdb_batch_record(batch, i), batch->entries[i].record_length, &value,
			&length) != 0)
			return BDB_BAD;
		*more = each(context, bdb_batch_key(batch, i), value, length);
	}
	return 0;
}

/* Of bdb while it is being opened, or of the store, which is held for no longer than this. */
static int
next_batch(struct store *store, struct bdb *bdb, enum store_table table, struct bdb_batch *batch)
{
	if (bdb != NULL)
		return bdb_batch_next(bdb, table, batch);
	return release(store, bdb_batch_next(acquire(store), table, batch));
}

static int
scan(struct store *store, struct bdb *bdb, enum store_table table, const char *after,
    bool (*each)(void *context, const char *key, const void *value, size_t length), void *context)
{
	struct bdb_batch batch = { .head = 0 };
	bool more = true;
	int error = 0;

	buf_add_text(&batch.position, after);
	while (error == 0 && more && !batch.end) {
		error = next_batch(store, bdb, table, &batch);
		if (error == 0)
			error = hand_out(&batch, each, context, &more);
	}
	bdb_batch_free(&batch);
	return error;
}

enum store_result
store_scan(struct store *store, enum store_table table, const char *after,
    bool (*each)(void *context, const char *key, const void *value, size_t length), void *context)
{
	int error = scan(store, NULL, table, after, each, context);

	return error == 0 ? STORE_OK : failed(store, "scan", table, after, error);
}

enum store_result
store_change(struct store *store, enum store_sync sync,
    enum store_result (*work)(void *context, struct store_change *change), void *context)
{
	struct store_change change = { .work = work, .context = context };
	int error = release(store,
	    bdb_change(acquire(store), sync == STORE_SYNC, store_change_run, &change));

	if (error == STORE_CHANGE_UNDONE)
		return change.result;
	return error == 0 ? written(store)
			  : failed(store, "change", change.table, change.key, error);
}

static int
purge_table(struct bdb *bdb, enum store_table table, int64_t now)
{
	struct bdb_batch batch = {
		.head = STORE_RECORD_HEAD, .want = store_record_is_due, .argument = now
	};
	int error = 0;
	size_t i;

	while (error == 0 && !batch.end) {
		error = bdb_batch_next(bdb, table, &batch);
		for (i = 0; i < batch.count && error == 0; i++) {
			/* It may have been renewed since it was looked at. */
			error = bdb_delete_if(bdb, table, bdb_batch_key(&batch, i),
			    store_record_is_due, now);
			if (error == BDB_ABSENT)
				error = 0;
		}
	}
	bdb_batch_free(&batch);
	return error;
}

enum store_result
store_purge(struct store *store, enum store_table table, int64_t now)
{
	int error = release(store, purge_table(acquire(store), table, now));

	return error == 0 ? STORE_OK : failed(store, "purge", table, NULL, error);
}

enum store_result
store_checkpoint(struct store *store)
{
	int error = release(store, bdb_checkpoint(acquire(store)));

	return error == 0 ? STORE_OK : failed(store, "checkpoint", STORE_POLICIES, NULL, error);
}

bool
store_was_damaged(const struct store *store)
{
	return store->was_damaged;
}

int64_t
store_damaged_at(const struct store *store)
{
	return store->damaged_at;
}

struct child_task {
	struct store *store;
	int (*task)(struct store *store, void *context);
	void *context;
};

static int
run_task(void *context)
{
	const struct child_task *task = context;

	return task->task(task->store, task->context);
}

/* Reading damaged files may crash, and must not crash this process. */
static int
in_child(struct store *store, int (*task)(struct store *store, void *context), void *context)
{
	struct child_task child = { store, task, context };
	bool crashed;
	int error = child_run(run_task, &child, &crashed);

	return crashed ? BDB_BAD : error;
}

static bool
look_at_one(void *context, const char *key, const void *value, size_t length)
{
	(void)context, (void)key, (void)value, (void)length;
	return true;
}

/* Recovers and reads everything once: damage is found now, and not by the message that needs the
 * policy. */
static int
examine(struct store *store, void *context)
{
	struct bdb *bdb = NULL;
	size_t table;
	int error, last;

	(void)context;
	error = home_open(store, store->home, false, true, &bdb);
	for (table = 0; table < TABLE_COUNT && error == 0; table++)
		error = scan(NULL, bdb, (enum store_table)table, "", look_at_one, NULL);
	last = bdb_close(bdb);
	return error != 0 ? error : last;
}

struct salvage {
	struct bdb *to;
	size_t table, saved;
	int error;
};

static bool
salvage_one(void *context, const char *key, const struct buf *record)
{
	struct salvage *salvage = context;

	salvage->error = bdb_put(salvage->to, salvage->table, key, record, false);
	salvage->saved++;
	return salvage->error == 0;
}

/* The dump is a file without a name next to the fresh environment. */
static FILE *
dump_open(const struct store *store)
{
	char path[PATH_ROOM];
	FILE *dump;

	(void)snprintf(path, sizeof(path), "%s/dump", store->fresh);
	dump = fopen(path, "w+xe");
	if (dump == NULL)
		return NULL;
	(void)unlink(path);
	/* a crash takes no more than a line with it */
	(void)setvbuf(dump, NULL, _IOLBF, BUFSIZ);
	return dump;
}

struct dump {
	size_t table;
	FILE *file;
};

static int
write_dump(struct store *store, void *context)
{
	const struct dump *dump = context;
	int error = bdb_salvage(store->home, table_names[dump->table], dump->file);

	return fflush(dump->file) != 0 || ferror(dump->file) != 0 ? errno : error;
}

static int
salvage_table(struct store *store, struct bdb *to, size_t table)
{
	struct dump dump = { table, dump_open(store) };
	struct salvage salvage = { .to = to, .table = table };
	size_t left_over = 0;
	int damage;

	if (dump.file == NULL)
		return errno;
	damage = in_child(store, write_dump, &dump);
	if (damage == 0 || bdb_is_damage(damage)) {
		rewind(dump.file);
		left_over = store_record_read_dump(dump.file, salvage_one, &salvage);
	} else {
		salvage.error = damage;
	}
	(void)fclose(dump.file);
	log_message(LOG_LEVEL_ERROR, "store",
	    "salvaged table %s: %zu entries saved, %zu pieces unreadable%s", table_names[table],
	    salvage.saved, left_over, damage == 0 ? "" : ", more may be lost");
	return salvage.error;
}

/* Builds the fresh environment; the damaged one is only read. */
static int
salvage_all(struct store *store)
{
	struct bdb *to = NULL;
	size_t table;
	int error, last;

	error = home_open(store, store->fresh, false, false, &to);
	for (table = 0; table < TABLE_COUNT && error == 0; table++)
		error = salvage_table(store, to, table);
	if (error == 0)
		error = bdb_number_put(to, "damaged-at", clock_wall_s());
	last = bdb_close(to);
	return error != 0 ? error : last;
}

/* A crash at any point leaves either the damaged environment in its place, to be salvaged again, or
 * the complete fresh one, which settle() puts there. */
static int
set_aside(struct store *store, int damage, char *why, size_t why_room)
{
	char path[PATH_ROOM];
	int error;

	store_dir_aside(store->home, path, sizeof(path));
	log_message(LOG_LEVEL_ERROR, "store",
	    "%s is damaged (%s): it is set aside as %s, and the readable records are kept; "
	    "policies may have been lost",
	    store->home, bdb_error_text(damage), path);
	if (store_dir_make(store->fresh, why, why_room) != 0)
		return -1;
	error = salvage_all(store);
	if (error != 0) {
		(void)snprintf(why, why_room, "%s is damaged and cannot be salvaged into %s: %s",
		    store->home, store->fresh, bdb_error_text(error));
		return -1;
	}
	store->was_damaged = true;
	if (store_dir_sync(store->fresh, why, why_room) != 0 ||
	    store_dir_rename(store->home, path, why, why_room) != 0 ||
	    store_dir_rename(store->fresh, store->home, why, why_room) != 0)
		return -1;
	return store_dir_sync(store->directory, why, why_room);
}

/* After a crash in the middle of set_aside(). */
static int
settle(const struct store *store, char *why, size_t why_room)
{
	if (store_dir_exists(store->home))
		return 0;
	if (store_dir_exists(store->fresh))
		return store_dir_rename(store->fresh, store->home, why, why_room);
	return store_dir_make(store->home, why, why_room);
}

static void
explain(const struct store *store, int error, char *why, size_t why_room)
{
	if (error == BDB_NEWER)
		(void)snprintf(why, why_room,
		    "%s was written by a newer stsgated: install the "
		    "newer version again, or move the directory away",
		    store->home);
	else
		(void)snprintf(why, why_room, "%s: %s", store->home, bdb_error_text(error));
}

/* 0, or an error; BDB_BAD when it may not be opened without having been read. */
static int
open_sound(struct store *store)
{
	if (!store_mark_is_sound(store->directory, store->home))
		return BDB_BAD;
	store_mark_opened(store->directory, false);
	return home_open(store, store->home, true, false, &store->bdb);
}

static int
open_or_salvage(struct store *store, char *why, size_t why_room)
{
	int error;

	if (settle(store, why, why_room) != 0)
		return -1;
	error = open_sound(store);
	if (bdb_is_damage(error)) {
		error = in_child(store, examine, NULL);
		if (bdb_is_damage(error)) {
			if (set_aside(store, error, why, why_room) != 0)
				return -1;
			error = 0;
		}
		store_mark_opened(store->directory, true);
		if (error == 0)
			error = home_open(store, store->home, true, false, &store->bdb);
	}
	if (error == 0)
		error = bdb_number_get(store->bdb, "damaged-at", &store->damaged_at);
	if (error == 0 || error == BDB_ABSENT)
		return store_dir_sync(store->directory, why, why_room);
	explain(store, error, why, why_room);
	return -1;
}

static char *
path_in(const char *directory, const char *name)
{
	char path[PATH_ROOM];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return xstrdup(path);
}

struct store *
store_open(const char *backend, const char *directory, char *why, size_t why_room)
{
	struct store *store;

	if (strcmp(backend, "bdb") != 0) {
		(void)snprintf(why, why_room, "there is no store \"%s\", only \"bdb\"", backend);
		return NULL;
	}
	store = xcalloc(1, sizeof(*store));
	store->directory = xstrdup(directory);
	store->home = path_in(directory, "bdb");
	store->fresh = path_in(directory, "bdb.new");
	(void)pthread_rwlock_init(&store->lock, NULL);
	store->lock_fd = store_dir_lock(directory, why, why_room);
	if (store->lock_fd >= 0 && open_or_salvage(store, why, why_room) == 0)
		return store;
	store_close(store);
	return NULL;
}

void
store_close(struct store *store)
{
	if (store == NULL)
		return;
	if (store->bdb != NULL && bdb_close(store->bdb) == 0)
		store_mark_closed(store->directory, store->home);
	if (store->lock_fd >= 0)
		(void)close(store->lock_fd);
	(void)pthread_rwlock_destroy(&store->lock);
	free(store->directory);
	free(store->home);
	free(store->fresh);
	free(store);
}
