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
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/deadline.h"
#include "report/history.h"
#include "tests/unit/state.h"

#define KEEP	(90 * 86400)
#define ROOM	(64 << 20)
#define LEAF	"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
#define ISSUER	"-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
#define OTHER	"-----BEGIN CERTIFICATE-----\nCCCC\n-----END CERTIFICATE-----\n"

static struct history_entry
event_at(int64_t at_s)
{
	return (struct history_entry){ .kind = HISTORY_REFUSED,
		.domain = "example.com",
		.last_s = at_s,
		.recipients = 2,
		.policy = "sts",
		.mode = "enforce",
		.policy_id = "1",
		.host = "mx.example.com",
		.result = "certificate-expired",
		.reason = "certificate has expired",
		.reply = "451 4.7.5 <\"a b\"@example.com> someone@example.com: no",
		.chain = LEAF ISSUER };
}

struct seen {
	unsigned entries;
	uint64_t count, recipients;
	char last[1024], key[HISTORY_KEY_MAX], chain[256];
	unsigned limit;
};

static bool
see(void *context, const char *key, const struct history_entry *entry)
{
	struct seen *seen = context;

	seen->entries++;
	seen->count += entry->count;
	seen->recipients += entry->recipients;
	assert_true(history_is_key(key));
	(void)snprintf(seen->key, sizeof(seen->key), "%s", key);
	(void)snprintf(seen->chain, sizeof(seen->chain), "%s",
	    entry->chain != NULL ? entry->chain : "");
	(void)snprintf(seen->last, sizeof(seen->last), "%s|%s|%s|%s|%s|%s|%s|%s",
	    history_kind_name(entry->kind), entry->domain,
	    entry->policy != NULL ? entry->policy : "", entry->mode != NULL ? entry->mode : "",
	    entry->host != NULL ? entry->host : "", entry->result,
	    entry->reason != NULL ? entry->reason : "", entry->reply != NULL ? entry->reply : "");
	return seen->limit == 0 || seen->entries < seen->limit;
}

static struct seen
scan(struct history *history, const struct history_query *query)
{
	struct seen seen = { .entries = 0 };

	assert_int_equal(history_scan(history, query, see, &seen), STORE_OK);
	return seen;
}

static const struct history_query all = { .chains = true };

/* The hour in which the test began. */
static int64_t
hour_now(void)
{
	static int64_t hour;

	if (hour == 0)
		hour = clock_wall_s() / 3600 * 3600;
	return hour;
}

static void
test_equal_events_are_one_entry(void **state)
{
	struct store *store = state_open();
	struct history *history = history_new(store, KEEP, ROOM);
	struct history_entry event = event_at(hour_now());
	struct seen seen;

	(void)state;
	history_note(history, &event);
	history_note(history, &event);
	seen = scan(history, &all);
	assert_int_equal(seen.entries, 1);
	event.last_s += 3599;
	history_note(history, &event);
	seen = scan(history, &all);
	assert_int_equal(seen.entries, 1);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.recipients, 6);
	assert_string_equal(seen.chain, LEAF ISSUER);
	assert_string_equal(seen.last,
	    "refused|example.com|sts|enforce|mx.example.com|certificate-expired|certificate has "
	    "expired|451 4.7.5 <*@example.com> *@example.com: no");
	history_free(history);
	store_close(store);
}

static void
test_what_differs_is_told_apart(void **state)
{
	struct store *store = state_open();
	struct history *history = history_new(store, KEEP, ROOM);
	struct history_entry events[8];
	struct history_query query = { .of_kind = true, .kind = HISTORY_WOULD };
	struct seen seen;

	(void)state;
	for (size_t i = 0; i < 8; i++)
		events[i] = event_at(hour_now() - 7200);
	events[1].last_s += 3600;
	events[2].kind = HISTORY_WOULD;
	events[3].domain = "example.net";
	events[4].host = "mx2.example.com";
	events[5].policy_id = "2";
	events[6].result = "certificate-not-trusted";
	events[7].chain = OTHER ISSUER;
	for (size_t i = 0; i < 8; i++)
		history_note(history, &events[i]);
	events[0].chain = LEAF;	/* another issuer of the same certificate */
	history_note(history, &events[0]);
	seen = scan(history, &all);
	assert_int_equal(seen.entries, 8);
	assert_int_equal(seen.count, 9);
	assert_int_equal(scan(history, &query).entries, 1);
	query = (struct history_query){ .domain = "example.net" };
	assert_int_equal(scan(history, &query).entries, 1);
	query = (struct history_query){ .domain = "example" };
	assert_int_equal(scan(history, &query).entries, 0);
	query = (struct history_query){ .since_s = hour_now() - 3600 };
	assert_int_equal(scan(history, &query).entries, 1);
	history_free(history);
	store_close(store);
}

