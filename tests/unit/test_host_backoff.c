/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/limits.h"
#include "shim/smtp/host_backoff.h"

#define MINUTE	60000

static struct host_backoff_key
key(uint32_t number)
{
	struct host_backoff_key made = {
		.port = 25, .next_hop = "a.example", .sender = "s.example"
	};

	made.ip.octets[0] = 10;
	made.ip.octets[1] = (uint8_t)(number >> 16);
	made.ip.octets[2] = (uint8_t)(number >> 8);
	made.ip.octets[3] = (uint8_t)number;
	return made;
}

static bool
passes(struct host_backoff *memory, const struct host_backoff_key *at, int64_t now)
{
	struct host_backoff_note note;

	return host_backoff_passes(memory, at, now, &note);
}

static const struct host_backoff_news untold;
static const struct host_backoff_news served = { .served = HOST_BACKOFF_SENDER };
static const struct host_backoff_news refused = { .failed = HOST_BACKOFF_ALL, .how = "refused" };
static const struct host_backoff_probe none;

/* One try with its end. true: it was allowed. */
static bool
try(struct host_backoff *memory, const struct host_backoff_key *at, int64_t now,
    const struct host_backoff_news *news)
{
	struct host_backoff_note note;
	struct host_backoff_probe probe;

	if (host_backoff_claim(memory, at, now, &probe, &note))
		return false;
	host_backoff_tell(memory, at, now, &probe, news);
	return true;
}

static void
test_intervals(void **state)
{
	static const int64_t minutes[] = { 5, 10, 20, 30, 30, 30 };
	struct host_backoff *memory = host_backoff_new(5 * MINUTE);
	struct host_backoff_key at = key(1);
	struct host_backoff_note note;
	int64_t now = 1000;
	size_t i;

	(void)state;
	assert_false(passes(memory, &at, now));
	for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		assert_true(try(memory, &at, now, &refused));
		assert_true(host_backoff_passes(memory, &at, now + 1000, &note));
		assert_int_equal(note.failures, i + 1);
		assert_int_equal(note.wait_ms, minutes[i] * MINUTE - 1000);
		assert_string_equal(note.last, "refused");
		now += minutes[i] * MINUTE;
		assert_true(passes(memory, &at, now - 1));
		assert_false(passes(memory, &at, now));
	}
	assert_true(try(memory, &at, now, &served));
	assert_true(try(memory, &at, now, &refused));
	assert_true(host_backoff_passes(memory, &at, now, &note));
	assert_int_equal(note.wait_ms, 5 * MINUTE);
	host_backoff_free(memory);
}

static void
test_a_long_interval_never_shrinks(void **state)
{
	struct host_backoff *memory = host_backoff_new(60 * MINUTE);
	struct host_backoff_key at = key(1);

	(void)state;
	assert_true(try(memory, &at, 0, &refused));
	assert_true(passes(memory, &at, 60 * MINUTE - 1));
	assert_true(try(memory, &at, 60 * MINUTE, &refused));
	assert_true(passes(memory, &at, 120 * MINUTE - 1));
	assert_false(passes(memory, &at, 120 * MINUTE));
	host_backoff_free(memory);
}

static void
test_what_makes_another_host(void **state)
{
	struct host_backoff *memory = host_backoff_new(MINUTE);
	struct host_backoff_key at = key(1), port = at, source = at, six = at;

	(void)state;
	port.port = 2525;
	source.source = key(9).ip;
	six.ip.v6 = true;
	assert_true(try(memory, &at, 0, &refused));
	assert_true(passes(memory, &at, 0));
	assert_false(passes(memory, &port, 0) || passes(memory, &source, 0) ||
	    passes(memory, &six, 0));
	host_backoff_free(memory);
}

