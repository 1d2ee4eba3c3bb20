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

#include <cmocka.h>

#include "base/deadline.h"
#include "base/metrics.h"
#include "report/outbox.h"
#include "report/tally.h"
#include "tests/unit/memory_store.h"

#define DAY	20000
#define NOW	INT64_C(1728100000)
#define PURGE	(NOW + 14 * DAY_S)

static struct store *store;

static int
set_up(void **state)
{
	char why[128];

	(void)state;
	memory_store_reset();
	store = store_open("", "", why, sizeof(why));
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	store_close(store);
	memory_store_reset();
	return 0;
}

static struct outbox_entry
entry_of(const char *domain, const char *target)
{
	struct outbox_entry entry = { .day = DAY,
		.scheme = RUA_MAILTO,
		.target = target,
		.record = "0123456789abcdef0123",
		.error = "" };

	(void)snprintf(entry.domain, sizeof(entry.domain), "%s", domain);
	return entry;
}

struct seen {
	size_t count;
	char text[512];	/* what was handed out, one a line */
};

static bool
see_key(void *context, const char *key)
{
	struct seen *seen = context;
	size_t used = strlen(seen->text);

	seen->count++;
	(void)snprintf(seen->text + used, sizeof(seen->text) - used, "%.*s\n",
	    (int)strcspn(strchr(key, ' ') + 1, " "), strchr(key, ' ') + 1);
	return true;
}

static bool
see_entry(void *context, const char *key, const struct outbox_entry *entry)
{
	assert_int_equal(entry->day, DAY);
	return see_key(context, key);
}

static struct seen
due_at(int64_t now)
{
	struct seen seen = { .count = 0 };

	assert_int_equal(outbox_due(store, now, see_key, &seen), STORE_OK);
	return seen;
}

static struct outbox_entry
read_back(struct arena *arena, const struct outbox_entry *entry)
{
	struct outbox_entry found = *entry;

	assert_int_equal(outbox_read(store, arena, &found), STORE_OK);
	return found;
}

/* Case 75 of the facts on TLS-RPT. */
static void
gaps_grow_until_a_day_is_over(void **state)
{
	static const int64_t gaps[] = { 300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 9900 };
	struct arena *arena = arena_new();
	struct outbox_entry entry = entry_of("a.example", "r@r.example");
	int64_t now = NOW;

	(void)state;
	assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
	for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		assert_int_equal(due_at(now - 1).count, 0);
		assert_int_equal(due_at(now).count, 1);
		entry = read_back(arena, &entry);
		entry.error = "it is away";
		assert_int_equal(outbox_settle(store, &entry, false, PURGE, now), STORE_OK);
		entry = read_back(arena, &entry);
		assert_int_equal(entry.state, OUTBOX_WAITING);
		assert_int_equal(entry.tries, i + 1);
		assert_int_equal(entry.next_s - now, gaps[i]);
		assert_string_equal(entry.error, "it is away");
		now = entry.next_s;
	}
	assert_int_equal(now, NOW + OUTBOX_TIME_S);
	assert_int_equal(outbox_settle(store, &entry, false, PURGE, now), STORE_OK);
	entry = read_back(arena, &entry);
	assert_int_equal(entry.state, OUTBOX_GIVEN_UP);
	assert_string_equal(outbox_state_name(entry.state), "given-up");
	assert_int_equal(due_at(INT64_MAX).count, 0);
	arena_free(arena);
}

static void
what_is_taken_is_not_due_again(void **state)
{
	struct arena *arena = arena_new();
	struct outbox_entry entry = entry_of("a.example", "r@r.example");

	(void)state;
	assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
	entry = read_back(arena, &entry);
	assert_int_equal(outbox_settle(store, &entry, true, PURGE, NOW + 5), STORE_OK);
	assert_int_equal(due_at(INT64_MAX).count, 0);
	entry = entry_of("a.example", "r@r.example");
	assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW + 9), STORE_OK);
	entry = read_back(arena, &entry);
	assert_int_equal(entry.state, OUTBOX_TAKEN);
	assert_int_equal(entry.next_s, NOW + 5);
	assert_int_equal(due_at(INT64_MAX).count, 0);
	arena_free(arena);
}

