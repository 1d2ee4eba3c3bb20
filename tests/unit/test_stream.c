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
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/stream.h"

#define SOON	20000	/* ms, more than a loaded machine needs */

/* The stream under test and the descriptor of its peer. */
struct pair {
	struct stream *stream;
	int peer;
};

static struct pair
pair_new(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ .stream = stream_new_fd(fds[0]), .peer = fds[1] };
}

static struct pair
pair_new_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	close(listener);
	return (struct pair){ .stream = stream_new_fd(server), .peer = client };
}

static void
pair_free(struct pair pair)
{
	stream_free(pair.stream);
	if (pair.peer >= 0)
		close(pair.peer);
}

static void
peer_says(struct pair pair, const char *octets, size_t length)
{
	assert_int_equal(write(pair.peer, octets, length), length);
}

static void
peer_leaves(struct pair *pair)
{
	close(pair->peer);
	pair->peer = -1;
}

static void
expect_line(struct stream *stream, size_t room, enum stream_status status, const char *octets,
    size_t length)
{
	char line[256];
	size_t got = 999;

	memset(line, '#', sizeof(line));
	assert_int_equal(stream_read_line(stream, line, room, &got, deadline_in(SOON)), status);
	assert_int_equal(got, length);
	assert_memory_equal(line, octets, length);
	assert_int_equal(line[length], '\0');
	assert_int_equal(line[room], '#');
}

static void
test_line_ends(void **state)
{
	static const char said[] = "one\r\ntwo\n\r\n\nthr\ree\r\r\n\r\rx\nnul\0nul\r\n\0\n";
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, said, sizeof(said) - 1);
	expect_line(pair.stream, 100, STREAM_OK, "one", 3);
	assert_true(stream_has_input(pair.stream));
	expect_line(pair.stream, 100, STREAM_OK, "two", 3);
	expect_line(pair.stream, 100, STREAM_OK, "", 0);
	expect_line(pair.stream, 100, STREAM_OK, "", 0);
	expect_line(pair.stream, 100, STREAM_OK, "thr\ree\r", 7);
	expect_line(pair.stream, 100, STREAM_OK, "\r\rx", 3);
	expect_line(pair.stream, 100, STREAM_OK, "nul\0nul", 7);
	expect_line(pair.stream, 100, STREAM_OK, "\0", 1);
	assert_false(stream_has_input(pair.stream));
	peer_leaves(&pair);
	expect_line(pair.stream, 100, STREAM_END, "", 0);
	pair_free(pair);
}

static void
test_long_lines(void **state)
{
	static const char said[] = "abc\r\nabcd\r\nabcdefg\nabc\r\r\nabc\n";
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, said, sizeof(said) - 1);
	expect_line(pair.stream, 4, STREAM_OK, "abc", 3);
	expect_line(pair.stream, 4, STREAM_LONG, "abc", 3);
	expect_line(pair.stream, 4, STREAM_OK, "d", 1);
	expect_line(pair.stream, 4, STREAM_LONG, "abc", 3);
	expect_line(pair.stream, 4, STREAM_LONG, "def", 3);
	expect_line(pair.stream, 4, STREAM_OK, "g", 1);
	expect_line(pair.stream, 4, STREAM_LONG, "abc", 3);
	expect_line(pair.stream, 4, STREAM_OK, "\r", 1);
	expect_line(pair.stream, 4, STREAM_OK, "abc", 3);
	pair_free(pair);
}

static void
test_a_cut_line_is_no_line(void **state)
{
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, "half", 4);
	peer_leaves(&pair);
	expect_line(pair.stream, 100, STREAM_END, "half", 4);
	pair_free(pair);
}

/* An io that hands out prepared octets in segments of chosen sizes. */
struct script {
	const char *octets;
	size_t length, at;
	unsigned seed;
	size_t most;	/* octets a read */
	bool closed;
};

static ssize_t
script_read(void *io, void *octets, size_t room, struct deadline deadline)
{
	struct script *script = io;
	size_t part = 1 + (size_t)rand_r(&script->seed) % script->most;

	(void)deadline;
	if (part > room)
		part = room;
	if (part > script->length - script->at)
		part = script->length - script->at;
	if (part == 0)
		return -STREAM_END;
	memcpy(octets, script->octets + script->at, part);
	script->at += part;
	return (ssize_t)part;
}

static ssize_t
script_write(void *io, const void *octets, size_t length, struct deadline deadline)
{
	(void)io;
	(void)octets;
	(void)length;
	(void)deadline;
	errno = EPROTO;
	return -STREAM_LOST;
}

