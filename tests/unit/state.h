/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A state directory of its own for each test, and a store with known entries in it. Assertions as
 * usual: for the store's tests alone, on one thread.
 */
#ifndef TESTS_UNIT_STATE_H
#define TESTS_UNIT_STATE_H

#include "base/store/store.h"

#define STATE_ENTRIES	2000

extern char state_directory[];	/* of the running test */

int state_set_up(void **state);
int state_tear_down(void **state);
int state_shell(const char *command);	/* in the state directory; as system(3) */
struct store *state_open(void);	/* never NULL */
void state_fill(struct store *store);	/* puts the known entries into STORE_POLICIES */
unsigned state_entries(struct store *store);	/* how many are there, each as it was put */

#define STATE_TEST(name)	cmocka_unit_test_setup_teardown(name, state_set_up, state_tear_down)

#endif
