/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Data that must outlive the process: policies, times of first failures, and others. Tables of
 * octet keys and values in key order. Any thread may call any function; every call is one
 * transaction. Only stsgated opens a store.
 */
#ifndef BASE_STORE_STORE_H
#define BASE_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* one row in the name table each */
enum store_table {
	STORE_POLICIES,
	STORE_DUE,
	STORE_COLD_FAILURES,
	STORE_CLOCK,
	STORE_TALLY,
	STORE_OUTBOX,
	STORE_HISTORY
};
/* FAILED is logged where it happens */
enum store_result { STORE_OK, STORE_ABSENT, STORE_FAILED };
enum store_sync { STORE_SYNC, STORE_LAZY };	/* LAZY survives kill -9, not a power loss */

struct store;

/* Locks directory (flock on DIRECTORY/lock, which names the holder's pid), then opens and recovers,
 * and reads everything once unless it was left in order (base/store/store_mark.h). NULL with a
 * message for the administrator in why; a second process harms nothing. A damaged store is set
 * aside as DIRECTORY/bdb.damaged.TIME and salvaged entry by entry. Before other threads run, since
 * it forks: what reads damaged files may crash. backend: "bdb". */
struct store *store_open(const char *backend, const char *directory, char *why, size_t why_room);
void store_close(struct store *store);	/* no thread may be in it; NULL is allowed */

/* Was it found damaged by this opening, set aside and salvaged? Then policies may have been lost.
 */
bool store_was_damaged(const struct store *store);
/* The same across restarts: the wall-clock second when that last happened, 0 for never. */
int64_t store_damaged_at(const struct store *store);

/* value is filled only for STORE_OK. */
enum store_result store_get(struct store *store, enum store_table table, const char *key,
    struct buf *value);
/* purge_at: second from which store_purge() may drop the entry, 0 for never; each table has its own
 * clock for that. */
enum store_result store_put(struct store *store, enum store_table table, const char *key,
    const void *value, size_t length, int64_t purge_at, enum store_sync sync);
enum store_result store_delete(struct store *store, enum store_table table, const char *key,
    enum store_sync sync);
/* Calls each for the entries with a key greater than after ("" for all), in key order, until it
 * returns false. No lock is held during the call, so each may call the store; what changes
 * meanwhile may be seen before or after its change. */
enum store_result store_scan(struct store *store, enum store_table table, const char *after,
    bool (*each)(void *context, const char *key, const void *value, size_t length), void *context);

/* Several reads and writes as one atomic change. work starts again after a conflict of two changes,
 * so it must alter only the store; it ends with the first call's STORE_FAILED, and whatever it
 * returns but STORE_OK undoes all. */
struct store_change;
enum store_result store_change(struct store *store, enum store_sync sync,
    enum store_result (*work)(void *context, struct store_change *change), void *context);
enum store_result store_change_get(struct store_change *change, enum store_table table,
    const char *key, struct buf *value);
enum store_result store_change_put(struct store_change *change, enum store_table table,
    const char *key, const void *value, size_t length, int64_t purge_at);
enum store_result store_change_delete(struct store_change *change, enum store_table table,
    const char *key);

/* drops what is past its purge_at */
enum store_result store_purge(struct store *store, enum store_table table, int64_t now);
/* bounds recovery time and log size */
enum store_result store_checkpoint(struct store *store);

#endif