static bool
script_pending(void *io)
{
	struct script *script = io;

	return script->at > 0 && script->at < script->length;
}

static void
script_close(void *io)
{
	((struct script *)io)->closed = true;
}

static const struct stream_ops script_ops = { script_read, script_write, script_pending,
	script_close };

/* A descriptor that is readable for ever: there is nothing to wait for. */
static void
upgrade_to_script(struct pair pair, struct script *script)
{
	peer_says(pair, "x", 1);
	assert_int_equal(stream_upgrade(pair.stream, &script_ops, script), 0);
}

/* What a line must be, found the obvious way in all the octets at once. */
static enum stream_status
model_line(const char **from, const char *end, size_t room, const char **line, size_t *length)
{
	const char *lf = *from < end ? memchr(*from, '\n', (size_t)(end - *from)) : NULL;

	*line = *from;
	*length = (size_t)((lf != NULL ? lf : end) - *from);
	if (*length > 0 && (*from)[*length - 1] == '\r')
		--*length;
	if (*length > room - 1) {
		*length = room - 1;
		*from += *length;
		return STREAM_LONG;
	}
	*from = lf != NULL ? lf + 1 : end;
	return lf != NULL ? STREAM_OK : STREAM_END;
}

static void
test_any_segments_give_the_same_lines(void **state)
{
	static const char alphabet[] = { 'a', 'b', '\r', '\r', '\n', '\0' };
	char octets[300], line[64];
	const char *from, *expected;
	size_t i, room, length, got;
	enum stream_status status;
	unsigned round, seed = 1;
	struct script script;
	struct pair pair;

	(void)state;
	for (round = 0; round < 3000; round++) {
		for (i = 0; i < sizeof(octets); i++)
			octets[i] = alphabet[(unsigned)rand_r(&seed) % sizeof(alphabet)];
		script = (struct script){ .octets = octets, .length = sizeof(octets), .seed = round,
			.most = 1 + round % 40 };
		pair = pair_new();
		upgrade_to_script(pair, &script);
		room = 2 + round % 12;
		from = octets;
		do {
			status = model_line(&from, octets + sizeof(octets), room, &expected,
			    &length);
			assert_int_equal(stream_read_line(pair.stream, line, room, &got,
			    deadline_in(SOON)), status);
			assert_int_equal(got, length);
			assert_memory_equal(line, expected, length);
			assert_int_equal(line[length], '\0');
		} while (status != STREAM_END);
		pair_free(pair);
		assert_true(script.closed);
	}
}

static void
test_a_long_run_without_an_end_is_linear(void **state)
{
	size_t size = 4 << 20, got, total = 0;
	char *octets = malloc(size), line[100];
	struct script script = { .octets = octets, .length = size, .most = 3 };
	struct pair pair = pair_new();
	int64_t start = clock_monotonic_ms();
	enum stream_status status;

	(void)state;
	assert_non_null(octets);
	memset(octets, '\r', size);
	upgrade_to_script(pair, &script);
	while ((status = stream_read_line(pair.stream, line, sizeof(line), &got,
	    deadline_in(60000))) == STREAM_LONG)
		total += got;
	assert_int_equal(status, STREAM_END);
	assert_in_range(total + got, size - 1, size);
	assert_in_range(clock_monotonic_ms() - start, 0, 10000);
	pair_free(pair);
	free(octets);
}

static void
test_read_and_peek(void **state)
{
	struct pair pair = pair_new();
	char octets[10];
	const char *seen;
	size_t got;

	(void)state;
	peer_says(pair, "line\r\nrest\0of it", 16);
	expect_line(pair.stream, 100, STREAM_OK, "line", 4);
	assert_int_equal(stream_peek(pair.stream, &seen, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 10);
	assert_memory_equal(seen, "rest\0of it", 10);
	stream_skip(pair.stream, 4);
	assert_int_equal(stream_read(pair.stream, octets, 3, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 3);
	assert_memory_equal(octets, "\0of", 3);
	assert_int_equal(stream_read(pair.stream, octets, 10, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 3);
	stream_skip(pair.stream, 100);
	peer_says(pair, "new", 3);
	assert_int_equal(stream_peek(pair.stream, &seen, &got, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(got, 3);
	stream_skip(pair.stream, 3);
	peer_leaves(&pair);
	assert_int_equal(stream_peek(pair.stream, &seen, &got, deadline_in(SOON)), STREAM_END);
	assert_int_equal(got, 0);
	assert_int_equal(stream_read(pair.stream, octets, 3, &got, deadline_in(SOON)), STREAM_END);
	assert_int_equal(got, 0);
	pair_free(pair);
}

static void
test_silence_times_out(void **state)
{
	struct pair pair = pair_new();
	int64_t start = clock_monotonic_ms();
	char line[10];
	size_t got;

	(void)state;
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(50)),
	    STREAM_TIMEOUT);
	assert_in_range(clock_monotonic_ms() - start, 50, SOON);
	peer_says(pair, "late", 4);
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(-1)),
	    STREAM_TIMEOUT);
	assert_int_equal(got, 0);
	pair_free(pair);
}

static void *
dribble(void *context)
{
	int fd = *(int *)context;

	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1)
		usleep(2000);
	return NULL;
}

