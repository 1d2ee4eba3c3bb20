/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alarm.h"
#include "base/buf.h"
#include "base/store/store.h"
#include "tests/unit/state.h"

/* Berkeley DB calls ours: how often does it sync, and what if the disk says no? */
static atomic_uint syncs;
static atomic_bool sync_fails;

static int
count_sync(long number, int fd)
{
	syncs++;
	if (!sync_fails)
		return (int)syscall(number, fd);
	errno = EIO;
	return -1;
}

int
fdatasync(int fd)
{
	return count_sync(SYS_fdatasync, fd);
}

int
fsync(int fd)
{
	return count_sync(SYS_fsync, fd);
}

/* Berkeley DB keeps what belongs to a broken environment. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libdb-5.3";
}

static bool
never(void *context, const char *key, const void *value, size_t length)
{
	(void)context, (void)key, (void)value, (void)length;
	fail();
	return false;
}

static void
test_syncs(void **state)
{
	struct store *store = state_open();
	unsigned before = syncs;

	(void)state;
	assert_int_equal(store_put(store, STORE_POLICIES, "a", "1", 1, 0, STORE_SYNC), STORE_OK);
	assert_int_equal(syncs, before + 1);
	assert_int_equal(store_put(store, STORE_POLICIES, "b", "1", 1, 0, STORE_LAZY), STORE_OK);
	assert_int_equal(store_delete(store, STORE_POLICIES, "b", STORE_LAZY), STORE_OK);
	assert_int_equal(syncs, before + 1);
	assert_int_equal(store_delete(store, STORE_POLICIES, "a", STORE_SYNC), STORE_OK);
	assert_int_equal(syncs, before + 2);
	store_close(store);
}

/* Puts until it is refused; how many were promised. */
static unsigned
put_until_refused(struct store *store)
{
	char block[3000] = "x", key[40];
	unsigned i;

	for (i = 0; i < 5000; i++) {
		(void)snprintf(key, sizeof(key), "s%05u", i);
		if (store_put(store, STORE_DUE, key, block, sizeof(block), 0, STORE_SYNC) !=
		    STORE_OK)
			break;
	}
	assert_in_range(i, 100, 4999);
	return i;
}

static void
check_promised(struct store *store, unsigned promised)
{
	struct buf value = { 0 };
	char key[40];
	unsigned i;

	for (i = 0; i < promised; i++) {
		(void)snprintf(key, sizeof(key), "s%05u", i);
		assert_int_equal(store_get(store, STORE_DUE, key, &value), STORE_OK);
	}
	buf_free(&value);
}

static void *
put_synced(void *context)
{
	int i;

	for (i = 0; i < 20; i++)
		assert_int_equal(store_put(context, STORE_DUE, "x", "x", 1, 0, STORE_SYNC),
		    STORE_FAILED);
	return NULL;
}

/* A promise that the disk did not make is not passed on, neither now nor once it says yes again. */
static void
test_sync_fails(void **state)
{
	struct store *store = state_open();
	struct buf value = { 0 };
	pthread_t threads[4];
	int i;

	(void)state;
	state_fill(store);
	sync_fails = true;
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_synced, store), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(store_get(store, STORE_POLICIES, "d00002.example", &value), STORE_OK);
	assert_int_equal(store_put(store, STORE_DUE, "y", "y", 1, 0, STORE_LAZY), STORE_OK);
	sync_fails = false;
	store_close(store);
	store = state_open();
	assert_false(store_was_damaged(store));
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	assert_int_equal(store_get(store, STORE_DUE, "y", &value), STORE_OK);
	assert_int_equal(store_put(store, STORE_DUE, "y", "y", 1, 0, STORE_SYNC), STORE_OK);
	store_close(store);
	buf_free(&value);
}

/* Pages that the kernel dropped at a failed fsync() are missing after a later success: a recovery
 * comes first. */
