/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The policy cache with a store that fails, or was found damaged (case F16, F17).
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/facts/sts_store.h"
#include "tests/unit/memory_store.h"
#include "tests/unit/sts_world.h"

static int
setup_memory(void **state)
{
	memory_store_reset();
	return setup(state);
}

static int
teardown_memory(void **state)
{
	int result = teardown(state);

	memory_store_reset();
	return result;
}

static void
test_cannot_be_read(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	memory_store.reads_fail = true;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);	/* fetched again */
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
	world.txt_state = DNS_BOGUS;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
	world.txt_state = DNS_SECURE;
	world.txt = "v=STSv1; id=two;";
	world.outcome = HTTP_UNREACHABLE;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
	memory_store.reads_fail = false;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
}

/* The new policy is in force from memory, and on disk as soon as that can be. */
static void
test_cannot_be_written(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	memory_store.writes_fail = true;
	world.txt = "v=STSv1; id=two;";
	world.body = OTHER;
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, false);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
	assert_string_equal(get(fixture)->policy->mx[0], "other.example");
	memory_store.writes_fail = false;
	sts_cache_maintain(fixture->cache, deadline_in(1000));
	restart(fixture);
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
	pass(DAY);
	world.txt_state = DNS_INSECURE;
	world.body = ENFORCE;
	sts_cache_maintain(fixture->cache, deadline_in(1000));
	wait_fetched();
	assert_string_equal(get(fixture)->policy->mx[0], "mx.example");	/* it was due as well */
}

static void
test_unwritten_at_the_end(void **state)
{
	struct fixture *fixture = *state;

	memory_store.writes_fail = true;
	get(fixture);
	memory_store.writes_fail = false;
	restart(fixture);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
}

static bool
list_one(void *context, const struct sts_entry *entry)
{
	char *names = context;

	strcat(names, entry->domain);
	strcat(names, "=");
	strcat(names, entry->policy.id);
	strcat(names, " ");
	return true;
}

static void
test_listed_from_both(void **state)
{
	static const char *const names[] = { "b.example", "d.example", "c.example", "a.example",
		"e.example", "d.example" };
	struct fixture *fixture = *state;
	struct sts_facts sts;
	char listed[200] = "";

	for (size_t i = 0; i < 6; i++) {
		memory_store.writes_fail = i >= 3;
		world.txt = i >= 3 ? "v=STSv1; id=new;" : "v=STSv1; id=old;";
		sts_cache_get(fixture->cache, fixture->arena, names[i], deadline_in(5000), &sts);
	}
	assert_int_equal(sts_cache_list(fixture->cache, "", list_one, listed), STORE_OK);
	assert_string_equal(listed,
	    "a.example=new b.example=old c.example=old d.example=new "
	    "e.example=new ");
	listed[0] = '\0';
	assert_int_equal(sts_cache_list(fixture->cache, "c.example", list_one, listed), STORE_OK);
	assert_string_equal(listed, "d.example=new e.example=new ");
	assert_int_equal(sts_cache_forget(fixture->cache, "e.example"), STORE_FAILED);
	memory_store.writes_fail = false;
	assert_int_equal(sts_cache_forget(fixture->cache, "e.example"), STORE_OK);
	listed[0] = '\0';
	assert_int_equal(sts_cache_list(fixture->cache, "d.example", list_one, listed), STORE_OK);
	assert_string_equal(listed, "");
}

/* The cached policy is not known: no delivery without it. */
static void
test_damaged_record(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	store_put(fixture->store, STORE_POLICIES, "example.com", "garbage", 7, 0, STORE_SYNC);
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
	world.txt_state = DNS_INSECURE;
	world.txt = "v=STSv1; id=one;";
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	store_put(fixture->store, STORE_POLICIES, "example.com", "garbage", 7, 0, STORE_SYNC);
	assert_int_equal(sts_cache_forget(fixture->cache, "example.com"), STORE_OK);
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_NONE);
}

/* A policy may have been lost: a look-up that fails is not given up on before the grace is over,
 * though it has been failing for long. */
static void
test_damaged_store(void **state)
{
	struct fixture *fixture = *state;

	world.txt_state = DNS_FAILED;
	get(fixture);
	pass(4000);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
	memory_store.damaged_at = START + 4000;
	restart(fixture);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(3599);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(1);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
}

static char *patterns[] = { (char[]){ "mx.example" } };

