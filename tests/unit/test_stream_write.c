/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* What is written to a stream, in time and late. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/stream_pair.h"

static void
test_output_is_collected(void **state)
{
	struct pair pair = pair_new();
	char octets[64];

	(void)state;
	assert_int_equal(stream_printf(pair.stream, deadline_in(SOON), "MAIL FROM:<%s>\r\n", "a@b"),
	    STREAM_OK);
	assert_int_equal(stream_write(pair.stream, "DATA\r\n", 6, deadline_in(SOON), 0), STREAM_OK);
	assert_int_equal(recv(pair.peer, octets, sizeof(octets), MSG_DONTWAIT), -1);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(recv(pair.peer, octets, sizeof(octets), MSG_DONTWAIT), 23);
	assert_memory_equal(octets, "MAIL FROM:<a@b>\r\nDATA\r\n", 23);
	assert_int_equal(stream_flush(pair.stream, deadline_in(-1)), STREAM_OK);
	pair_free(pair);
}

struct sink {
	int fd;
	_Atomic unsigned pause_us;
	size_t length;
	unsigned long sum;
};

static void *
drain_slowly(void *context)
{
	struct sink *sink = context;
	unsigned char octets[4096];
	ssize_t got, i;

	while ((got = read(sink->fd, octets, sizeof(octets))) > 0) {
		for (i = 0; i < got; i++)
			sink->sum = sink->sum * 31 + octets[i];
		sink->length += (size_t)got;
		if (sink->pause_us > 0)
			usleep(sink->pause_us);
	}
	return NULL;
}

static void
test_a_long_write_arrives_whole(void **state)
{
	size_t size = 3000001, at, part;
	char *octets = malloc(size);
	struct pair pair = pair_new_tcp();
	struct sink sink = { .fd = pair.peer };
	unsigned long sum = 0;
	unsigned seed = 7;
	pthread_t thread;

	(void)state;
	assert_non_null(octets);
	for (at = 0; at < size; at++) {
		octets[at] = (char)rand_r(&seed);
		sum = sum * 31 + (unsigned char)octets[at];
	}
	assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &sink), 0);
	for (at = 0; at < size; at += part) {
		part = (size_t)rand_r(&seed) % 30000;
		part = part < size - at ? part : size - at;
		assert_int_equal(stream_write(pair.stream, octets + at, part, deadline_in(60000),
				     5000),
		    STREAM_OK);
	}
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_OK);
	stream_free(pair.stream);
	pthread_join(thread, NULL);
	assert_int_equal(sink.length, size);
	assert_int_equal(sink.sum, sum);
	close(pair.peer);
	free(octets);
}

/* progress_ms ends a write that stands still long before the deadline, and not one that crawls. */
static void
test_progress(void **state)
{
	static char octets[400000];
	const int little = 8192;
	struct pair pair = pair_new();
	struct sink sink;
	int64_t start = clock_monotonic_ms();
	pthread_t thread;

	(void)state;
	assert_int_equal(stream_write(pair.stream, octets, sizeof(octets), deadline_in(60000), 100),
	    STREAM_TIMEOUT);
	assert_in_range(clock_monotonic_ms() - start, 100, 20000);
	pair_free(pair);

	pair = pair_new();
	/* Little fits into the socket, so that each read of the other side is progress on ours. */
	assert_int_equal(setsockopt(stream_fd(pair.stream), SOL_SOCKET, SO_SNDBUF, &little,
			     sizeof(little)),
	    0);
	sink = (struct sink){ .fd = pair.peer, .pause_us = 20000 };
	assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &sink), 0);
	start = clock_monotonic_ms();
	assert_int_equal(stream_write(pair.stream, octets, sizeof(octets), deadline_in(60000),
			     1500),
	    STREAM_OK);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_OK);
	stream_free(pair.stream);
	pthread_join(thread, NULL);
	assert_true(clock_monotonic_ms() - start > 1500);
	assert_int_equal(sink.length, sizeof(octets));
	close(pair.peer);
}

/* A socket is writable when much of its queue is free: until then what leaves it is the
 * progress. */
static void
test_progress_of_the_queue(void **state)
{
	static char octets[300000];
	struct pair pair = pair_new();
	struct sink sink = { .fd = pair.peer, .pause_us = 100000 };
	int64_t start = clock_monotonic_ms();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &sink), 0);
	assert_int_equal(stream_write(pair.stream, octets, sizeof(octets), deadline_in(60000),
			     1500),
	    STREAM_OK);
	assert_int_equal(stream_flush_slowly(pair.stream, deadline_in(60000), 1500), STREAM_OK);
	assert_true(clock_monotonic_ms() - start > 1500);
	sink.pause_us = 0;
	stream_free(pair.stream);
	pthread_join(thread, NULL);
	assert_int_equal(sink.length, sizeof(octets));
	close(pair.peer);
}

