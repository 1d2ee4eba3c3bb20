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
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/stream.h"
#include "shim/smtp/conn_cache.h"

#define LONG	60000

static const struct conn_cache_rules generous = {
	.idle_ms = LONG, .time_ms = LONG, .messages = 100
};
static struct ip here = { .octets = { 127, 0, 0, 1 } };
static struct ip there = { .octets = { 127, 0, 0, 2 } };

struct bench {
	struct conn_limit *slots;
	struct conn_cache *keep;
};

static struct bench
bench_new(const struct conn_cache_rules *rules, unsigned most, unsigned most_per_host)
{
	struct bench bench = { .slots = conn_limit_new(most, most_per_host) };

	bench.keep = conn_cache_new(rules, bench.slots);
	return bench;
}

static void
bench_free(struct bench *bench)
{
	conn_cache_free(bench->keep);
	conn_limit_free(bench->slots);
}

static void
pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static bool
take_slot(struct bench *bench, const struct ip *ip, const char *domain, int64_t ms)
{
	return conn_limit_take(bench->slots, ip, domain, 0, deadline_in(ms), NULL, NULL);
}

/* A connection whose other end is *peer. */
static struct kept
made(int *peer)
{
	struct kept kept = { .dialled_ms = clock_monotonic_ms(), .messages = 1 };
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	*peer = ends[1];
	kept.client.stream = stream_new_fd(ends[0]);
	kept.client.deadline = deadline_in(LONG);
	return kept;
}

/* Takes a slot and makes a connection, which is kept under key. Returns its other end. */
static int
keep_one(struct bench *bench, const char *key, const struct ip *ip, const char *domain)
{
	struct kept kept;
	int peer;

	assert_true(take_slot(bench, ip, domain, 0));
	kept = made(&peer);
	assert_true(conn_cache_put(bench->keep, key, ip, domain, &kept));
	return peer;
}

/* What the other end reads: "" while the connection is open and silent, "QUIT" after good-bye. */
static void
assert_quit(int peer, bool quit, int wait_ms)
{
	struct pollfd ready = { .fd = peer, .events = POLLIN };
	char octets[100];
	ssize_t got;

	assert_int_equal(poll(&ready, 1, wait_ms), quit);
	if (!quit)
		return;
	got = read(peer, octets, sizeof(octets));
	assert_int_equal(got, 6);
	assert_memory_equal(octets, "QUIT\r\n", 6);
	assert_int_equal(poll(&ready, 1, 1000), 1);
	assert_int_equal(read(peer, octets, sizeof(octets)), 0);
}

static bool
take(struct bench *bench, const char *key, struct kept *kept)
{
	return conn_cache_take(bench->keep, key, kept);
}

static void
end(struct bench *bench, struct kept *kept, const struct ip *ip, const char *domain)
{
	conn_cache_close(kept);
	conn_limit_give(bench->slots, ip, domain);
}

static void
test_the_same_key_alone(void **state)
{
	struct bench bench = bench_new(&generous, 10, 10);
	int peer = keep_one(&bench, "mx1 enforced", &here, "a");
	struct kept kept;

	(void)state;
	assert_true(take_slot(&bench, &here, "b", 0));
	assert_false(take(&bench, "mx1", &kept));
	assert_false(take(&bench, "mx1 free", &kept));
	assert_true(take(&bench, "mx1 enforced", &kept));
	assert_int_equal(kept.messages, 1);
	assert_false(take(&bench, "mx1 enforced", &kept));
	assert_quit(peer, false, 0);
	end(&bench, &kept, &here, "b");
	assert_quit(peer, true, 0);
	close(peer);
	bench_free(&bench);
}