static void
test_one_probe_an_interval(void **state)
{
	static const struct host_backoff_news lost = { .failed = HOST_BACKOFF_ALL,
		.how = "lost again" };
	struct host_backoff *memory = host_backoff_new(MINUTE);
	struct host_backoff_probe probe, other;
	struct host_backoff_key at = key(1);
	struct host_backoff_note note;

	(void)state;
	assert_false(host_backoff_claim(memory, &at, 0, &probe, &note));
	assert_false(probe.of[HOST_BACKOFF_ALL]);
	host_backoff_tell(memory, &at, 0, &probe, &refused);
	assert_false(host_backoff_claim(memory, &at, MINUTE, &probe, &note));
	assert_true(probe.of[HOST_BACKOFF_ALL]);
	assert_true(host_backoff_claim(memory, &at, MINUTE, &other, &note));
	assert_false(other.of[HOST_BACKOFF_ALL]);
	assert_int_equal(note.wait_ms, 0);
	assert_true(passes(memory, &at, 5 * MINUTE));
	/* A try that began before it failed takes nothing from the probe. */
	host_backoff_tell(memory, &at, MINUTE, &none, &untold);
	assert_true(passes(memory, &at, MINUTE));
	/* A probe to no end leaves the place to the next one. */
	host_backoff_tell(memory, &at, MINUTE, &probe, &untold);
	assert_false(host_backoff_claim(memory, &at, MINUTE, &probe, &note));
	host_backoff_tell(memory, &at, MINUTE, &probe, &lost);
	assert_true(host_backoff_passes(memory, &at, MINUTE, &note));
	assert_int_equal(note.wait_ms, 2 * MINUTE);
	assert_string_equal(note.last, "lost again");
	host_backoff_free(memory);
}

/* Which mail passes an address over that failed for the mail of key(1). */
static const struct scope_case {
	enum host_backoff_scope failed;
	bool same, other_case, other_sender, other_next_hop;
} scopes[] = {
	{ HOST_BACKOFF_NONE, false, false, false, false },
	{ HOST_BACKOFF_ALL, true, true, true, true },
	{ HOST_BACKOFF_NEXT_HOP, true, true, true, false },
	{ HOST_BACKOFF_SENDER, true, true, false, false },
};

static void
test_for_whom(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++) {
		const struct host_backoff_news news = { .failed = scopes[i].failed, .how = "no" };
		struct host_backoff *memory = host_backoff_new(MINUTE);
		struct host_backoff_key at = key(1), other_case = at, sender = at, next_hop = at;
		struct host_backoff_note note = { 0 };

		other_case.sender = "S.Example";
		sender.sender = "";
		next_hop.next_hop = "b.example";
		assert_true(try(memory, &at, 0, &news));
		assert_int_equal(host_backoff_passes(memory, &at, 0, &note), scopes[i].same);
		assert_int_equal(note.scope, scopes[i].failed);
		assert_int_equal(passes(memory, &other_case, 0), scopes[i].other_case);
		assert_int_equal(passes(memory, &sender, 0), scopes[i].other_sender);
		assert_int_equal(passes(memory, &next_hop, 0), scopes[i].other_next_hop);
		host_backoff_free(memory);
	}
}

/* What is served ends what failed for as much mail or more, and nothing else. */
static void
test_what_is_forgotten(void **state)
{
	static const enum host_backoff_scope all[] = { HOST_BACKOFF_NONE, HOST_BACKOFF_ALL,
		HOST_BACKOFF_NEXT_HOP, HOST_BACKOFF_SENDER };
	size_t i, j;

	(void)state;
	for (i = 0; i < 4; i++)
		for (j = 1; j < 4; j++) {
			const struct host_backoff_news news = { .failed = all[j], .how = "no" };
			const struct host_backoff_news good = { .served = all[i] };
			struct host_backoff *memory = host_backoff_new(MINUTE);
			struct host_backoff_key at = key(1);

			assert_true(try(memory, &at, 0, &news));
			host_backoff_tell(memory, &at, 0, &none, &good);
			assert_int_equal(passes(memory, &at, 0), j > i);
			host_backoff_free(memory);
		}
}

/* One domain of many that share a host cannot take it from the others, nor hide it for good. */
static void
test_one_probe_for_every_scope(void **state)
{
	static const struct host_backoff_news busy = {
		.served = HOST_BACKOFF_ALL, .failed = HOST_BACKOFF_NEXT_HOP, .how = "busy"
	};
	struct host_backoff *memory = host_backoff_new(MINUTE);
	struct host_backoff_key at = key(1), other = at;
	struct host_backoff_probe probe;
	struct host_backoff_note note;

	(void)state;
	other.next_hop = "b.example";
	assert_true(try(memory, &at, 0, &refused));
	assert_true(try(memory, &at, MINUTE, &busy));
	assert_false(passes(memory, &other, MINUTE));
	assert_true(passes(memory, &at, MINUTE));
	assert_false(host_backoff_claim(memory, &at, 2 * MINUTE, &probe, &note));
	assert_true(probe.of[HOST_BACKOFF_NEXT_HOP] && !probe.of[HOST_BACKOFF_ALL]);
	assert_true(passes(memory, &at, 2 * MINUTE));
	assert_false(passes(memory, &other, 2 * MINUTE));
	host_backoff_tell(memory, &at, 2 * MINUTE, &probe, &served);
	assert_false(passes(memory, &at, 2 * MINUTE));
	host_backoff_free(memory);
}

