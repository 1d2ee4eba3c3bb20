/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/store/bdb.h"
#include "base/store/store.h"
#include "tests/unit/state.h"

/* 4096 octets a page; "noise N" writes as many octets that are none of Berkeley DB's. */
#define NOISE	"noise() { yes NOISE | head -c $1; }; "

static const struct damage {
	const char *command;	/* after an orderly stop, in DIRECTORY/bdb */
	unsigned least;	/* entries that must be saved */
	bool unnoticed;	/* it takes nothing away */
} damages[] = {
	{ "noise 4096 | dd of=policies.db bs=4096 seek=7 conv=notrunc", STATE_ENTRIES - 40, false },
	{ "head -c 4096 /dev/zero | dd of=policies.db bs=4096 seek=9 conv=notrunc",
	    STATE_ENTRIES - 40, false },
	{ "head -c 4096 /dev/zero | dd of=policies.db bs=4096 seek=1 conv=notrunc",
	    STATE_ENTRIES - 40, false },
	{ "noise 4096 | dd of=policies.db bs=4096 seek=0 conv=notrunc", STATE_ENTRIES - 200,
	    false },
	{ "noise 4 | dd of=policies.db bs=1 seek=30000 conv=notrunc", STATE_ENTRIES - 40, false },
	{ "truncate -s -40960 policies.db", STATE_ENTRIES - 400, false },
	{ "truncate -s 0 policies.db", 0, false },
	{ "rm policies.db", 0, false },
	{ "noise 1000000 > policies.db", 0, false },
	{ "noise 8192 > due.db", STATE_ENTRIES, false },
	{ "rm due.db grace.db", STATE_ENTRIES, false },
	{ "noise 8192 > meta.db", STATE_ENTRIES, false },
	{ "for f in log.*; do noise 1000000 > $f; done", STATE_ENTRIES, false },
	{ "rm log.*", STATE_ENTRIES, false },
	{ "rm meta.db", STATE_ENTRIES, true },
	{ "sed -i 's/value of d01000/value of d01009/' policies.db", STATE_ENTRIES - 1, false },
};

static void
check_damage(const struct damage *damage)
{
	char command[500];
	struct store *store = state_open();
	int64_t now = clock_wall_s();

	state_fill(store);
	store_close(store);
	(void)snprintf(command, sizeof(command), "cd bdb && { " NOISE "%s; } 2>/dev/null",
	    damage->command);
	assert_int_equal(state_shell(command), 0);
	store = state_open();
	if (store_was_damaged(store) == damage->unnoticed || state_entries(store) < damage->least)
		fail_msg("%s: %u entries left", damage->command, state_entries(store));
	if (!damage->unnoticed)
		assert_true(store_damaged_at(store) >= now);
	state_fill(store);	/* and all goes on */
	store_close(store);
	assert_int_equal(state_shell(damage->unnoticed
				 ? "test ! -e bdb.damaged.*"
				 : "test -d bdb.damaged.* && test ! -e bdb.new"),
	    0);
	store = state_open();
	assert_false(store_was_damaged(store));
	assert_int_equal(store_damaged_at(store) != 0, !damage->unnoticed);
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	store_close(store);
}

static void
test_damage(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		if (i > 0)
			assert_int_equal(state_set_up(state), 0);
		check_damage(&damages[i]);
		if (i < sizeof(damages) / sizeof(damages[0]) - 1)
			assert_int_equal(state_tear_down(state), 0);
	}
}

/* The record that was modified on the disk is dropped, and not returned. */
static void
test_changed_value(void **state)
{
	struct store *store = state_open();
	struct buf value = { 0 };

	(void)state;
	state_fill(store);
	store_close(store);
	assert_int_equal(state_shell("sed -i 's/value of d01000/value of d01009/' "
				     "bdb/policies.db"),
	    0);
	store = state_open();
	assert_int_equal(state_entries(store), STATE_ENTRIES - 1);
	assert_int_equal(store_get(store, STORE_POLICIES, "d01000.example", &value), STORE_ABSENT);
	store_close(store);
}

/* The remains of a crash while setting aside. */
static void
test_interrupted(void **state)
{
	struct store *store = state_open();

	(void)state;
	state_fill(store);
	store_close(store);
	assert_int_equal(state_shell("mv bdb bdb.new"), 0);	/* between the two renames */
	store = state_open();
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	assert_false(store_was_damaged(store));
	store_close(store);
	assert_int_equal(state_shell("mkdir bdb.new && cp bdb/due.db bdb.new && "
				     "echo x > bdb.new/dump && rm bdb/grace.db"),
	    0);	/* before the first */
	store = state_open();
	assert_true(store_was_damaged(store));
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	store_close(store);
	assert_int_equal(state_shell("test ! -e bdb.new"), 0);
}

static void
test_newer(void **state)
{
	struct store *store = state_open();
	struct bdb *bdb;
	char home[100], why[500];
	const struct bdb_plan plan = { .home = home, .format = 1 };

	(void)state;
	state_fill(store);
	store_close(store);
	(void)snprintf(home, sizeof(home), "%s/bdb", state_directory);
	assert_int_equal(bdb_open(&plan, &bdb), 0);
	assert_int_equal(bdb_number_put(bdb, "format", 2), 0);
	assert_int_equal(bdb_close(bdb), 0);
	assert_null(store_open("bdb", state_directory, why, sizeof(why)));
	assert_non_null(strstr(why, "written by a newer stsgated"));
	assert_int_equal(state_shell("test -d bdb && test ! -e bdb.damaged.*"), 0);
	assert_int_equal(bdb_open(&(struct bdb_plan){ .home = home, .format = 2 }, &bdb), 0);
	assert_int_equal(bdb_number_put(bdb, "format", 1), 0);
	assert_int_equal(bdb_close(bdb), 0);
	store = state_open();
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	store_close(store);
}

/* A file without read permission is not damage: the administrator can fix that. */
static void
test_permissions(void **state)
{
	char why[500];

	(void)state;
	if (geteuid() != 0)
		skip();
	store_close(state_open());
	assert_int_equal(state_shell("chown -R 65534 . && chown 0 bdb/policies.db"), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_null(store_open("bdb", state_directory, why, sizeof(why)));
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(why, "Permission denied"));
	assert_int_equal(state_shell("test -d bdb && test ! -e bdb.damaged.*"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_damage),
		STATE_TEST(test_changed_value),
		STATE_TEST(test_interrupted),
		STATE_TEST(test_newer),
		STATE_TEST(test_permissions),
	};

	return cmocka_run_group_tests_name("store_damage", tests, NULL, NULL);
}