/* The deadline is for the line, not for each octet. */
static void
test_a_dribbling_peer_times_out(void **state)
{
	struct pair pair = pair_new();
	int64_t start = clock_monotonic_ms();
	pthread_t thread;
	char line[100000];
	size_t got;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, dribble, &pair.peer), 0);
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(100)),
	    STREAM_TIMEOUT);
	assert_in_range(clock_monotonic_ms() - start, 100, SOON);
	stream_free(pair.stream);
	pthread_join(thread, NULL);
	close(pair.peer);
}

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
	unsigned pause_us;
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
		    5000), STREAM_OK);
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
	    sizeof(little)), 0);
	sink = (struct sink){ .fd = pair.peer, .pause_us = 20000 };
	assert_int_equal(pthread_create(&thread, NULL, drain_slowly, &sink), 0);
	start = clock_monotonic_ms();
	assert_int_equal(stream_write(pair.stream, octets, sizeof(octets), deadline_in(60000), 1500),
	    STREAM_OK);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_OK);
	stream_free(pair.stream);
	pthread_join(thread, NULL);
	assert_true(clock_monotonic_ms() - start > 1500);
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
	    100000), STREAM_TIMEOUT);
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
		    deadline_in(SOON), 0), STREAM_OK);
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

static bool
ends_at(void *context)
{
	int *left = context;

	return --*left < 0;
}

/* The line has begun, and does not go on: somebody who waits for it may give it up. */
static void
test_a_watch_breaks_a_wait_off(void **state)
{
	struct pair pair = pair_new();
	int left = 2;
	struct watch watch = { .ended = ends_at, .context = &left };
	char line[10];
	size_t got;

	(void)state;
	stream_watch(pair.stream, &watch);
	peer_says(pair, "half", 4);
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(SOON)),
	    STREAM_STOPPED);
	assert_int_equal(left, -1);
	left = 1000;
	peer_says(pair, " a\n", 3);
	expect_line(pair.stream, 100, STREAM_OK, " a", 2);
	stream_watch(pair.stream, NULL);
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

static void
reset_by_peer(struct pair *pair)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &at_once,
	    sizeof(at_once)), 0);
	peer_leaves(pair);
}

static void
test_a_reset_is_lost(void **state)
{
	struct pair pair = pair_new_tcp();
	char line[10];
	size_t got;

	(void)state;
	reset_by_peer(&pair);
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(SOON)),
	    STREAM_LOST);
	assert_int_equal(stream_error(pair.stream), ECONNRESET);
	pair_free(pair);
}

static bool
gone_soon(struct stream *stream)
{
	struct deadline deadline = deadline_in(SOON);

	while (!stream_peer_gone(stream) && !deadline_passed(deadline))
		usleep(1000);
	return stream_peer_gone(stream);
}

static void
check_peer_gone(struct pair pair)
{
	char line[10];
	size_t got;

	assert_false(stream_peer_gone(pair.stream));
	peer_says(pair, "QUIT\r\n", 6);
	assert_false(stream_peer_gone(pair.stream));
	peer_leaves(&pair);
	assert_true(gone_soon(pair.stream));
	/* Asking has consumed nothing. */
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(SOON)),
	    STREAM_OK);
	assert_string_equal(line, "QUIT");
	pair_free(pair);
}

static void
test_peer_gone(void **state)
{
	struct pair pair;

	(void)state;
	check_peer_gone(pair_new());
	check_peer_gone(pair_new_tcp());
	pair = pair_new_tcp();
	reset_by_peer(&pair);
	assert_true(gone_soon(pair.stream));
	pair_free(pair);
}

