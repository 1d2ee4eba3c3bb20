/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/store/store.h"
#include "tests/unit/state.h"

static void
must_put(struct store *store, const char *key, const char *value)
{
	assert_int_equal(store_put(store, STORE_POLICIES, key, value, strlen(value), 0, STORE_SYNC),
	    STORE_OK);
}

static void
check(struct store *store, enum store_table table, const char *key, const char *value)
{
	struct buf found = { 0 };

	buf_add_text(&found, "left over");
	if (value == NULL) {
		assert_int_equal(store_get(store, table, key, &found), STORE_ABSENT);
		assert_string_equal(found.data, "left over");
	} else {
		assert_int_equal(store_get(store, table, key, &found), STORE_OK);
		assert_string_equal(buf_text(&found), value);
		assert_int_equal(found.length, strlen(value));
	}
	buf_free(&found);
}

static void
test_entries(void **state)
{
	struct store *store = state_open();

	(void)state;
	check(store, STORE_POLICIES, "a.example", NULL);
	must_put(store, "a.example", "one");
	must_put(store, "b.example", "");
	check(store, STORE_POLICIES, "a.example", "one");
	check(store, STORE_POLICIES, "b.example", "");
	check(store, STORE_POLICIES, "a.exampl", NULL);
	check(store, STORE_DUE, "a.example", NULL);	/* tables are apart */
	check(store, STORE_COLD_FAILURES, "a.example", NULL);
	must_put(store, "a.example", "two");
	check(store, STORE_POLICIES, "a.example", "two");
	assert_int_equal(store_delete(store, STORE_POLICIES, "a.example", STORE_SYNC), STORE_OK);
	assert_int_equal(store_delete(store, STORE_POLICIES, "a.example", STORE_LAZY),
	    STORE_ABSENT);
	check(store, STORE_POLICIES, "a.example", NULL);
	store_close(store);
	store = state_open();
	check(store, STORE_POLICIES, "a.example", NULL);
	check(store, STORE_POLICIES, "b.example", "");
	assert_int_equal(store_damaged_at(store), 0);
	store_close(store);
	store_close(NULL);
}

static void
test_large_and_binary(void **state)
{
	struct store *store = state_open();
	struct buf value = { 0 }, found = { 0 };
	char key[254];
	size_t i;

	(void)state;
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	for (i = 0; i < 200000; i++)
		buf_add_char(&value, (char)(i * 7));
	assert_int_equal(store_put(store, STORE_POLICIES, key, value.data, value.length, 0,
			     STORE_LAZY),
	    STORE_OK);
	assert_int_equal(store_put(store, STORE_POLICIES, "nul", "a\0b", 3, 0, STORE_LAZY),
	    STORE_OK);
	store_close(store);
	store = state_open();
	assert_int_equal(store_get(store, STORE_POLICIES, key, &found), STORE_OK);
	assert_int_equal(found.length, value.length);
	assert_memory_equal(found.data, value.data, value.length);
	assert_int_equal(store_get(store, STORE_POLICIES, "nul", &found), STORE_OK);
	assert_int_equal(found.length, 3);
	assert_memory_equal(found.data, "a\0b", 3);
	store_close(store);
	buf_free(&value);
	buf_free(&found);
}

static void
test_modes(void **state)
{
	static const struct {
		const char *name;
		mode_t mode;
	} files[] = { { "lock", 0600 }, { "bdb", 0700 }, { "bdb/policies.db", 0600 },
		{ "bdb/meta.db", 0600 }, { "bdb/log.0000000001", 0600 } };
	mode_t before = umask(0);
	struct store *store = state_open();
	struct stat status;
	char path[200];
	size_t i;

	(void)state;
	(void)umask(before);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", state_directory, files[i].name);
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 07777, files[i].mode);
	}
	store_close(store);
}

