/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <db.h>

#include "base/arena.h"
#include "base/number.h"
#include "base/store/bdb.h"

_Static_assert(BDB_ABSENT == DB_NOTFOUND && BDB_BROKEN == DB_RUNRECOVERY &&
	BDB_BAD == DB_VERIFY_BAD,
    "Berkeley DB's numbers have moved");

#define PATH_ROOM	4096
#define TABLES_MAX	8

#define CACHE_OCTETS	(32 * 1024 * 1024)
/* four buffers at least; a rest of it is zeroed at every opening */
#define LOG_FILE_OCTETS	(1024 * 1024)
#define LOG_BUFFER_OCTETS	(256 * 1024)
#define LOCK_MAX	20000
#define LOCKER_MAX	4000	/* threads that may be in here at once, and then some */

#define DEADLOCK_TRIES	200
#define BATCH_EXAMINED	1000
#define BATCH_OCTETS	(256 * 1024)
#define HEAD_MAX	64

struct bdb {
	DB_ENV *env;
	DB *meta;	/* "format", "table.NAME" and the caller's numbers */
	DB *tables[TABLES_MAX];
	struct bdb_plan plan;	/* home and tables are not kept */
	bool opened;
	atomic_bool sync_failed;	/* an fsync() of the log */
	atomic_int panic_cause;	/* what broke the environment, 0 */
};

const char *
bdb_error_text(int error)
{
	return error == BDB_NEWER ? "written by a newer version" : db_strerror(error);
}

bool
bdb_is_damage(int error)
{
	/* Not EIO: Berkeley DB says so of log records it cannot read, too. */
	static const int others[] = { 0, BDB_NEWER, ENOSPC, EDQUOT, EACCES, EPERM, EROFS, ENOMEM,
		EMFILE, ENFILE, EINTR, EAGAIN, ENAMETOOLONG };
	size_t i;

	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (error == others[i])
			return false;
	return true;
}

static void
on_error(const DB_ENV *env, const char *prefix, const char *message)
{
	const struct bdb *bdb = env->app_private;

	(void)prefix;
	bdb->plan.say(bdb->plan.context, message);
}

static void
on_error_ignored(const DB_ENV *env, const char *prefix, const char *message)
{
	(void)env, (void)prefix, (void)message;
}

static void
on_event(DB_ENV *env, uint32_t event, void *info)
{
	struct bdb *bdb = env->app_private;
	int none = 0;

	if (event == DB_EVENT_PANIC && info != NULL)
		(void)atomic_compare_exchange_strong(&bdb->panic_cause, &none, *(const int *)info);
}

/* Two transactions met and ours was chosen to give way. false: often enough. */
static bool
try_again(int error, int *tries)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	bool met = error == DB_LOCK_DEADLOCK || error == DB_LOCK_NOTGRANTED;

	if (!met || ++*tries >= DEADLOCK_TRIES)
		return false;
	if (*tries > 3)
		(void)nanosleep(&pause, NULL);
	return true;
}

static DBT
dbt(const void *octets, size_t length)
{
	DBT thing = { .size = (uint32_t)length };

	memcpy(&thing.data, &octets, sizeof(octets));	/* Berkeley DB reads only */
	return thing;
}

static int
env_open(struct bdb *bdb, const char *home)
{
	const uint32_t flags = DB_PRIVATE | DB_CREATE | DB_INIT_TXN | DB_INIT_LOG | DB_INIT_LOCK |
	    DB_INIT_MPOOL | DB_THREAD | DB_RECOVER;
	DB_ENV *env;
	int error = db_env_create(&bdb->env, 0);

	if (error != 0)
		return error;
	env = bdb->env;
	env->app_private = bdb;
	env->set_errcall(env, on_error);
	(void)env->set_event_notify(env, on_event);
	if ((error = env->set_cachesize(env, 0, CACHE_OCTETS, 1)) == 0 &&
	    (error = env->set_lg_max(env, LOG_FILE_OCTETS)) == 0 &&
	    (error = env->set_lg_bsize(env, LOG_BUFFER_OCTETS)) == 0 &&
	    (error = env->log_set_config(env, DB_LOG_AUTO_REMOVE, 1)) == 0 &&
	    (error = env->set_lk_detect(env, DB_LOCK_DEFAULT)) == 0 &&
	    (error = env->set_lk_max_locks(env, LOCK_MAX)) == 0 &&
	    (error = env->set_lk_max_objects(env, LOCK_MAX)) == 0 &&
	    (error = env->set_lk_max_lockers(env, LOCKER_MAX)) == 0 &&
	    (error = env->set_tx_max(env, LOCKER_MAX)) == 0)
		error = env->open(env, home, flags, 0600);
	return error;
}