static void
test_upgrade_refuses_what_came_before(void **state)
{
	struct script script = { .octets = "safe\r\n", .length = 6, .most = 100 };
	struct pair pair = pair_new();

	(void)state;
	peer_says(pair, "220 go\r\n250 injected\r\n", 22);
	expect_line(pair.stream, 100, STREAM_OK, "220 go", 6);
	assert_int_equal(stream_upgrade(pair.stream, &script_ops, &script), -1);
	expect_line(pair.stream, 100, STREAM_OK, "250 injected", 12);
	assert_int_equal(stream_printf(pair.stream, deadline_in(SOON), "x"), STREAM_OK);
	assert_int_equal(stream_upgrade(pair.stream, &script_ops, &script), -1);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_OK);
	assert_int_equal(stream_upgrade(pair.stream, &script_ops, &script), 0);
	peer_says(pair, "plain\r\n", 7);
	expect_line(pair.stream, 100, STREAM_OK, "safe", 4);
	assert_int_equal(stream_printf(pair.stream, deadline_in(SOON), "x"), STREAM_OK);
	assert_int_equal(stream_flush(pair.stream, deadline_in(SOON)), STREAM_LOST);
	assert_int_equal(stream_error(pair.stream), EPROTO);
	pair_free(pair);
	assert_true(script.closed);
}

static void
test_pending_counts_as_input(void **state)
{
	struct script script = { .octets = "a\nb\n", .length = 4, .most = 1 };
	struct pair pair = pair_new();

	(void)state;
	upgrade_to_script(pair, &script);
	assert_false(stream_has_input(pair.stream));
	expect_line(pair.stream, 100, STREAM_OK, "a", 1);
	assert_true(stream_has_input(pair.stream));
	expect_line(pair.stream, 100, STREAM_OK, "b", 1);
	assert_false(stream_has_input(pair.stream));
	pair_free(pair);
}

static void
ignore_signal(int number)
{
	(void)number;
}

static void
test_signals_do_not_disturb(void **state)
{
	const struct itimerval every_5ms = { { 0, 5000 }, { 0, 5000 } };
	const struct itimerval never = { { 0, 0 }, { 0, 0 } };
	struct sigaction action = { .sa_handler = ignore_signal };	/* without SA_RESTART */
	struct pair pair = pair_new();
	char line[10];
	size_t got;

	(void)state;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every_5ms, NULL);
	assert_int_equal(stream_read_line(pair.stream, line, sizeof(line), &got, deadline_in(100)),
	    STREAM_TIMEOUT);
	peer_says(pair, "ok\n", 3);
	expect_line(pair.stream, 100, STREAM_OK, "ok", 2);
	setitimer(ITIMER_REAL, &never, NULL);
	pair_free(pair);
}

static void
test_status_names(void **state)
{
	int status;

	(void)state;
	for (status = STREAM_OK; status <= STREAM_LONG; status++)
		assert_true(strlen(stream_status_name((enum stream_status)status)) > 0);
	stream_free(NULL);
}

static void
test_the_descriptor_is_closed(void **state)
{
	struct pair pair = pair_new();
	char octet;

	(void)state;
	assert_int_equal(fcntl(stream_fd(pair.stream), F_GETFL) & O_NONBLOCK, O_NONBLOCK);
	stream_free(pair.stream);
	assert_int_equal(read(pair.peer, &octet, 1), 0);
	close(pair.peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_line_ends),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_a_cut_line_is_no_line),
		cmocka_unit_test(test_any_segments_give_the_same_lines),
		cmocka_unit_test(test_a_long_run_without_an_end_is_linear),
		cmocka_unit_test(test_read_and_peek),
		cmocka_unit_test(test_silence_times_out),
		cmocka_unit_test(test_a_dribbling_peer_times_out),
		cmocka_unit_test(test_output_is_collected),
		cmocka_unit_test(test_a_long_write_arrives_whole),
		cmocka_unit_test(test_progress),
		cmocka_unit_test(test_a_write_ends_at_the_deadline),
		cmocka_unit_test(test_output_survives_a_timeout),
		cmocka_unit_test(test_a_watch_breaks_a_wait_off),
		cmocka_unit_test(test_a_past_deadline_sends_nothing),
		cmocka_unit_test(test_writing_to_the_gone_is_lost_without_a_signal),
		cmocka_unit_test(test_a_reset_is_lost),
		cmocka_unit_test(test_peer_gone),
		cmocka_unit_test(test_upgrade_refuses_what_came_before),
		cmocka_unit_test(test_pending_counts_as_input),
		cmocka_unit_test(test_signals_do_not_disturb),
		cmocka_unit_test(test_status_names),
		cmocka_unit_test(test_the_descriptor_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
