/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A store (base/store/store.h) for unit tests that keeps everything in memory, also when it is
 * closed, and fails on command. Linked instead of the real one.
 */
#ifndef TESTS_UNIT_MEMORY_STORE_H
#define TESTS_UNIT_MEMORY_STORE_H

#include <stdbool.h>
#include <stdint.h>

struct memory_store {
	bool reads_fail, writes_fail;
	int64_t damaged_at;
};
extern struct memory_store memory_store;

void memory_store_reset(void);	/* empty, and nothing fails */

#endif