static void
test_what_is_not_kept(void **state)
{
	static const struct conn_cache_rules off = {
		.idle_ms = 0, .time_ms = LONG, .messages = 100
	};
	static const struct conn_cache_rules rules = {
		.idle_ms = LONG, .time_ms = LONG, .messages = 2
	};
	struct bench none = bench_new(&off, 10, 10), some = bench_new(&rules, 10, 10);
	struct kept kept;
	int peer;

	(void)state;
	assert_true(take_slot(&none, &here, "a", 0));
	kept = made(&peer);
	assert_false(conn_cache_put(none.keep, "k", &here, "a", &kept));
	conn_limit_give(none.slots, &here, "a");
	assert_true(take_slot(&some, &here, "a", 0));
	kept.messages = 2;
	assert_false(conn_cache_put(some.keep, "k", &here, "a", &kept));
	kept.messages = 1;
	kept.dialled_ms -= LONG;
	assert_false(conn_cache_put(some.keep, "k", &here, "a", &kept));
	kept.dialled_ms += LONG - 1000;
	assert_true(conn_cache_put(some.keep, "k", &here, "a", &kept));
	conn_cache_stop(some.keep);
	assert_quit(peer, true, 0);
	close(peer);
	assert_true(take_slot(&some, &here, "a", 0));
	kept = made(&peer);
	assert_false(conn_cache_put(some.keep, "k", &here, "a", &kept));
	end(&some, &kept, &here, "a");
	close(peer);
	bench_free(&none);
	bench_free(&some);
}

/* What was kept is closed, what comes later is kept by the new rules. */
static void
test_cleared(void **state)
{
	static const struct conn_cache_rules none = {
		.idle_ms = 0, .time_ms = LONG, .messages = 100
	};
	struct bench bench = bench_new(&generous, 10, 10);
	int first = keep_one(&bench, "k", &here, "a"), second;
	struct kept kept;

	(void)state;
	conn_cache_clear(bench.keep);
	assert_quit(first, true, LONG);
	second = keep_one(&bench, "k", &here, "a");
	assert_quit(second, false, 50);
	conn_cache_set_rules(bench.keep, &none);
	assert_true(take_slot(&bench, &here, "a", 0));
	assert_true(take(&bench, "k", &kept));
	assert_false(conn_cache_put(bench.keep, "k", &here, "a", &kept));
	end(&bench, &kept, &here, "a");
	close(first);
	close(second);
	bench_free(&bench);
}

static void
test_closed_in_time(void **state)
{
	static const struct conn_cache_rules rules = {
		.idle_ms = 300, .time_ms = LONG, .messages = 100
	};
	struct bench bench = bench_new(&rules, 10, 10);
	int64_t first_ms = clock_monotonic_ms(), second_ms;
	int first = keep_one(&bench, "k", &here, "a"), second;

	(void)state;
	pause_ms(150);
	second_ms = clock_monotonic_ms();
	second = keep_one(&bench, "k", &here, "a");
	assert_quit(first, true, LONG);
	assert_in_range(clock_monotonic_ms() - first_ms, 300, LONG);
	assert_quit(second, true, LONG);
	assert_in_range(clock_monotonic_ms() - second_ms, 300, LONG);
	close(first);
	close(second);
	bench_free(&bench);
}

/* A host that said something, or left, has ended the connection. */
static void
test_dead_ones_are_passed(void **state)
{
	struct bench bench = bench_new(&generous, 10, 10);
	int alive = keep_one(&bench, "k", &here, "a");
	int gone = keep_one(&bench, "k", &here, "a");
	int talker = keep_one(&bench, "k", &here, "a");
	char octets[100];
	struct kept kept;

	(void)state;
	close(gone);
	assert_int_equal(write(talker, "421 Bye\r\n", 9), 9);
	assert_true(take_slot(&bench, &here, "a", 0));
	assert_true(take(&bench, "k", &kept));
	assert_quit(alive, false, 0);
	assert_int_equal(read(talker, octets, sizeof(octets)), 6);
	assert_false(take(&bench, "k", &kept));
	end(&bench, &kept, &here, "a");
	close(alive);
	close(talker);
	bench_free(&bench);
}

