/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/store/store.h"
#include "tests/unit/state.h"

#define THREADS	16
#define ROUNDS	200

static long
number_at(struct store *store, enum store_table table, const char *key)
{
	struct buf value = { 0 };
	long number = -1;

	if (store_get(store, table, key, &value) == STORE_OK)
		number = strtol(buf_text(&value), NULL, 10);
	buf_free(&value);
	return number;
}

static enum store_result
add_one(struct store_change *change, enum store_table table, const char *key)
{
	struct buf value = { 0 };
	enum store_result result = store_change_get(change, table, key, &value);
	char text[24];
	int length;

	if (result != STORE_FAILED) {
		length = snprintf(text, sizeof(text), "%ld",
		    strtol(buf_text(&value), NULL, 10) + 1);
		result = store_change_put(change, table, key, text, (size_t)length, 0);
	}
	buf_free(&value);
	return result;
}

static enum store_result
add_two(void *context, struct store_change *change)
{
	const char *const *keys = context;
	enum store_result result = add_one(change, STORE_TALLY, keys[0]);

	return result == STORE_OK ? add_one(change, STORE_OUTBOX, keys[1]) : result;
}

static enum store_result
add_then_give_up(void *context, struct store_change *change)
{
	assert_int_equal(add_two(context, change), STORE_OK);
	assert_int_equal(store_change_delete(change, STORE_TALLY, "other"), STORE_OK);
	assert_int_equal(store_change_delete(change, STORE_TALLY, "other"), STORE_ABSENT);
	return STORE_ABSENT;
}

static void
test_all_or_nothing(void **state)
{
	const char *keys[] = { "a", "b" };
	struct store *store = state_open();

	(void)state;
	assert_int_equal(store_put(store, STORE_TALLY, "other", "5", 1, 0, STORE_LAZY), STORE_OK);
	assert_int_equal(store_change(store, STORE_SYNC, add_two, keys), STORE_OK);
	assert_int_equal(store_change(store, STORE_LAZY, add_then_give_up, keys), STORE_ABSENT);
	assert_int_equal(number_at(store, STORE_TALLY, "a"), 1);
	assert_int_equal(number_at(store, STORE_OUTBOX, "b"), 1);
	assert_int_equal(number_at(store, STORE_TALLY, "other"), 5);
	assert_int_equal(store_change(store, STORE_LAZY, add_two, keys), STORE_OK);
	store_close(store);
	store = state_open();
	assert_int_equal(number_at(store, STORE_TALLY, "a"), 2);
	assert_int_equal(number_at(store, STORE_OUTBOX, "b"), 2);
	store_close(store);
}

static void *
add_many(void *context)
{
	/* In opposite orders, so that they meet and one has to give way. */
	static const char *const one[] = { "a", "b" }, *const other[] = { "b", "a" };
	struct store *store = context;
	int i;

	for (i = 0; i < ROUNDS; i++)
		if (store_change(store, STORE_LAZY, add_two,
			(void *)(uintptr_t)(i % 2 == 0 ? one : other)) != STORE_OK)
			return context;
	return NULL;
}

static void
test_threads(void **state)
{
	struct store *store = state_open();
	pthread_t threads[THREADS];
	void *failed;
	size_t i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_many, store), 0);
	for (i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(number_at(store, STORE_TALLY, "a") + number_at(store, STORE_TALLY, "b"),
	    THREADS * ROUNDS);
	assert_int_equal(number_at(store, STORE_OUTBOX, "a") + number_at(store, STORE_OUTBOX, "b"),
	    THREADS * ROUNDS);
	store_close(store);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_all_or_nothing),
		STATE_TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
