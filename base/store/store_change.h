/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One store_change() under way, as store_bdb.c runs it. Of one thread.
 */
#ifndef BASE_STORE_STORE_CHANGE_H
#define BASE_STORE_STORE_CHANGE_H

#include "base/domain.h"
#include "base/store/bdb.h"
#include "base/store/store.h"

#define STORE_CHANGE_UNDONE	(-29001)	/* work has said so; beside Berkeley DB's numbers */

struct store_change {
	enum store_result (*work)(void *context, struct store_change *change);
	void *context;
	struct bdb_change *change;
	int error;	/* the first of Berkeley DB's, 0 before */
	enum store_result result;	/* what work has said */
	enum store_table table;	/* and where that was */
	char key[DOMAIN_MAX];	/* cut */
};

/* For bdb_change(): runs the work of the struct store_change in context. */
int store_change_run(void *context, struct bdb_change *change);

#endif