/* A probe that delivers a long message does not delay other mail that its host would accept. */
static void
test_a_probe_that_is_served_and_goes_on(void **state)
{
	static const enum host_backoff_scope all[] = { HOST_BACKOFF_NONE, HOST_BACKOFF_ALL,
		HOST_BACKOFF_NEXT_HOP, HOST_BACKOFF_SENDER };
	size_t i, j;

	(void)state;
	for (i = 0; i < 4; i++)
		for (j = 1; j < 4; j++) {
			const struct host_backoff_news news = { .failed = all[j], .how = "no" };
			struct host_backoff *memory = host_backoff_new(MINUTE);
			struct host_backoff_key at = key(1);
			struct host_backoff_probe probe;
			struct host_backoff_note note;

			assert_true(try(memory, &at, 0, &news));
			assert_false(host_backoff_claim(memory, &at, MINUTE, &probe, &note));
			assert_true(passes(memory, &at, MINUTE));
			host_backoff_serves(memory, &at, &probe, all[i]);
			assert_int_equal(passes(memory, &at, MINUTE), j > i);
			/* Failures of others meanwhile are not its own. */
			assert_true(i < j || try(memory, &at, MINUTE, &news));
			host_backoff_tell(memory, &at, MINUTE, &probe, &untold);
			assert_int_equal(passes(memory, &at, MINUTE), i >= j);
			host_backoff_free(memory);
		}
}

/* Twenty that were on their way when the host died are one failure. */
static void
test_failures_side_by_side(void **state)
{
	struct host_backoff *memory = host_backoff_new(MINUTE);
	struct host_backoff_key at = key(1);
	struct host_backoff_note note;
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		host_backoff_tell(memory, &at, i, &none, &refused);
	assert_true(host_backoff_passes(memory, &at, 20, &note));
	assert_int_equal(note.failures, 1);
	assert_int_equal(note.wait_ms, MINUTE - 20);
	host_backoff_free(memory);
}

static void
test_bounded(void **state)
{
	struct host_backoff *memory = host_backoff_new(MINUTE);
	struct host_backoff_key at;
	uint32_t i;

	(void)state;
	for (i = 0; i < LIMIT_FAILED_ADDRESSES + 10; i++) {
		at = key(i);
		assert_true(try(memory, &at, 0, &refused));
	}
	for (i = 0; i < LIMIT_FAILED_ADDRESSES + 10; i++) {
		at = key(i);
		assert_int_equal(passes(memory, &at, 0), i >= 10);
	}
	host_backoff_free(memory);
}

struct crowd {
	struct host_backoff *memory;
	atomic_int trying, most, tries;
};

static void *
try_often(void *argument)
{
	struct crowd *crowd = argument;
	struct host_backoff_key at = key(1);
	struct host_backoff_probe probe;
	struct host_backoff_note note;
	int64_t now;
	int together;

	for (now = MINUTE; now < 2 * MINUTE; now += 30) {
		if (host_backoff_claim(crowd->memory, &at, now, &probe, &note))
			continue;
		together = atomic_fetch_add(&crowd->trying, 1) + 1;
		if (together > atomic_load(&crowd->most))
			atomic_store(&crowd->most, together);
		atomic_fetch_add(&crowd->tries, 1);
		atomic_fetch_sub(&crowd->trying, 1);
		host_backoff_tell(crowd->memory, &at, now, &probe, &untold);
	}
	return NULL;
}

static void
test_many_threads(void **state)
{
	struct crowd crowd = { .memory = host_backoff_new(MINUTE) };
	struct host_backoff_key at = key(1);
	pthread_t threads[8];
	size_t i;

	(void)state;
	assert_true(try(crowd.memory, &at, 0, &refused));
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, try_often, &crowd), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.most, 1);
	assert_true(crowd.tries > 0);
	host_backoff_free(crowd.memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_a_long_interval_never_shrinks),
		cmocka_unit_test(test_what_makes_another_host),
		cmocka_unit_test(test_one_probe_an_interval),
		cmocka_unit_test(test_for_whom),
		cmocka_unit_test(test_what_is_forgotten),
		cmocka_unit_test(test_one_probe_for_every_scope),
		cmocka_unit_test(test_a_probe_that_is_served_and_goes_on),
		cmocka_unit_test(test_failures_side_by_side),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