static int
meta_get(struct bdb *bdb, DB_TXN *txn, const char *key, int64_t *number)
{
	DBT name = dbt(key, strlen(key)), text = { .flags = DB_DBT_USERMEM };
	char octets[24] = "";
	const char *at = octets;
	int error;

	text.data = octets;
	text.ulen = sizeof(octets) - 1;
	error = bdb->meta->get(bdb->meta, txn, &name, &text, 0);
	if (error != 0)
		return error;
	octets[text.size] = '\0';
	return number_take_wall(&at, number) && *at == '\0' ? 0 : DB_VERIFY_BAD;
}

static int
meta_put(struct bdb *bdb, DB_TXN *txn, const char *key, int64_t number)
{
	char octets[24];
	int length = snprintf(octets, sizeof(octets), "%" PRId64, number);
	DBT name = dbt(key, strlen(key)), text = dbt(octets, (size_t)length);

	return bdb->meta->put(bdb->meta, txn, &name, &text, 0);
}

static int
db_open(struct bdb *bdb, DB_TXN *txn, const char *name, bool create, DB **db)
{
	char file[64];
	int error = db_create(db, bdb->env, 0);

	(void)snprintf(file, sizeof(file), "%s.db", name);
	if (error == 0)
		error = (*db)->open(*db, txn, file, NULL, DB_BTREE,
		    DB_THREAD | (create ? (uint32_t)DB_CREATE : 0), 0600);
	return error;
}

/* Finds damage now, and not when a message needs the entry. Page check sums (DB_CHKSUM) would find
 * less, since a zeroed page passes, and salvage would give up at the first that is wrong. */
static int
db_verify(struct bdb *bdb, const char *name)
{
	char file[64];
	DB *db;
	int error = db_create(&db, bdb->env, 0);

	(void)snprintf(file, sizeof(file), "%s.db", name);
	return error == 0 ? db->verify(db, file, NULL, NULL, 0) : error;
}

/* A table that was there before must be there; one that is new is made. */
static int
table_open(struct bdb *bdb, DB_TXN *txn, const char *name, DB **db)
{
	char key[64];
	int64_t ignored;
	int error;

	(void)snprintf(key, sizeof(key), "table.%s", name);
	error = meta_get(bdb, txn, key, &ignored);
	if (error == 0 && bdb->plan.verify)
		error = db_verify(bdb, name);
	if (error == 0)
		return db_open(bdb, txn, name, false, db);
	if (error == DB_NOTFOUND)
		error = db_open(bdb, txn, name, true, db);
	return error == 0 ? meta_put(bdb, txn, key, 1) : error;
}

/* All tables or none, so that a crash on the first day is not taken for damage on the next. */
static int
tables_open(struct bdb *bdb, DB_TXN *txn)
{
	const struct bdb_plan *plan = &bdb->plan;
	int64_t found = plan->format;
	size_t i;
	int error = db_open(bdb, txn, "meta", true, &bdb->meta);

	if (error == 0)
		error = meta_get(bdb, txn, "format", &found);
	if (error == DB_NOTFOUND)
		error = plan->existing ? BDB_BAD : meta_put(bdb, txn, "format", plan->format);
	if (error == 0 && found > plan->format)
		error = BDB_NEWER;
	for (i = 0; i < plan->count && error == 0; i++)
		error = table_open(bdb, txn, plan->tables[i], &bdb->tables[i]);
	return error;
}

/* Makes everything committed durable. Committing with DB_TXN_SYNC would not do: it reports success
 * when the record was written and fsync() failed. A later fsync() does not write the pages that the
 * kernel has dropped then: such a log cannot be trusted before a recovery. */
static int
log_flush(struct bdb *bdb)
{
	int error;

	if (bdb->sync_failed)
		return BDB_BROKEN;
	error = bdb->env->log_flush(bdb->env, NULL);
	if (error != 0 && error != ENOSPC && error != EDQUOT)
		bdb->sync_failed = true;
	return error;
}

static int
home_open(struct bdb *bdb)
{
	int error = env_open(bdb, bdb->plan.home);
	DB_TXN *txn;

	if (error == 0)
		error = bdb->env->txn_begin(bdb->env, NULL, &txn, 0);
	if (error != 0)
		return error;
	error = tables_open(bdb, txn);
	if (error != 0) {
		(void)txn->abort(txn);
		return error;
	}
	error = txn->commit(txn, DB_TXN_WRITE_NOSYNC);
	return error == 0 ? log_flush(bdb) : error;
}

int
bdb_open(const struct bdb_plan *plan, struct bdb **result)
{
	struct bdb *bdb = xcalloc(1, sizeof(*bdb));
	int error;

	if (plan->count > TABLES_MAX)
		abort();
	bdb->plan = *plan;
	error = home_open(bdb);
	if (error == 0) {
		bdb->opened = true;
		*result = bdb;
		return 0;
	}
	/* "Run recovery" is no help just after a recovery: the original error counts. */
	if (error == DB_RUNRECOVERY && bdb->panic_cause != 0)
		error = bdb->panic_cause;
	(void)bdb_close(bdb);
	return error;
}