/* Idle ones do not delay a delivery, but count as connections. */
static void
test_room_is_made(void **state)
{
	struct bench bench = bench_new(&generous, 3, 2);
	int one = keep_one(&bench, "1", &here, "a"), two = keep_one(&bench, "2", &here, "b");
	int other = keep_one(&bench, "3", &there, "c");

	(void)state;
	assert_true(take_slot(&bench, &here, "a", 0));
	conn_cache_make_room(bench.keep, &here, "a", 0);
	assert_quit(one, true, 0);
	assert_quit(two, false, 0);
	assert_quit(other, false, 0);
	assert_true(take_slot(&bench, &there, "d", 0));
	conn_cache_make_room(bench.keep, &there, "d", 0);
	assert_quit(two, true, 0);
	assert_quit(other, false, 0);
	conn_cache_make_room(bench.keep, &there, "d", 0);
	assert_quit(other, false, 0);
	conn_limit_give(bench.slots, &here, "a");
	assert_true(conn_limit_take(bench.slots, &here, "c", 1, deadline_in(0), NULL, NULL));
	conn_cache_make_room(bench.keep, &here, "c", 1);
	assert_quit(other, true, 0);
	conn_limit_give(bench.slots, &here, "c");
	conn_limit_give(bench.slots, &there, "d");
	close(one);
	close(two);
	close(other);
	bench_free(&bench);
}

static void *
wait_and_take(void *argument)
{
	struct bench *bench = argument;
	struct kept kept;

	if (!take_slot(bench, &here, "b", LONG) || !take(bench, "k", &kept))
		return NULL;
	end(bench, &kept, &here, "b");
	return bench;
}

/* One who waits for a slot gets it together with the connection. */
static void
test_handed_on(void **state)
{
	struct bench bench = bench_new(&generous, 1, 1);
	struct kept kept;
	pthread_t waiter;
	void *taken;
	int peer;

	(void)state;
	assert_true(take_slot(&bench, &here, "a", 0));
	kept = made(&peer);
	assert_int_equal(pthread_create(&waiter, NULL, wait_and_take, &bench), 0);
	pause_ms(100);
	assert_true(conn_cache_put(bench.keep, "k", &here, "a", &kept));
	pthread_join(waiter, &taken);
	assert_non_null(taken);
	assert_quit(peer, true, 0);
	close(peer);
	bench_free(&bench);
}

/* A thread uses its connection alone: its own words arrive at the other end. */
static bool
speak(struct kept *kept, int peer)
{
	char heard[8] = "";

	return stream_printf(kept->client.stream, deadline_in(LONG), "x\n") == STREAM_OK &&
	    stream_flush(kept->client.stream, deadline_in(LONG)) == STREAM_OK &&
	    read(peer, heard, sizeof(heard)) == 2;
}

static void *
rush(void *argument)
{
	static const char *const keys[] = { "1", "2", "3" };
	struct bench *bench = argument;
	struct kept kept;
	int i, peer;

	for (i = 0; i < 300; i++) {
		if (!take_slot(bench, &here, "a", 10000))
			return argument;
		if (!take(bench, keys[i % 3], &kept)) {
			conn_cache_make_room(bench->keep, &here, "a", 0);
			kept = made(&peer);
			kept.measured_s = peer;	/* a place for it */
		}
		if (!speak(&kept, (int)kept.measured_s) ||
		    !conn_cache_put(bench->keep, keys[i % 3], &here, "a", &kept))
			return argument;
	}
	return NULL;
}

static void
test_many_threads(void **state)
{
	/* At the limit of one host each closing would wait for a peer that never hangs up. */
	struct bench bench = bench_new(&generous, 4, 100);
	pthread_t threads[8];
	void *failed;
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, rush, &bench), 0);
	for (i = 0; i < 8; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	bench_free(&bench);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_key_alone),
		cmocka_unit_test(test_what_is_not_kept),
		cmocka_unit_test(test_cleared),
		cmocka_unit_test(test_closed_in_time),
		cmocka_unit_test(test_dead_ones_are_passed),
		cmocka_unit_test(test_room_is_made),
		cmocka_unit_test(test_handed_on),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