static void
test_refused(void **state)
{
	char why[500] = "", path[200], expected[300];
	int fd;

	(void)state;
	assert_null(store_open("redis", state_directory, why, sizeof(why)));
	assert_string_equal(why, "there is no store \"redis\", only \"bdb\"");
	(void)snprintf(path, sizeof(path), "%s/missing", state_directory);
	assert_null(store_open("bdb", path, why, sizeof(why)));
	(void)snprintf(expected, sizeof(expected), "%s: No such file or directory: ", path);
	assert_memory_equal(why, expected, strlen(expected));
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	(void)close(fd);
	assert_null(store_open("bdb", path, why, sizeof(why)));
	(void)snprintf(expected, sizeof(expected), "%s is no directory", path);
	assert_string_equal(why, expected);
	if (geteuid() != 0)
		skip();
	assert_int_equal(seteuid(65534), 0);	/* as the daemon opens it */
	assert_null(store_open("bdb", state_directory, why, sizeof(why)));
	assert_int_equal(seteuid(0), 0);
	assert_non_null(strstr(why, "user 65534 may not write here"));
}

static void
test_second_opener(void **state)
{
	struct store *store = state_open();
	char why[500], expected[300];
	int status, ends[2];
	pid_t pid;

	(void)state;
	must_put(store, "a.example", "one");
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		if (store_open("bdb", state_directory, why, sizeof(why)) != NULL)
			_exit(1);
		_exit(write(ends[1], why, sizeof(why)) == sizeof(why) ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], why, sizeof(why)), sizeof(why));
	(void)snprintf(expected, sizeof(expected),
	    "process %ld holds %s/lock: stop that stsgated, or give this one a state-directory of its own",
	    (long)getpid(), state_directory);
	assert_string_equal(why, expected);
	/* Ourselves no more than others. */
	assert_null(store_open("bdb", state_directory, why, sizeof(why)));
	must_put(store, "b.example", "two");
	check(store, STORE_POLICIES, "a.example", "one");
	store_close(store);
	store = state_open();	/* the lock went with its holder */
	check(store, STORE_POLICIES, "b.example", "two");
	store_close(store);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

struct seen {
	struct store *store;	/* NULL: do not meddle */
	char last[40];
	size_t count, stop_after;
};

static bool
look(void *context, const char *key, const void *value, size_t length)
{
	struct seen *seen = context;

	assert_true(strcmp(key, seen->last) > 0);
	assert_true(length == strlen(key) && memcmp(key, value, length) == 0);
	(void)snprintf(seen->last, sizeof(seen->last), "%s", key);
	if (seen->store != NULL) {
		check(seen->store, STORE_POLICIES, key, key);
		if (seen->count % 2 == 0)
			assert_int_equal(store_delete(seen->store, STORE_POLICIES, key, STORE_LAZY),
			    STORE_OK);
		else
			must_put(seen->store, key, key);
	}
	seen->count++;
	return seen->count != seen->stop_after;
}

static size_t
count_from(struct store *store, const char *after, size_t stop_after, struct store *meddle)
{
	struct seen seen = { .store = meddle, .stop_after = stop_after };

	(void)snprintf(seen.last, sizeof(seen.last), "%s", after);
	assert_int_equal(store_scan(store, STORE_POLICIES, after, look, &seen), STORE_OK);
	return seen.count;
}

static void
test_scan(void **state)
{
	struct store *store = state_open();
	char key[40];
	int i;

	(void)state;
	assert_int_equal(count_from(store, "", 0, NULL), 0);
	for (i = 999; i >= 0; i--) {
		(void)snprintf(key, sizeof(key), "d%03d.example", i);
		assert_int_equal(store_put(store, STORE_POLICIES, key, key, strlen(key), 0,
				     STORE_LAZY),
		    STORE_OK);
	}
	assert_int_equal(count_from(store, "", 0, NULL), 1000);
	assert_int_equal(count_from(store, "d499.example", 0, NULL), 500);
	assert_int_equal(count_from(store, "d499.examplf", 0, NULL), 500);
	assert_int_equal(count_from(store, "d999.example", 0, NULL), 0);
	assert_int_equal(count_from(store, "", 64, NULL), 64);
	assert_int_equal(count_from(store, "", 1, NULL), 1);
	/* Deletes every other one. */
	assert_int_equal(count_from(store, "", 0, store), 1000);
	assert_int_equal(count_from(store, "", 0, NULL), 500);
	store_close(store);
}