static void
due_in_order_of_time(void **state)
{
	struct outbox_entry late = entry_of("a.example", "r@r.example"),
			    early = entry_of("b.example", "r@r.example"),
			    never = entry_of("c.example", "r@r.example");
	struct seen seen;

	(void)state;
	assert_int_equal(outbox_add(store, &late, NULL, PURGE, NOW + 20), STORE_OK);
	assert_int_equal(outbox_add(store, &early, NULL, PURGE, NOW + 10), STORE_OK);
	assert_int_equal(outbox_add(store, &never, NULL, PURGE, NOW + 999), STORE_OK);
	seen = due_at(NOW + 20);
	assert_string_equal(seen.text, "b.example\na.example\n");
}

static void
entries_of_a_day(void **state)
{
	static const char *const domains[] = { "a.example", "b.example", "b.example.net",
		"c.example" };
	struct seen all = { .count = 0 }, one = { .count = 0 }, after = { .count = 0 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct outbox_entry entry = entry_of(domains[i], "r@r.example");

		assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
		entry.scheme = RUA_HTTPS;
		entry.target = "https://r.example/";
		assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
		entry.day++;
		assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
	}
	assert_int_equal(outbox_scan(store, DAY, "", "", see_entry, &all), STORE_OK);
	assert_int_equal(all.count, 8);
	assert_int_equal(outbox_scan(store, DAY, "b.example", "", see_entry, &one), STORE_OK);
	assert_string_equal(one.text, "b.example\nb.example\n");
	assert_int_equal(outbox_scan(store, DAY, "", "b.example", see_entry, &after), STORE_OK);
	assert_string_equal(after.text, "b.example.net\nb.example.net\nc.example\nc.example\n");
}

static void
what_a_damaged_store_holds(void **state)
{
	static const char *const values[] = { "", "\n", "0", "0 1 2 3\n", "0 1 2 3 mailto \x80",
		"7 1 2 3 mailto a@b.example\n", "-1 1 2 3 mailto a@b.example\n",
		"x 1 2 3 mailto a@b.example\n", "0 1 2 3 mailtomailto a@b.example",
		"3 1 2 3 mailto a@b.example\n", "0 -1 2 3 mailto a@b.example\n",
		"0 4294967295 2 3 mailto a@b.example\n", "0 1 -2 3 mailto a@b.example\n",
		"0 1 9223372036854775807 3 mailto a@b.example\n",
		"0 1 2 253402300800 mailto a@b.example\n", "0 1 2 3 mailto \n",
		"0 1 2 3 mailto ab.example\n", "0 1 2 3 https \n", "0 1 2 3 https a@b.example\n",
		"0 1 2 3 https https://\n", "0 1 2 3 ftp https://b.example/\n",
		"0 1 2 3  a@b.example\n", " 0 1 2 3 mailto a@b.example\n" };
	struct arena *arena = arena_new();
	struct outbox_entry entry = entry_of("a.example", "r@r.example");
	char key[512];

	(void)state;
	(void)snprintf(key, sizeof(key), "i %s", outbox_key(arena, &entry));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		struct seen seen = { .count = 0 };

		assert_int_equal(store_put(store, STORE_OUTBOX, key, values[i], strlen(values[i]),
				     0, STORE_SYNC),
		    STORE_OK);
		assert_int_equal(outbox_read(store, arena, &entry), STORE_ABSENT);
		assert_int_equal(outbox_scan(store, DAY, "", "", see_entry, &seen), STORE_OK);
		assert_int_equal(seen.count, 0);
	}
	arena_free(arena);
}

static void
a_receiver_has_so_many_entries_a_day_and_no_more(void **state)
{
	static const char *const domains[] = { "a.example", "b.example", "c.example", "d.example" };
	struct outbox_bound bound = { .receiver = "r@r.example", .most = 2 };
	struct outbox_bound other = { .receiver = "s@r.example", .most = 2 };
	struct seen seen = { .count = 0 };
	struct outbox_entry entry;

	(void)state;
	for (size_t again = 0; again < 2; again++)
		for (size_t i = 0; i < 4; i++) {
			entry = entry_of(domains[i], "r@r.example");
			assert_int_equal(outbox_add(store, &entry, &bound, PURGE, NOW), STORE_OK);
			assert_int_equal(bound.beyond, i >= 2);
			assert_int_equal(bound.untold, i == 2 && again == 0);
		}
	entry = entry_of("d.example", "s@r.example");
	assert_int_equal(outbox_add(store, &entry, &other, PURGE, NOW), STORE_OK);
	assert_false(other.beyond);
	assert_int_equal(outbox_scan(store, DAY, "", "", see_entry, &seen), STORE_OK);
	assert_string_equal(seen.text, "a.example\nb.example\nd.example\n");
	/* another day, and what is sent of a day that is not over */
	entry = entry_of("c.example", "r@r.example");
	entry.day = DAY + 1;
	assert_int_equal(outbox_add(store, &entry, &bound, PURGE, NOW), STORE_OK);
	assert_false(bound.beyond);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(outbox_count(store, DAY, &bound, PURGE), STORE_OK);
		assert_int_equal(bound.beyond, i >= 2);
		assert_int_equal(bound.untold, i == 2);
	}
}