static void
test_pages(void **state)
{
	struct store *store = state_open();
	struct history *history = history_new(store, KEEP, ROOM);
	struct history_entry event = event_at(hour_now());
	struct history_query query = { .kind = HISTORY_REFUSED };
	struct seen seen;
	char domain[32], key[HISTORY_KEY_MAX] = "";
	unsigned found = 0;

	(void)state;
	event.domain = domain;
	for (unsigned i = 0; i < 100; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		history_note(history, &event);
	}
	query.after = key;
	do {
		seen = (struct seen){ .limit = 7 };
		assert_int_equal(history_scan(history, &query, see, &seen), STORE_OK);
		found += seen.entries;
		(void)snprintf(key, sizeof(key), "%s", seen.key);
	} while (seen.entries == 7);
	assert_int_equal(found, 100);
	history_free(history);
	store_close(store);
}

static void
test_survives_a_kill(void **state)
{
	struct store *store;
	struct history *history;
	struct history_entry event = event_at(hour_now());
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		store = state_open();
		history = history_new(store, KEEP, ROOM);
		history_note(history, &event);
		(void)scan(history, &all);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	store = state_open();
	history = history_new(store, KEEP, ROOM);
	history_note(history, &event);
	assert_int_equal(scan(history, &all).count, 2);
	history_free(history);
	history = history_new(store, KEEP, ROOM);
	assert_int_equal(scan(history, &all).count, 2);
	history_free(history);
	store_close(store);
}

static void
test_the_oldest_go_first(void **state)
{
	struct store *store = state_open();
	struct history *history = history_new(store, KEEP, 256 << 10);
	struct history_entry event;
	struct history_query query = { .kind = HISTORY_REFUSED };
	char domain[32];
	struct seen seen;

	(void)state;
	for (int hour = 100; hour >= 0; hour--) {
		event = event_at(hour_now() - hour * 3600);
		event.domain = domain;
		for (unsigned i = 0; i < 20; i++) {
			(void)snprintf(domain, sizeof(domain), "d%u.example", i);
			history_note(history, &event);
		}
	}
	(void)scan(history, &query);
	seen = scan(history, &query);
	assert_in_range(seen.entries, 100, 600);
	query.since_s = hour_now();
	assert_int_equal(scan(history, &query).entries, 20);
	/* and those beyond history.keep */
	history_set_limits(history, 1, ROOM);
	history_free(history);
	history = history_new(store, 1, ROOM);
	query.since_s = 0;
	(void)scan(history, &query);
	seen = scan(history, &query);
	assert_in_range(seen.entries, 0, 40);
	history_free(history);
	store_close(store);
}

/* Whatever the number of domains, no event of an hour is lost, and what came before stays. */
static void
test_one_hour_does_not_push_out_the_others(void **state)
{
	struct store *store = state_open();
	struct history *history = history_new(store, KEEP, 256 << 10);
	struct history_entry event = event_at(hour_now() - 3600);
	struct history_query query = { .domain = "example.com" };
	char domain[32];

	(void)state;
	history_note(history, &event);
	event.last_s = hour_now();
	event.domain = domain;
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(domain, sizeof(domain), "d%u.example", i);
		history_note(history, &event);
		if (i % 100 == 0)
			(void)scan(history, &query);
	}
	assert_int_equal(scan(history, &query).count, 1);
	assert_int_equal(scan(history, &all).count, 20001);
	assert_in_range(scan(history, &all).entries, 200, 1000);
	history_free(history);
	store_close(store);
}

static void
test_keep_nothing(void **state)
{
	struct store *store = state_open();
	struct history *history = history_new(store, 0, ROOM);
	struct history_entry event = event_at(hour_now());

	(void)state;
	history_note(history, &event);
	assert_int_equal(scan(history, &all).entries, 0);
	history_note(NULL, &event);
	assert_int_equal(scan(NULL, &all).entries, 0);
	history_free(history);
	store_close(store);
}

static void
test_masks(void **state)
{
	static const char *const table[][2] = { { "", "" }, { "no address", "no address" },
		{ "someone@example.com", "*@example.com" }, { "<a@b>,<c@d>", "<*@b>,<*@d>" },
		{ "a@b@c", "*@*@c" }, { "@", "@" }, { "\"x y\"@b", "*@b" },
		{ "\"x \\\" y\"@b", "*@b" }, { "\"@b", "*@b" }, { "mailto:x@y", "mailto:*@y" } };

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *masked = history_mask(table[i][0]);

		assert_string_equal(masked, table[i][1]);
		free(masked);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		STATE_TEST(test_equal_events_are_one_entry),
		STATE_TEST(test_what_differs_is_told_apart),
		STATE_TEST(test_pages),
		STATE_TEST(test_survives_a_kill),
		STATE_TEST(test_the_oldest_go_first),
		STATE_TEST(test_one_hour_does_not_push_out_the_others),
		STATE_TEST(test_keep_nothing),
		cmocka_unit_test(test_masks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