static void
put_until(struct store *store, enum store_table table, const char *key, int64_t purge_at)
{
	assert_int_equal(store_put(store, table, key, key, strlen(key), purge_at, STORE_LAZY),
	    STORE_OK);
}

static void
test_purge(void **state)
{
	struct store *store = state_open();
	char key[40];
	int i;

	(void)state;
	put_until(store, STORE_POLICIES, "never", 0);
	put_until(store, STORE_POLICIES, "now", 1000);
	put_until(store, STORE_POLICIES, "later", 1001);
	put_until(store, STORE_POLICIES, "renewed", 900);
	put_until(store, STORE_POLICIES, "renewed", 2000);
	put_until(store, STORE_COLD_FAILURES, "old", 1);
	for (i = 0; i < 3000; i++) {
		(void)snprintf(key, sizeof(key), "due%04d", i);
		put_until(store, STORE_DUE, key, i % 3 == 0 ? 0 : 500);
	}
	assert_int_equal(store_purge(store, STORE_POLICIES, 1000), STORE_OK);
	check(store, STORE_COLD_FAILURES, "old", "old");	/* a table at a time */
	assert_int_equal(store_purge(store, STORE_COLD_FAILURES, 1000), STORE_OK);
	assert_int_equal(store_purge(store, STORE_DUE, 1000), STORE_OK);
	check(store, STORE_POLICIES, "never", "never");
	check(store, STORE_POLICIES, "now", NULL);
	check(store, STORE_POLICIES, "later", "later");
	check(store, STORE_POLICIES, "renewed", "renewed");
	check(store, STORE_COLD_FAILURES, "old", NULL);
	check(store, STORE_DUE, "due2999", NULL);
	check(store, STORE_DUE, "due2997", "due2997");
	check(store, STORE_DUE, "due0001", NULL);
	store_close(store);
}

struct renewal {
	struct store *store;
	atomic_bool done;
};

static void *
purge_on(void *context)
{
	struct renewal *renewal = context;

	while (!renewal->done)
		assert_int_equal(store_purge(renewal->store, STORE_POLICIES, 1000), STORE_OK);
	return NULL;
}

/* What is renewed while it is about to be purged stays. */
static void
test_purge_against_renewal(void **state)
{
	struct renewal renewal = { .store = state_open() };
	pthread_t thread;
	char key[40];
	int i, round;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, purge_on, &renewal), 0);
	for (round = 0; round < 300; round++) {
		/* Due upwards, renewed downwards: the purge meets it. */
		for (i = 0; i < 128; i++) {
			(void)snprintf(key, sizeof(key), "key%02d", i < 64 ? i : 127 - i);
			put_until(renewal.store, STORE_POLICIES, key, i < 64 ? 1 : 0);
		}
		for (i = 0; i < 64; i++) {
			(void)snprintf(key, sizeof(key), "key%02d", i);
			check(renewal.store, STORE_POLICIES, key, key);
		}
	}
	renewal.done = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	store_close(renewal.store);
}

/* The promises to a child are in shared memory, so that kill -9 loses nothing. */
struct promises {
	volatile unsigned count;	/* puts that returned */
};

static void
put_for_ever(struct promises *promises, unsigned round)
{
	struct store *store = state_open();
	char key[40], value[300];
	unsigned i;

	for (i = 1;; i++) {
		enum store_sync sync = i % 4 == 0 ? STORE_SYNC : STORE_LAZY;

		(void)snprintf(key, sizeof(key), "round%02u-%06u", round, i);
		(void)snprintf(value, sizeof(value), "%s %0200u", key, i);
		if (store_put(store, STORE_POLICIES, key, value, strlen(value), 0, sync) !=
		    STORE_OK)
			_exit(1);
		promises->count = i;
		if (i % 500 == 0 && store_checkpoint(store) != STORE_OK)
			_exit(1);
	}
}

static void
check_promises(const struct promises *promises, unsigned round)
{
	struct store *store = state_open();
	char key[40], value[300];
	unsigned i;

	for (i = 1; i <= promises->count; i++) {
		(void)snprintf(key, sizeof(key), "round%02u-%06u", round, i);
		(void)snprintf(value, sizeof(value), "%s %0200u", key, i);
		check(store, STORE_POLICIES, key, value);
	}
	store_close(store);
}