/* Nor does it hide the entries after it. */
static void
a_damaged_mark_hides_no_other(void **state)
{
	static const char *const keys[] = { "w  2024-10-04 a.example 0 0",
		"w -1 2024-10-04 a.example",
		"w 00000000000000000000009223372036854775808 2024-10-04 a.example 0 0" };
	struct outbox_entry entry = entry_of("a.example", "r@r.example");
	struct seen seen = { .count = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		assert_int_equal(store_put(store, STORE_OUTBOX, keys[i], "", 0, 0, STORE_SYNC),
		    STORE_OK);
	assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
	assert_int_equal(outbox_due(store, NOW, see_key, &seen), STORE_OK);
	assert_string_equal(seen.text, "a.example\n");
}

static void
what_a_damaged_day_holds(void **state)
{
	static const char *const values[] = { "", "1", "1 0", "-1 0 a.example", "1 2 a.example",
		"1 -1 a.example", "9223372036854775807 0 a.example", "x 0 ", "1 x " };
	struct outbox_day found;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(store_put(store, STORE_OUTBOX, "p 2024-10-04", values[i],
				     strlen(values[i]), 0, STORE_SYNC),
		    STORE_OK);
		if (outbox_day_read(store, DAY, &found) != STORE_ABSENT || found.send_at_s != 0 ||
		    found.done || found.domain[0] != '\0')
			fail_msg("%s", values[i]);
	}
}

/* What is in a report for one value of the store, of a policy, its figures or a failure. */
struct figures {
	unsigned type;
	uint64_t succeeded, failed, details, sessions;
};

static struct figures
read_figures(const char *counts, const char *policy, const char *detail)
{
	static const char key[] = "%s a.example 0123456789abcdef0123%s";
	static const char *const behind[] = { "", " 0123456789abcdef0123",
		" 0123456789abcdef0123 !", " 0123456789abcdef0123 0123456789abcdef0123" };
	const char *const values[] = { "1\nv=TLSRPTv1;rua=mailto:a@b", counts, policy, detail };
	struct tally *tally = tally_new(store, 14 * DAY_S);
	struct arena *arena = arena_new();
	struct figures figures = { 0 };
	struct tally_report *reports;
	char day[DAY_TEXT], name[200];
	size_t count = 0;

	day_format(day_of(clock_wall_s()), day);
	for (size_t i = 0; i < 4; i++) {
		(void)snprintf(name, sizeof(name), key, day, behind[i]);
		assert_int_equal(store_put(store, STORE_TALLY, name, values[i], strlen(values[i]),
				     0, STORE_SYNC),
		    STORE_OK);
	}
	if (tally_read(tally, day_of(clock_wall_s()), "a.example", arena, &reports, &count) ==
		STORE_OK &&
	    count == 1 && reports[0].policy_count == 1) {
		const struct tally_policy *one = &reports[0].policies[0];

		figures = (struct figures){ one->policy.type, one->succeeded, one->failed,
			one->detail_count, one->detail_count > 0 ? one->details[0].sessions : 0 };
	}
	arena_free(arena);
	tally_free(tally);
	return figures;
}

#define COUNTS	"7 2 1"
#define POLICY(type, domain)	\
	"{\"type\":" type ",\"domain\":\"" domain "\",\"strings\":[],\"mx\":[]}"
#define DETAIL	"[\"certificate-expired\",\"\",\"\",\"\",\"\",\"\",\"\"]"

