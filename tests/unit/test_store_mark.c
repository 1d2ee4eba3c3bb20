/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/store/store.h"
#include "tests/unit/state.h"

static bool
has_mark(const char *words)
{
	char command[100];

	(void)snprintf(command, sizeof(command), "grep -q '^%s' bdb.mark", words);
	return state_shell(command) == 0;
}

/* A process that writes an entry and is killed. */
static void
killed(void)
{
	pid_t child = fork();
	struct store *store;

	if (child == 0) {
		store = state_open();
		(void)store_put(store, STORE_COLD_FAILURES, "k", "v", 1, 0, STORE_SYNC);
		(void)kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
}

/* Damages the file in place, keeping inode and time. */
static void
damage_unseen(void)
{
	assert_int_equal(
	    state_shell(
		"touch -r bdb/policies.db stamp && "
		"offset=$(grep -abo 'value of d01000' bdb/policies.db | head -1 | cut -d: -f1) && "
		"printf 'value of d01009' | dd of=bdb/policies.db bs=1 seek=$offset conv=notrunc "
		"2>/dev/null && touch -r stamp bdb/policies.db"),
	    0);
}

static void
test_left_in_order(void **state)
{
	struct buf value = { 0 };
	struct store *store = state_open();

	(void)state;
	assert_true(has_mark("open [0-9a-f-]* examined"));
	state_fill(store);
	store_close(store);
	assert_true(has_mark("closed"));
	damage_unseen();
	store = state_open();	/* not read: the damage shows when the entry is wanted */
	assert_false(store_was_damaged(store));
	assert_int_equal(store_get(store, STORE_POLICIES, "d01001.example", &value), STORE_OK);
	assert_int_equal(store_get(store, STORE_POLICIES, "d01000.example", &value), STORE_FAILED);
	store_close(store);
	assert_true(has_mark("suspect"));
	store = state_open();	/* and now it is read */
	assert_true(store_was_damaged(store));
	assert_int_equal(store_get(store, STORE_POLICIES, "d01000.example", &value), STORE_ABSENT);
	store_close(store);
	assert_true(has_mark("closed"));
	buf_free(&value);
}

static void
test_killed_once_and_twice(void **state)
{
	struct store *store = state_open();

	(void)state;
	state_fill(store);
	store_close(store);
	killed();
	assert_true(has_mark("open [0-9a-f-]* examined"));
	killed();
	assert_true(has_mark("open [0-9a-f-]* unexamined"));
	damage_unseen();
	store = state_open();
	assert_true(store_was_damaged(store));
	assert_true(has_mark("open [0-9a-f-]* examined"));
	store_close(store);
}

static void
test_another_boot(void **state)
{
	struct store *store = state_open();

	(void)state;
	state_fill(store);
	store_close(store);
	killed();
	assert_int_equal(state_shell("sed -i 's/^open [^ ]*/open another-boot/' bdb.mark"), 0);
	damage_unseen();
	store = state_open();
	assert_true(store_was_damaged(store));
	store_close(store);
}

/* With any other content, or none, everything is read. */
static void
test_no_mark(void **state)
{
	static const char *const marks[] = { "rm bdb.mark", ": > bdb.mark",
		"echo closed > bdb.mark", "yes closed | head -c 100000 > bdb.mark",
		"rm bdb.mark && ln -s /dev/zero bdb.mark" };
	struct store *store;
	size_t i;

	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		if (i > 0)
			assert_int_equal(state_set_up(state), 0);
		store = state_open();
		state_fill(store);
		store_close(store);
		damage_unseen();
		assert_int_equal(state_shell(marks[i]), 0);
		store = state_open();
		assert_true(store_was_damaged(store));
		store_close(store);
		if (i < sizeof(marks) / sizeof(marks[0]) - 1)
			assert_int_equal(state_tear_down(state), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_left_in_order),
		STATE_TEST(test_killed_once_and_twice),
		STATE_TEST(test_another_boot),
		STATE_TEST(test_no_mark),
	};

	return cmocka_run_group_tests_name("store_mark", tests, NULL, NULL);
}