int
bdb_close(struct bdb *bdb)
{
	int error = 0, last;
	size_t i;

	if (bdb == NULL)
		return 0;
	for (i = 0; i < TABLES_MAX; i++)
		if (bdb->tables[i] != NULL)
			(void)bdb->tables[i]->close(bdb->tables[i], 0);
	if (bdb->meta != NULL)
		(void)bdb->meta->close(bdb->meta, 0);
	if (bdb->opened)
		error = bdb_checkpoint(bdb);
	if (bdb->env != NULL) {
		last = bdb->env->close(bdb->env, 0);
		error = error != 0 ? error : last;
	}
	free(bdb);
	return error;
}

int
bdb_checkpoint(struct bdb *bdb)
{
	return bdb->env->txn_checkpoint(bdb->env, 0, 0, 0);
}

struct bdb_change {
	struct bdb *bdb;
	DB_TXN *txn;
};

int
bdb_change(struct bdb *bdb, bool sync, int (*work)(void *context, struct bdb_change *change),
    void *context)
{
	struct bdb_change change = { .bdb = bdb };
	int error, tries = 0;

	do {
		error = bdb->env->txn_begin(bdb->env, NULL, &change.txn, 0);
		if (error != 0)
			break;
		error = work(context, &change);
		if (error == 0)
			error = change.txn->commit(change.txn, DB_TXN_WRITE_NOSYNC);
		else
			(void)change.txn->abort(change.txn);
	} while (try_again(error, &tries));
	return error == 0 && sync ? log_flush(bdb) : error;
}

int
bdb_number_get(struct bdb *bdb, const char *name, int64_t *number)
{
	return meta_get(bdb, NULL, name, number);
}

struct number {
	const char *name;
	int64_t number;
};

static int
change_number(void *context, struct bdb_change *change)
{
	const struct number *number = context;

	return meta_put(change->bdb, change->txn, number->name, number->number);
}

int
bdb_number_put(struct bdb *bdb, const char *name, int64_t number)
{
	struct number change = { name, number };

	return bdb_change(bdb, true, change_number, &change);
}

int
bdb_get(struct bdb *bdb, size_t table, const char *key, struct buf *record)
{
	DBT name = dbt(key, strlen(key)), found = { .flags = DB_DBT_MALLOC };
	DB *db = bdb->tables[table];
	int error, tries = 0;

	do
		error = db->get(db, NULL, &name, &found, 0);
	while (try_again(error, &tries));
	if (error == 0) {
		buf_clear(record);
		buf_add(record, found.data, found.size);
	}
	free(found.data);
	return error;
}

int
bdb_change_get(struct bdb_change *change, size_t table, const char *key, struct buf *record)
{
	DBT name = dbt(key, strlen(key)), found = { .flags = DB_DBT_MALLOC };
	DB *db = change->bdb->tables[table];
	int error = db->get(db, change->txn, &name, &found, DB_RMW);

	buf_clear(record);
	if (error == 0)
		buf_add(record, found.data, found.size);
	free(found.data);
	return error;
}

int
bdb_change_put(struct bdb_change *change, size_t table, const char *key, const struct buf *record)
{
	DBT name = dbt(key, strlen(key)), data = dbt(record->data, record->length);
	DB *db = change->bdb->tables[table];

	return db->put(db, change->txn, &name, &data, 0);
}

int
bdb_change_delete(struct bdb_change *change, size_t table, const char *key)
{
	DBT name = dbt(key, strlen(key));
	DB *db = change->bdb->tables[table];

	return db->del(db, change->txn, &name, 0);
}

/* A change of one entry. */
struct single {
	size_t table;
	const char *key;
	const struct buf *record;	/* NULL: it goes */
	bool (*drop)(const void *head, size_t length, int64_t argument);
	int64_t argument;
};

static int
change_single(void *context, struct bdb_change *change)
{
	const struct single *single = context;

	return single->record != NULL
	    ? bdb_change_put(change, single->table, single->key, single->record)
	    : bdb_change_delete(change, single->table, single->key);
}

int
bdb_put(struct bdb *bdb, size_t table, const char *key, const struct buf *record, bool sync)
{
	struct single single = { .table = table, .key = key, .record = record };

	return bdb_change(bdb, sync, change_single, &single);
}

int
bdb_delete(struct bdb *bdb, size_t table, const char *key, bool sync)
{
	struct single single = { .table = table, .key = key };

	return bdb_change(bdb, sync, change_single, &single);
}