static void
test_sync_works_again(void **state)
{
	struct store *store = state_open();

	(void)state;
	state_fill(store);
	sync_fails = true;
	assert_int_equal(store_put(store, STORE_DUE, "x", "x", 1, 0, STORE_SYNC), STORE_FAILED);
	sync_fails = false;
	assert_int_equal(store_put(store, STORE_DUE, "y", "y", 1, 0, STORE_SYNC), STORE_FAILED);
	assert_true(alarm_stands(ALARM_STORE, ""));
	assert_int_equal(store_put(store, STORE_DUE, "z", "z", 1, 0, STORE_SYNC), STORE_OK);
	assert_false(alarm_stands(ALARM_STORE, ""));
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	store_close(store);
}

/* Berkeley DB breaks the environment when it cannot open its next log file. */
static void
test_broken_at_run_time(void **state)
{
	struct store *store = state_open();
	struct buf value = { 0 };
	unsigned i, promised;

	(void)state;
	assert_int_equal(state_shell("mv bdb elsewhere"), 0);
	promised = put_until_refused(store);
	for (i = 0; i < 10; i++) {
		assert_int_equal(store_get(store, STORE_DUE, "s00000", &value), STORE_FAILED);
		assert_int_equal(store_put(store, STORE_DUE, "x", "x", 1, 0, STORE_SYNC),
		    STORE_FAILED);
		assert_int_equal(store_delete(store, STORE_DUE, "x", STORE_LAZY), STORE_FAILED);
		assert_int_equal(store_scan(store, STORE_DUE, "", never, NULL), STORE_FAILED);
		assert_int_equal(store_purge(store, STORE_DUE, 5), STORE_FAILED);
		assert_int_equal(store_checkpoint(store), STORE_FAILED);
	}
	assert_int_equal(state_shell("test ! -e bdb && mv elsewhere bdb"), 0);
	store_close(store);
	store = state_open();
	assert_false(store_was_damaged(store));
	check_promised(store, promised);
	store_close(store);
	buf_free(&value);
}

/* The same, but what broke it has passed: it recovers by itself. */
static void
test_recovers_at_run_time(void **state)
{
	struct store *store = state_open();
	struct buf value = { 0 };
	unsigned promised;

	(void)state;
	assert_int_equal(state_shell("mv bdb elsewhere"), 0);
	promised = put_until_refused(store);
	assert_int_equal(state_shell("mv elsewhere bdb"), 0);
	assert_int_equal(store_put(store, STORE_DUE, "later", "x", 1, 0, STORE_SYNC), STORE_OK);
	check_promised(store, promised);
	store_close(store);
	store = state_open();
	assert_int_equal(store_get(store, STORE_DUE, "later", &value), STORE_OK);
	store_close(store);
	buf_free(&value);
}

/* It never makes a new and empty one in the place of one that has gone. */
static void
test_never_made_anew(void **state)
{
	struct store *store = state_open();

	(void)state;
	state_fill(store);
	assert_int_equal(state_shell("mv bdb elsewhere"), 0);
	(void)put_until_refused(store);
	assert_int_equal(state_shell("mkdir -m 700 bdb"), 0);
	assert_int_equal(store_put(store, STORE_DUE, "k", "v", 1, 0, STORE_SYNC), STORE_FAILED);
	assert_int_equal(store_put(store, STORE_DUE, "k", "v", 1, 0, STORE_SYNC), STORE_FAILED);
	store_close(store);
	assert_int_equal(state_shell("rm -r bdb && mv elsewhere bdb"), 0);
	store = state_open();
	assert_int_equal(state_entries(store), STATE_ENTRIES);
	store_close(store);
}

static bool
all_there(struct store *store, unsigned count_put, size_t length)
{
	struct buf value = { 0 };
	char key[40];
	unsigned i;
	bool there = true;

	for (i = 0; i < count_put && there; i++) {
		(void)snprintf(key, sizeof(key), "big%05u", i);
		there = store_get(store, STORE_POLICIES, key, &value) == STORE_OK &&
		    value.length == length && value.data[0] == 'x';
	}
	buf_free(&value);
	return there;
}