static void
test_a_write_ends_at_the_deadline(void **state)
{
	static char octets[4000000];
	struct pair pair = pair_new();
	struct sink sink = { .fd = pair.peer, .pause_us = 3000 };
	int64_t start = clock_monotonic_ms();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &sink), 0);
	assert_int_equal(stream_write(pair.stream, octets, sizeof(octets), deadline_in(150),
			     100000),
	    STREAM_TIMEOUT);
	assert_in_range(clock_monotonic_ms() - start, 150, 60000);
	stream_free(pair.stream);
	pthread_join(thread, NULL);
	close(pair.peer);
}

/* An io that takes a few octets at a time, and none every third time. */
struct stingy {
	char taken[40000];
	size_t length;
	unsigned asked;
};

static ssize_t
stingy_write(void *io, const void *octets, size_t length, struct deadline deadline)
{
	struct stingy *stingy = io;
	size_t part = 1 + stingy->asked % 2500;

	(void)deadline;
	if (stingy->asked++ % 3 == 2)
		return -STREAM_WANTS_IN;	/* and it never comes */
	part = part < length ? part : length;
	assert_true(part <= sizeof(stingy->taken) - stingy->length);
	memcpy(stingy->taken + stingy->length, octets, part);
	stingy->length += part;
	stingy->asked += 100;
	return (ssize_t)part;
}

static void
stingy_close(void *io)
{
	(void)io;
}

static bool
stingy_pending(void *io)
{
	(void)io;
	return false;
}

static const struct stream_ops stingy_ops = { script_read, stingy_write, stingy_pending,
	stingy_close };

/* What a time-out leaves unsent goes out with the next flush, in order and once. */
static void
test_output_survives_a_timeout(void **state)
{
	static struct stingy stingy;
	struct pair pair = pair_new();
	enum stream_status status;
	char octets[997];
	unsigned timeouts = 0;
	size_t at, i;

	(void)state;
	assert_int_equal(stream_upgrade(pair.stream, &stingy_ops, &stingy), 0);
	for (at = 0; at < 30 * sizeof(octets); at += sizeof(octets)) {
		for (i = 0; i < sizeof(octets); i++)
			octets[i] = (char)((at + i) * 7 % 251);
		assert_int_equal(stream_write(pair.stream, octets, sizeof(octets),
				     deadline_in(SOON), 0),
		    STREAM_OK);
		while ((status = stream_flush(pair.stream, deadline_in(5))) != STREAM_OK) {
			assert_int_equal(status, STREAM_TIMEOUT);
			timeouts++;
		}
	}
	assert_true(timeouts > 5);
	assert_int_equal(stingy.length, at);
	for (i = 0; i < at; i++)
		assert_int_equal(stingy.taken[i], (char)(i * 7 % 251));
	pair_free(pair);
}

static void
test_a_past_deadline_sends_nothing(void **state)
{
	struct pair pair = pair_new();
	char octet;

	(void)state;
	assert_int_equal(stream_write(pair.stream, "x", 1, deadline_in(SOON), 0), STREAM_OK);
	assert_int_equal(stream_flush(pair.stream, deadline_in(-1)), STREAM_TIMEOUT);
	assert_int_equal(recv(pair.peer, &octet, 1, MSG_DONTWAIT), -1);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(recv(pair.peer, &octet, 1, MSG_DONTWAIT), 1);
	pair_free(pair);
}

static void
test_writing_to_the_gone_is_lost_without_a_signal(void **state)
{
	struct pair pair = pair_new();

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(stream_error(pair.stream), 0);
	peer_leaves(&pair);
	assert_int_equal(stream_write(pair.stream, "x", 1, deadline_in(SOON), 0), STREAM_OK);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_LOST);
	assert_int_equal(stream_error(pair.stream), EPIPE);
	pair_free(pair);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_output_is_collected),
		cmocka_unit_test(test_a_long_write_arrives_whole),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_progress_of_the_queue),
		cmocka_unit_test(test_a_write_ends_at_the_deadline),
		cmocka_unit_test(test_output_survives_a_timeout),
		cmocka_unit_test(test_a_past_deadline_sends_nothing),
		cmocka_unit_test(test_writing_to_the_gone_is_lost_without_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
