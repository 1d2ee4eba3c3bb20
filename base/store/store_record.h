/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How an entry lies on the disk: in front of its value the time from which it may be purged and a
 * check sum over all of it, so that what is salvaged from a damaged file is what was once put.
 * And how to read the text that Berkeley DB salvages (the format of db_dump(1)). Pure.
 */
#ifndef BASE_STORE_STORE_RECORD_H
#define BASE_STORE_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

#define STORE_RECORD_HEAD	12	/* octets before the value: purge_at, check sum */

void store_record_pack(struct buf *record, const char *key, const void *value, size_t length,
    int64_t purge_at);
/* 0 with *value inside the record; -1: too short, or not what was put under this key. */
int store_record_unpack(const char *key, size_t key_length, const void *record,
    size_t record_length, const void **value, size_t *length);
/* Past its time? Looks at the head alone; false when even that is cut. */
bool store_record_is_due(const void *record, size_t record_length, int64_t now);

/* Calls each for the entries in a dump that are as they were put, until it returns false. Returns
 * how many keys and records were left over: lines that cannot be read or do not belong together. */
size_t store_record_read_dump(FILE *dump,
    bool (*each)(void *context, const char *key, const struct buf *record), void *context);

#endif
