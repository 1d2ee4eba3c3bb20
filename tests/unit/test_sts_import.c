/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Policies that come from an export: what they may replace, and how long they last.
 */
#include "config.h"

#include "base/metrics.h"
#include "tests/unit/sts_world.h"

static char *patterns[] = { (char[]){ "mx.example" } };

static struct sts_entry
made(enum sts_mode mode, const char *id, int64_t fetched)
{
	struct sts_entry entry = { .domain = "example.com",
		.fetched = fetched,
		.expires = fetched + 10 * DAY,
		.last_error = "",
		.policy = { .mode = mode, .max_age = 10 * DAY, .mx = patterns, .mx_count = 1 } };

	strcpy(entry.policy.id, id);
	return entry;
}

static enum sts_import
import(struct fixture *fixture, enum sts_mode mode, const char *id, int64_t fetched)
{
	struct sts_entry entry = made(mode, id, fetched);

	return sts_cache_import(fixture->cache, &entry);
}

static void
test_an_import_is_in_force(void **state)
{
	struct fixture *fixture = *state;
	struct sts_entry entry;

	assert_int_equal(import(fixture, STS_MODE_ENFORCE, "old", START - DAY), STS_IMPORT_DONE);
	assert_int_equal(sts_cache_imported(fixture->cache), STORE_OK);
	restart(fixture);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "old", STS_MODE_ENFORCE, true);
	assert_int_equal(sts_cache_peek(fixture->cache, fixture->arena, "example.com", &entry),
	    STORE_OK);
	assert_int_equal(entry.fetched, START - DAY);
	assert_true(entry.refresh > START && entry.refresh < entry.expires);
	pass(9 * DAY);
	assert_int_not_equal(get(fixture)->state, STS_VALID);	/* from the fetch, not the import */
}

static void
test_a_later_fetch_stays(void **state)
{
	struct fixture *fixture = *state;

	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
	assert_int_equal(import(fixture, STS_MODE_NONE, "none", START - 1), STS_IMPORT_OLDER);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	assert_int_equal(import(fixture, STS_MODE_NONE, "none", START), STS_IMPORT_DONE);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
}

static void
test_what_is_not_taken(void **state)
{
	struct fixture *fixture = *state;
	struct sts_entry large = made(STS_MODE_ENFORCE, "1", START);

	assert_int_equal(import(fixture, STS_MODE_ENFORCE, "1", START - 10 * DAY),
	    STS_IMPORT_EXPIRED);
	assert_int_equal(import(fixture, STS_MODE_ENFORCE, "1", START + 2 * DAY),
	    STS_IMPORT_FUTURE);
	large.policy.body = "";
	large.policy.body_length = fixture->conf.sts.max_policy_size + 1;
	assert_int_equal(sts_cache_import(fixture->cache, &large), STS_IMPORT_TOO_LARGE);
	assert_int_equal(sts_cache_peek(fixture->cache, fixture->arena, "example.com", &large),
	    STORE_ABSENT);
}

static void
test_a_fall_from_enforce_is_an_alarm(void **state)
{
	struct fixture *fixture = *state;
	int64_t before = metrics_get(METRIC_POLICY_ALARMS, "fell", NULL);

	assert_int_equal(import(fixture, STS_MODE_ENFORCE, "1", START - 20), STS_IMPORT_DONE);
	assert_int_equal(import(fixture, STS_MODE_ENFORCE, "2", START - 10), STS_IMPORT_DONE);
	assert_int_equal(metrics_get(METRIC_POLICY_ALARMS, "fell", NULL), before);
	assert_int_equal(import(fixture, STS_MODE_TESTING, "3", START), STS_IMPORT_DONE);
	assert_int_equal(metrics_get(METRIC_POLICY_ALARMS, "fell", NULL), before + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_import_is_in_force, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_later_fetch_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_is_not_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_fall_from_enforce_is_an_alarm, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