static void
what_a_damaged_tally_holds(void **state)
{
	static const char *const counts[] = { "", "x", "-7 2 1", "7 -2 1", "7,2,1", "7",
		"18446744073709551615 18446744073709551615 1", "9007199254740993 2 1", " 7 2 1" };
	static const char *const policies[] = { POLICY("0", "a"), POLICY("3", "a"),
		POLICY("-1", "a"), POLICY("4294967297", "a"), POLICY("\"1\"", "a"),
		POLICY("1.0", "a"), POLICY("9", ""), "" };
	static const char *const details[] = { "\n" DETAIL, "-3\n" DETAIL, "x\n" DETAIL,
		"3x\n" DETAIL, "18446744073709551615\n" DETAIL, "3" DETAIL, "3\n[]" };
	struct figures figures;
	size_t i;

	(void)state;
	figures = read_figures(COUNTS, POLICY("2", "a"), "3\n" DETAIL);
	assert_true(figures.type == OUTCOME_STS && figures.succeeded == 7 && figures.failed == 2 &&
	    figures.details == 1 && figures.sessions == 3);
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (read_figures(counts[i], POLICY("1", "a"), "3\n" DETAIL).type != 0)
			fail_msg("%s", counts[i]);
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (read_figures(COUNTS, policies[i], "3\n" DETAIL).type != 0)
			fail_msg("%s", policies[i]);
	for (i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
		figures = read_figures(COUNTS, POLICY("9", "a"), details[i]);
		if (figures.type != OUTCOME_NO_POLICY || figures.details != 0)
			fail_msg("%s", details[i]);
	}
}

static void
days_are_planned_once(void **state)
{
	struct outbox_day day = { .send_at_s = NOW }, found;

	(void)state;
	assert_int_equal(outbox_day_read(store, DAY, &found), STORE_ABSENT);
	assert_int_equal(outbox_day_write(store, DAY, &day, PURGE), STORE_OK);
	assert_int_equal(outbox_day_read(store, DAY, &found), STORE_OK);
	assert_true(found.send_at_s == NOW && !found.done);
	day.done = true;
	assert_int_equal(outbox_day_write(store, DAY, &day, PURGE), STORE_OK);
	assert_int_equal(outbox_day_read(store, DAY, &found), STORE_OK);
	assert_true(found.done);
}

static void
a_store_that_fails_is_told(void **state)
{
	struct arena *arena = arena_new();
	struct outbox_entry entry = entry_of("a.example", "r@r.example");

	(void)state;
	assert_int_equal(outbox_add(store, &entry, NULL, PURGE, NOW), STORE_OK);
	entry = read_back(arena, &entry);
	memory_store.writes_fail = true;
	assert_int_equal(outbox_settle(store, &entry, true, PURGE, NOW), STORE_FAILED);
	memory_store.writes_fail = false;
	entry = entry_of("a.example", "r@r.example");
	assert_int_equal(read_back(arena, &entry).state, OUTBOX_WAITING);
	memory_store.reads_fail = true;
	assert_int_equal(outbox_read(store, arena, &entry), STORE_FAILED);
	arena_free(arena);
}

/* The tally: sessions that cannot be written are counted as lost, without other effects. */
static void
a_session_that_cannot_be_counted_is_lost(void **state)
{
	struct tally *tally = tally_new(store, DAY_S);
	struct outcome outcome = { .policy = { .type = OUTCOME_NO_POLICY, .domain = "a.example" } };
	const struct session_outcome session = { "a.example", "v=TLSRPTv1;rua=mailto:a@b.example",
		clock_wall_s(), &outcome, 1 };
	int64_t lost = metrics_get(METRIC_TLSRPT_LOST, "store", NULL);
	int64_t counted = metrics_get(METRIC_TLSRPT_SESSIONS, "no-policy-found", "success");

	(void)state;
	memory_store.writes_fail = true;
	tally_add(tally, &session);
	tally_add(tally, &session);
	memory_store.writes_fail = false;
	memory_store.reads_fail = true;
	tally_add(tally, &session);
	memory_store.reads_fail = false;
	assert_int_equal(metrics_get(METRIC_TLSRPT_LOST, "store", NULL), lost + 3);
	assert_int_equal(metrics_get(METRIC_TLSRPT_SESSIONS, "no-policy-found", "success"),
	    counted);
	tally_add(tally, &session);
	assert_int_equal(metrics_get(METRIC_TLSRPT_LOST, "store", NULL), lost + 3);
	assert_int_equal(metrics_get(METRIC_TLSRPT_SESSIONS, "no-policy-found", "success"),
	    counted + 1);
	tally_free(tally);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gaps_grow_until_a_day_is_over),
		TEST(what_is_taken_is_not_due_again),
		TEST(due_in_order_of_time),
		TEST(entries_of_a_day),
		TEST(what_a_damaged_store_holds),
		TEST(a_receiver_has_so_many_entries_a_day_and_no_more),
		TEST(a_damaged_mark_hides_no_other),
		TEST(what_a_damaged_day_holds),
		TEST(what_a_damaged_tally_holds),
		TEST(days_are_planned_once),
		TEST(a_store_that_fails_is_told),
		TEST(a_session_that_cannot_be_counted_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
