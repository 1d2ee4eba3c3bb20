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
#include "shim/host_memory.h"

#define MINUTE	60000

static struct host_key
key(uint32_t number)
{
	struct host_key made = { .port = 25 };

	made.ip.octets[0] = 10;
	made.ip.octets[1] = (uint8_t)(number >> 16);
	made.ip.octets[2] = (uint8_t)(number >> 8);
	made.ip.octets[3] = (uint8_t)number;
	return made;
}

static bool
passes(struct host_memory *memory, const struct host_key *at, int64_t now)
{
	struct host_note note;

	return host_memory_passes(memory, at, now, &note);
}

/* One try with its end. true: it was allowed. */
static bool
try(struct host_memory *memory, const struct host_key *at, int64_t now, enum host_news news)
{
	struct host_note note;
	bool probing;

	if (host_memory_claim(memory, at, now, &probing, &note))
		return false;
	host_memory_tell(memory, at, now, probing, news, news == HOST_FAILED ? "refused" : NULL);
	return true;
}

static void
test_intervals(void **state)
{
	static const int64_t minutes[] = { 5, 10, 20, 30, 30, 30 };
	struct host_memory *memory = host_memory_new(5 * MINUTE);
	struct host_key at = key(1);
	struct host_note note;
	int64_t now = 1000;
	size_t i;

	(void)state;
	assert_false(passes(memory, &at, now));
	for (i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
		assert_true(try(memory, &at, now, HOST_FAILED));
		assert_true(host_memory_passes(memory, &at, now + 1000, &note));
		assert_int_equal(note.failures, i + 1);
		assert_int_equal(note.wait_ms, minutes[i] * MINUTE - 1000);
		assert_string_equal(note.last, "refused");
		now += minutes[i] * MINUTE;
		assert_true(passes(memory, &at, now - 1));
		assert_false(passes(memory, &at, now));
	}
	assert_true(try(memory, &at, now, HOST_SERVED));
	assert_true(try(memory, &at, now, HOST_FAILED));
	assert_true(host_memory_passes(memory, &at, now, &note));
	assert_int_equal(note.wait_ms, 5 * MINUTE);
	host_memory_free(memory);
}

static void
test_a_long_interval_never_shrinks(void **state)
{
	struct host_memory *memory = host_memory_new(60 * MINUTE);
	struct host_key at = key(1);

	(void)state;
	assert_true(try(memory, &at, 0, HOST_FAILED));
	assert_true(passes(memory, &at, 60 * MINUTE - 1));
	assert_true(try(memory, &at, 60 * MINUTE, HOST_FAILED));
	assert_true(passes(memory, &at, 120 * MINUTE - 1));
	assert_false(passes(memory, &at, 120 * MINUTE));
	host_memory_free(memory);
}

static void
test_what_makes_another_host(void **state)
{
	struct host_memory *memory = host_memory_new(MINUTE);
	struct host_key at = key(1), port = at, source = at, six = at;

	(void)state;
	port.port = 2525;
	source.source = key(9).ip;
	six.ip.v6 = true;
	assert_true(try(memory, &at, 0, HOST_FAILED));
	assert_true(passes(memory, &at, 0));
	assert_false(passes(memory, &port, 0) || passes(memory, &source, 0) ||
	    passes(memory, &six, 0));
	host_memory_free(memory);
}

static void
test_one_probe_an_interval(void **state)
{
	struct host_memory *memory = host_memory_new(MINUTE);
	struct host_key at = key(1);
	struct host_note note;
	bool probing, other;

	(void)state;
	assert_false(host_memory_claim(memory, &at, 0, &probing, &note));
	assert_false(probing);
	host_memory_tell(memory, &at, 0, probing, HOST_FAILED, "lost");
	assert_false(host_memory_claim(memory, &at, MINUTE, &probing, &note));
	assert_true(probing);
	assert_true(host_memory_claim(memory, &at, MINUTE, &other, &note));
	assert_false(other);
	assert_int_equal(note.wait_ms, 0);
	assert_true(passes(memory, &at, 5 * MINUTE));
	/* Who began before it failed takes nothing from the probe. */
	host_memory_tell(memory, &at, MINUTE, false, HOST_UNTOLD, NULL);
	assert_true(passes(memory, &at, MINUTE));
	/* A probe to no end leaves the place to the next one. */
	host_memory_tell(memory, &at, MINUTE, probing, HOST_UNTOLD, NULL);
	assert_false(host_memory_claim(memory, &at, MINUTE, &probing, &note));
	host_memory_tell(memory, &at, MINUTE, probing, HOST_FAILED, "lost again");
	assert_true(host_memory_passes(memory, &at, MINUTE, &note));
	assert_int_equal(note.wait_ms, 2 * MINUTE);
	assert_string_equal(note.last, "lost again");
	host_memory_free(memory);
}

/* Twenty that were on their way when the host died are one failure. */
static void
test_failures_side_by_side(void **state)
{
	struct host_memory *memory = host_memory_new(MINUTE);
	struct host_key at = key(1);
	struct host_note note;
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		host_memory_tell(memory, &at, i, false, HOST_FAILED, "lost");
	assert_true(host_memory_passes(memory, &at, 20, &note));
	assert_int_equal(note.failures, 1);
	assert_int_equal(note.wait_ms, MINUTE - 20);
	host_memory_free(memory);
}

static void
test_bounded(void **state)
{
	struct host_memory *memory = host_memory_new(MINUTE);
	struct host_key at;
	uint32_t i;

	(void)state;
	for (i = 0; i < LIMIT_FAILED_ADDRESSES + 10; i++) {
		at = key(i);
		assert_true(try(memory, &at, 0, HOST_FAILED));
	}
	for (i = 0; i < LIMIT_FAILED_ADDRESSES + 10; i++) {
		at = key(i);
		assert_int_equal(passes(memory, &at, 0), i >= 10);
	}
	host_memory_free(memory);
}

struct crowd {
	struct host_memory *memory;
	atomic_int trying, most, tries;
};

static void *
try_often(void *argument)
{
	struct crowd *crowd = argument;
	struct host_key at = key(1);
	struct host_note note;
	bool probing;
	int64_t now;
	int together;

	for (now = MINUTE; now < 2 * MINUTE; now += 30) {
		if (host_memory_claim(crowd->memory, &at, now, &probing, &note))
			continue;
		together = atomic_fetch_add(&crowd->trying, 1) + 1;
		if (together > atomic_load(&crowd->most))
			atomic_store(&crowd->most, together);
		atomic_fetch_add(&crowd->tries, 1);
		atomic_fetch_sub(&crowd->trying, 1);
		host_memory_tell(crowd->memory, &at, now, probing, HOST_UNTOLD, NULL);
	}
	return NULL;
}

static void
test_many_threads(void **state)
{
	struct crowd crowd = { .memory = host_memory_new(MINUTE) };
	struct host_key at = key(1);
	pthread_t threads[8];
	size_t i;

	(void)state;
	assert_true(try(crowd.memory, &at, 0, HOST_FAILED));
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, try_often, &crowd), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crowd.most, 1);
	assert_true(crowd.tries > 0);
	host_memory_free(crowd.memory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_intervals),
		cmocka_unit_test(test_a_long_interval_never_shrinks),
		cmocka_unit_test(test_what_makes_another_host),
		cmocka_unit_test(test_one_probe_an_interval),
		cmocka_unit_test(test_failures_side_by_side),
		cmocka_unit_test(test_bounded),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