static void
test_kill(void **state)
{
	struct promises *promises = mmap(NULL, sizeof(*promises), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned i, round, wait_ms, total = 0;
	int status;
	pid_t pid;

	(void)state;
	for (round = 0; round < 50; round++) {
		promises->count = 0;
		pid = fork();
		if (pid == 0)
			put_for_ever(promises, round);
		/* Now and then while it still opens. */
		wait_ms = round % 5 == 0 ? round : 10000;
		for (i = 0; i < wait_ms && promises->count < round * 7; i++)
			(void)usleep(1000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		check_promises(promises, round);
		total += promises->count;
	}
	assert_true(total > 1000);
	(void)munmap(promises, sizeof(*promises));
}

struct crew {
	struct store *store;
	unsigned seed;
	bool keeper;	/* checkpoints, too */
};

static bool
pass(void *context, const char *key, const void *value, size_t length)
{
	(void)context;
	assert_true(length >= strlen(key) && memcmp(key, value, strlen(key)) == 0);
	return true;
}

/* Everyone writes, reads, deletes and scans the same few hundred keys, which share pages. */
static void *
work(void *context)
{
	struct crew *crew = context;
	struct buf found = { 0 };
	char key[40], value[400];
	int i;

	for (i = 0; i < 1500; i++) {
		(void)snprintf(key, sizeof(key), "key%03u", (unsigned)rand_r(&crew->seed) % 400);
		(void)snprintf(value, sizeof(value), "%s%0*u", key, rand_r(&crew->seed) % 300 + 1,
		    1U);
		assert_int_equal(store_put(crew->store, STORE_POLICIES, key, value, strlen(value),
				     1, STORE_LAZY),
		    STORE_OK);
		assert_true(store_get(crew->store, STORE_POLICIES, key, &found) != STORE_FAILED);
		if (i % 3 == 0)
			assert_true(store_delete(crew->store, STORE_POLICIES, key, STORE_LAZY) !=
			    STORE_FAILED);
		if (i % 100 == 0)
			assert_int_equal(store_scan(crew->store, STORE_POLICIES, "", pass, NULL),
			    STORE_OK);
		if (i % 500 == 499)
			assert_int_equal(store_purge(crew->store, STORE_POLICIES, 5), STORE_OK);
		if (i % 500 == 0 && crew->keeper)
			assert_int_equal(store_checkpoint(crew->store), STORE_OK);
	}
	buf_free(&found);
	return NULL;
}

static void
test_threads(void **state)
{
	struct store *store = state_open();
	struct crew crews[8];
	pthread_t threads[8];
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		crews[i] = (struct crew){ store, i, i == 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &crews[i]), 0);
	}
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	store_close(store);
	store_close(state_open());
}

static void
test_many(void **state)
{
	struct store *store = state_open();
	char key[40], command[300];
	unsigned i;

	(void)state;
	for (i = 0; i < 100000; i++) {
		(void)snprintf(key, sizeof(key), "d%06u.example", i * 7919 % 100000);
		assert_int_equal(store_put(store, STORE_POLICIES, key, key, strlen(key), 0,
				     STORE_LAZY),
		    STORE_OK);
	}
	assert_int_equal(store_checkpoint(store), STORE_OK);
	store_close(store);
	store = state_open();
	assert_int_equal(count_from(store, "", 0, NULL), 100000);
	check(store, STORE_POLICIES, "d099999.example", "d099999.example");
	store_close(store);
	/* The log does not grow with what was ever written. */
	(void)snprintf(command, sizeof(command), "test $(ls %s/bdb/log.* | wc -l) -le 3",
	    state_directory);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_entries),
		STATE_TEST(test_large_and_binary),
		STATE_TEST(test_modes),
		STATE_TEST(test_refused),
		STATE_TEST(test_second_opener),
		STATE_TEST(test_scan),
		STATE_TEST(test_purge),
		STATE_TEST(test_purge_against_renewal),
		STATE_TEST(test_kill),
		STATE_TEST(test_threads),
		STATE_TEST(test_many),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
