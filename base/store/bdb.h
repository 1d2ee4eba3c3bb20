/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Berkeley DB as the store needs it: one transactional environment in a directory of its own, some
 * tables of octets in it, one transaction a change. Any thread, but for opening and closing.
 * Functions return 0, BDB_ABSENT, or another number for bdb_error_text().
 */
#ifndef BASE_STORE_BDB_H
#define BASE_STORE_BDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

#define BDB_ABSENT	(-30988)	/* DB_NOTFOUND */
/* DB_RUNRECOVERY: opening it once more recovers it, or fails */
#define BDB_BROKEN	(-30973)
#define BDB_BAD	(-30970)	/* DB_VERIFY_BAD: the octets are not what was once written */
#define BDB_NEWER	(-29000)	/* our own: a newer stsgated wrote it */

#define BDB_BATCH	64

struct bdb;

const char *bdb_error_text(int error);
/* Is the environment itself at fault, rather than disk space, permissions or memory? */
bool bdb_is_damage(int error);

struct bdb_plan {
	const char *home;
	int format;	/* what is written by a greater one is BDB_NEWER */
	const char *const *tables;
	size_t count;
	bool existing;	/* nothing is made: without its format record it is BDB_BAD */
	bool verify;	/* reads every page first; with damage, Berkeley DB may crash over it */
	void (*say)(void *context, const char *message);	/* Berkeley DB's own messages */
	void *context;
};

/* Recovers, then opens all tables: those made earlier must be there, new ones are made. The caller
 * holds the lock: two openers ruin each other. */
/* a broken one of ours may exist, too */
int bdb_open(const struct bdb_plan *plan, struct bdb **bdb);
int bdb_close(struct bdb *bdb);	/* after a checkpoint; frees it in any case; NULL is allowed */
int bdb_checkpoint(struct bdb *bdb);

/* Numbers beside the tables, written through. */
int bdb_number_get(struct bdb *bdb, const char *name, int64_t *number);
int bdb_number_put(struct bdb *bdb, const char *name, int64_t number);

int bdb_get(struct bdb *bdb, size_t table, const char *key, struct buf *record);
int bdb_put(struct bdb *bdb, size_t table, const char *key, const struct buf *record, bool sync);
int bdb_delete(struct bdb *bdb, size_t table, const char *key, bool sync);
/* Deletes without sync if drop says so of the record's first octets as they are then. */
int bdb_delete_if(struct bdb *bdb, size_t table, const char *key,
    bool (*drop)(const void *head, size_t length, int64_t argument), int64_t argument);

/* Several at once, all or none. work runs in one transaction, and once more from the start when it
 * meets another's; what it returns other than 0 undoes it. It hands on what the functions below
 * returned, but for BDB_ABSENT. */
struct bdb_change;
int bdb_change(struct bdb *bdb, bool sync, int (*work)(void *context, struct bdb_change *change),
    void *context);
int bdb_change_get(struct bdb_change *change, size_t table, const char *key, struct buf *record);
int bdb_change_put(struct bdb_change *change, size_t table, const char *key,
    const struct buf *record);
int bdb_change_delete(struct bdb_change *change, size_t table, const char *key);

/* Copies of some entries in key order, so that no cursor stands open while others look at them. */
struct bdb_batch {
	struct buf position;	/* the key examined last; at first the one to begin after */
	size_t head;	/* not 0: no more than this of every record */
	bool (*want)(const void *record, size_t length, int64_t argument);	/* NULL: all */
	int64_t argument;
	struct buf octets;
	struct {
		size_t key, key_length, record, record_length;	/* key is followed by a NUL */
	} entries[BDB_BATCH];
	size_t count;
	bool end;	/* nothing comes after */
};

int bdb_batch_next(struct bdb *bdb, size_t table, struct bdb_batch *batch);
const char *bdb_batch_key(const struct bdb_batch *batch, size_t i);
const void *bdb_batch_record(const struct bdb_batch *batch, size_t i);
void bdb_batch_free(struct bdb_batch *batch);

/* Writes what can be read of the table in a closed environment, as text for
 * store_record_read_dump(). With damage, Berkeley DB may crash over it. */
int bdb_salvage(const char *home, const char *table, FILE *dump);

#endif
