/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/store/store_change.h"
#include "base/store/store_record.h"

int
store_change_run(void *context, struct bdb_change *bdb)
{
	struct store_change *change = context;

	change->change = bdb;
	change->error = 0;
	change->result = change->work(change->context, change);
	if (change->error != 0)
		return change->error;
	return change->result == STORE_OK ? 0 : STORE_CHANGE_UNDONE;
}

/* Absence is an answer; any other error is kept for the log, and for the decision to try again. */
static enum store_result
result_of(struct store_change *change, enum store_table table, const char *key, int error)
{
	if (error == 0)
		return STORE_OK;
	if (error == BDB_ABSENT)
		return STORE_ABSENT;
	if (change->error == 0) {
		change->error = error;
		change->table = table;
		(void)snprintf(change->key, sizeof(change->key), "%s", key);
	}
	return STORE_FAILED;
}

enum store_result
store_change_get(struct store_change *change, enum store_table table, const char *key,
    struct buf *value)
{
	struct buf record = { 0 };
	const void *octets;
	size_t length;
	int error = change->error;

	if (error == 0)
		error = bdb_change_get(change->change, table, key, &record);
	if (error == 0 &&
	    store_record_unpack(key, strlen(key), record.data, record.length, &octets, &length) !=
		0)
		error = BDB_BAD;
	buf_clear(value);
	if (error == 0)
		buf_add(value, octets, length);
	buf_free(&record);
	return result_of(change, table, key, error);
}

enum store_result
store_change_put(struct store_change *change, enum store_table table, const char *key,
    const void *value, size_t length, int64_t purge_at)
{
	struct buf record = { 0 };
	int error = change->error;

	if (error == 0) {
		store_record_pack(&record, key, value, length, purge_at);
		error = bdb_change_put(change->change, table, key, &record);
		buf_free(&record);
	}
	return result_of(change, table, key, error);
}

enum store_result
store_change_delete(struct store_change *change, enum store_table table, const char *key)
{
	int error = change->error;

	if (error == 0)
		error = bdb_change_delete(change->change, table, key);
	return result_of(change, table, key, error);
}