static int
change_delete_if(void *context, struct bdb_change *change)
{
	const struct single *single = context;
	unsigned char octets[HEAD_MAX];
	DBT name = dbt(single->key, strlen(single->key));
	DBT head = { .data = octets,
		.ulen = sizeof(octets),
		.dlen = sizeof(octets),
		.flags = DB_DBT_USERMEM | DB_DBT_PARTIAL };
	DB *db = change->bdb->tables[single->table];
	int error = db->get(db, change->txn, &name, &head, DB_RMW);

	if (error == 0 && single->drop(octets, head.size, single->argument))
		error = db->del(db, change->txn, &name, 0);
	return error;
}

int
bdb_delete_if(struct bdb *bdb, size_t table, const char *key,
    bool (*drop)(const void *head, size_t length, int64_t argument), int64_t argument)
{
	struct single single = { .table = table, .key = key, .drop = drop, .argument = argument };

	return bdb_change(bdb, false, change_delete_if, &single);
}

const char *
bdb_batch_key(const struct bdb_batch *batch, size_t i)
{
	return batch->octets.data + batch->entries[i].key;
}

const void *
bdb_batch_record(const struct bdb_batch *batch, size_t i)
{
	return batch->octets.data + batch->entries[i].record;
}

void
bdb_batch_free(struct bdb_batch *batch)
{
	buf_free(&batch->position);
	buf_free(&batch->octets);
}

static void
batch_add(struct bdb_batch *batch, const DBT *key, const DBT *record)
{
	size_t i = batch->count++;

	batch->entries[i].key = batch->octets.length;
	batch->entries[i].key_length = key->size;
	buf_add(&batch->octets, key->data, key->size);
	buf_add_char(&batch->octets, '\0');
	batch->entries[i].record = batch->octets.length;
	batch->entries[i].record_length = record->size;
	buf_add(&batch->octets, record->data, record->size);
}

static bool
batch_is_full(const struct bdb_batch *batch, size_t examined)
{
	return batch->count == BDB_BATCH || batch->octets.length >= BATCH_OCTETS ||
	    examined >= BATCH_EXAMINED;
}

/* Stands the cursor on the first entry after batch->position. */
static int
batch_seek(DBC *cursor, const struct bdb_batch *batch, DBT *key, DBT *record)
{
	const struct buf *position = &batch->position;
	int error;

	key->size = (uint32_t)position->length;
	key->data = xrealloc(key->data, position->length);
	memcpy(key->data, buf_text(position), position->length);
	error = cursor->get(cursor, key, record, DB_SET_RANGE);
	if (error == 0 && key->size == position->length &&
	    memcmp(key->data, buf_text(position), key->size) == 0)
		error = cursor->get(cursor, key, record, DB_NEXT);
	return error;
}

static int
batch_walk(DBC *cursor, struct bdb_batch *batch)
{
	DBT key = { .flags = DB_DBT_REALLOC }, record = { .flags = DB_DBT_REALLOC };
	size_t examined;
	int error;

	if (batch->head > 0) {
		record.flags |= DB_DBT_PARTIAL;
		record.dlen = (uint32_t)batch->head;
	}
	error = batch_seek(cursor, batch, &key, &record);
	for (examined = 1; error == 0; examined++) {
		if (batch->want == NULL || batch->want(record.data, record.size, batch->argument))
			batch_add(batch, &key, &record);
		buf_clear(&batch->position);
		buf_add(&batch->position, key.data, key.size);
		if (batch_is_full(batch, examined))
			break;
		error = cursor->get(cursor, &key, &record, DB_NEXT);
	}
	free(key.data);
	free(record.data);
	return error;
}

int
bdb_batch_next(struct bdb *bdb, size_t table, struct bdb_batch *batch)
{
	DB *db = bdb->tables[table];
	int error, tries = 0;
	DBC *cursor;

	buf_clear(&batch->octets);
	batch->count = 0;
	do {
		error = db->cursor(db, NULL, &cursor, 0);
		if (error != 0)
			break;
		/* Entries copied before a deadlock stay: position is after them. */
		error = batch_walk(cursor, batch);
		(void)cursor->close(cursor);
	} while (try_again(error, &tries));
	batch->end = error == DB_NOTFOUND;
	return batch->end ? 0 : error;
}

int
bdb_salvage(const char *home, const char *table, FILE *dump)
{
	char path[PATH_ROOM];
	DB *db;
	int error = db_create(&db, NULL, 0);

	if (error != 0)
		return error;
	db->set_errcall(db, on_error_ignored);
	(void)snprintf(path, sizeof(path), "%s/%s.db", home, table);
	/* Frees db in any case; without DB_AGGRESSIVE, which would bring back what was deleted. */
	return db->verify(db, path, NULL, dump, DB_SALVAGE);
}