/* Imported policies are in force, and are reported as written only once they are on the disk. */
static void
test_import_that_cannot_be_written(void **state)
{
	struct fixture *fixture = *state;
	struct sts_entry entry = { .domain = "example.com",
		.fetched = START,
		.expires = START + 10 * DAY,
		.last_error = "",
		.policy = { .mode = STS_MODE_ENFORCE,
		    .max_age = 10 * DAY,
		    .mx = patterns,
		    .mx_count = 1,
		    .id = "imported" } };

	world.txt_state = DNS_FAILED;
	memory_store.writes_fail = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sts_cache_import(fixture->cache, &entry), STS_IMPORT_UNWRITTEN);
	assert_policy(get(fixture), "imported", STS_MODE_ENFORCE, true);
	entry.fetched--;
	assert_int_equal(sts_cache_import(fixture->cache, &entry), STS_IMPORT_OLDER);
	entry.fetched++;
	memory_store.writes_fail = false;
	assert_int_equal(sts_cache_import(fixture->cache, &entry), STS_IMPORT_DONE);
	assert_int_equal(sts_cache_flush(fixture->cache), 0);
}

static void
test_grace_that_cannot_be_kept(void **state)
{
	struct fixture *fixture = *state;

	memory_store.writes_fail = true;
	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_STORE_FAILED);
}

static void
test_purge(void **state)
{
	struct fixture *fixture = *state;
	struct buf value = { 0 };

	restart(fixture);
	get(fixture);
	pass(39 * DAY);
	sts_cache_purge(fixture->cache);
	assert_int_equal(store_get(fixture->store, STORE_POLICIES, "example.com", &value),
	    STORE_OK);
	pass(2 * DAY);
	sts_cache_purge(fixture->cache);
	assert_int_equal(store_get(fixture->store, STORE_POLICIES, "example.com", &value),
	    STORE_ABSENT);
	buf_free(&value);
}

static enum sts_store_change
set_mode(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	static char mx[] = "mx.example";
	const enum sts_mode *mode = context;

	(void)found;
	entry->policy = (struct sts_policy){ .mode = *mode, .max_age = DAY };
	entry->policy.mx = arena_array(arena, 1, sizeof(char *));
	entry->policy.mx[0] = mx;
	entry->policy.mx_count = 1;
	entry->expires = START + DAY;
	return STS_STORE_WRITE;
}

/* F24: a flood of policies that enforce nothing pushes out none that does. */
static void
test_memory_is_bounded(void **state)
{
	struct fixture *fixture = *state;
	struct sts_store *policies = sts_store_new(fixture->store);
	enum sts_mode testing = STS_MODE_TESTING, enforce = STS_MODE_ENFORCE;
	int errors = dup(STDERR_FILENO);
	struct sts_entry entry;
	char name[32];

	assert_non_null(freopen("/dev/null", "w", stderr));
	memory_store.writes_fail = true;
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "d%05d.example", i);
		sts_store_update(policies, name, STORE_SYNC, set_mode,
		    i % 2 == 0 ? &enforce : &testing);
	}
	sts_store_update(policies, "late-testing.example", STORE_SYNC, set_mode, &testing);
	sts_store_update(policies, "late-enforce.example", STORE_SYNC, set_mode, &enforce);
	dup2(errors, STDERR_FILENO);
	close(errors);
	assert_int_equal(sts_store_get(policies, fixture->arena, "d00000.example", &entry),
	    STORE_OK);
	assert_int_equal(sts_store_get(policies, fixture->arena, "d09999.example", &entry),
	    STORE_OK);
	assert_int_equal(sts_store_get(policies, fixture->arena, "late-enforce.example", &entry),
	    STORE_OK);
	assert_int_equal(sts_store_get(policies, fixture->arena, "late-testing.example", &entry),
	    STORE_ABSENT);
	memory_store.writes_fail = false;
	assert_int_equal(sts_store_flush(policies), 0);
	assert_int_equal(sts_store_get(policies, fixture->arena, "d05000.example", &entry),
	    STORE_OK);
	sts_store_free(policies);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup_memory, teardown_memory)
	static const struct CMUnitTest tests[] = {
		TEST(test_cannot_be_read),
		TEST(test_cannot_be_written),
		TEST(test_unwritten_at_the_end),
		TEST(test_listed_from_both),
		TEST(test_damaged_record),
		TEST(test_damaged_store),
		TEST(test_import_that_cannot_be_written),
		TEST(test_grace_that_cannot_be_kept),
		TEST(test_purge),
		TEST(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