/* In a process of its own, on a file system of 24 MiB. The line that failed, or 0. */
static int
fill_disk(void)
{
	char why[500], block[3000], key[40];
	struct store *store;
	unsigned i, tries;

	memset(block, 'x', sizeof(block));
	if (state_shell("fallocate -l 14M ballast") != 0 ||
	    (store = store_open("bdb", state_directory, why, sizeof(why))) == NULL)
		return __LINE__;
	for (i = 0; i < 20000; i++) {
		(void)snprintf(key, sizeof(key), "big%05u", i);
		if (store_put(store, STORE_POLICIES, key, block, sizeof(block), 0,
			i % 2 == 0 ? STORE_SYNC : STORE_LAZY) != STORE_OK)
			break;
	}
	if (i == 20000 || i < 500)
		return __LINE__;
	block[0] = 'y';
	for (tries = 0; tries < 300; tries++)
		if (store_put(store, STORE_POLICIES, "big00000", block, sizeof(block), 0,
			STORE_SYNC) != STORE_FAILED)
			return __LINE__;
	(void)store_checkpoint(store);
	if (!all_there(store, i, sizeof(block)))	/* reads go on, and see the old value */
		return __LINE__;
	if (state_shell("rm ballast") != 0 || !all_there(store, i, sizeof(block)))
		return __LINE__;
	for (tries = 0; tries < 10; tries++)
		if (store_put(store, STORE_COLD_FAILURES, "later", "z", 1, 0, STORE_SYNC) !=
		    STORE_OK)
			return __LINE__;
	if (store_checkpoint(store) != STORE_OK)
		return __LINE__;
	store_close(store);
	if ((store = store_open("bdb", state_directory, why, sizeof(why))) == NULL)
		return __LINE__;
	if (store_was_damaged(store) || !all_there(store, i, sizeof(block)))
		return __LINE__;
	store_close(store);
	return 0;
}

static int
in_small_world(int (*test)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS) != 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    mount("none", state_directory, "tmpfs", 0, "size=24m") != 0)
			_exit(77);
		status = test();
		if (status != 0)
			(void)fprintf(stderr, "line %d\n", status);
		_exit(status == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_full_disk(void **state)
{
	int status = in_small_world(fill_disk);

	(void)state;
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

/* Crashed on a full disk, and started there again: a message, and nothing set aside. */
static int
start_full(void)
{
	char why[500] = "", key[40], block[3000] = "x";
	struct store *store;
	unsigned i;
	pid_t pid;

	if (state_shell("fallocate -l 14M ballast") != 0)
		return __LINE__;
	pid = fork();
	if (pid == 0) {
		store = store_open("bdb", state_directory, why, sizeof(why));
		for (i = 0; store != NULL && i < 20000; i++) {
			(void)snprintf(key, sizeof(key), "big%05u", i);
			if (store_put(store, STORE_POLICIES, key, block, sizeof(block), 0,
				STORE_LAZY) != STORE_OK)
				_exit(0);
		}
		_exit(1);
	}
	if (waitpid(pid, NULL, 0) != pid ||
	    state_shell("cat /dev/zero > crumbs 2>/dev/null; true") != 0)
		return __LINE__;
	for (i = 0; i < 3; i++) {
		store = store_open("bdb", state_directory, why, sizeof(why));
		if (store != NULL || strstr(why, "No space left") == NULL)
			return __LINE__;
	}
	if (state_shell("rm ballast crumbs && test ! -e bdb.damaged.*") != 0)
		return __LINE__;
	store = store_open("bdb", state_directory, why, sizeof(why));
	if (store == NULL || store_was_damaged(store) || !all_there(store, 1000, sizeof(block)))
		return __LINE__;
	store_close(store);
	return 0;
}

static void
test_start_on_full_disk(void **state)
{
	int status = in_small_world(start_full);

	(void)state;
	if (status == 77)
		skip();
	assert_int_equal(status, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_syncs),
		STATE_TEST(test_sync_fails),
		STATE_TEST(test_sync_works_again),
		STATE_TEST(test_broken_at_run_time),
		STATE_TEST(test_recovers_at_run_time),
		STATE_TEST(test_never_made_anew),
		STATE_TEST(test_full_disk),
		STATE_TEST(test_start_on_full_disk),
	};

	return cmocka_run_group_tests_name("store_faults", tests, NULL, NULL);
}
