/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * For fakes of deliver_group(): waits as a delivery does, looking after its session.
 */
#ifndef TESTS_TXN_WAIT_H
#define TESTS_TXN_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "shim/message/txn.h"

/* false: not within most_ms, roughly. */
static inline bool
txn_wait_abandoned(struct txn *txn, int most_ms)
{
	while (!txn_is_abandoned(txn) && most_ms-- > 0)
		usleep(1000);
	return txn_is_abandoned(txn);
}

static inline bool
txn_wait_open(struct txn *txn, const _Atomic bool *gate, int most_ms)
{
	while (!*gate && most_ms-- > 0) {
		(void)txn_is_abandoned(txn);
		usleep(1000);
	}
	return *gate;
}

#endif
