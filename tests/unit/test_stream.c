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
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/unit/stream_pair.h"

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
reset_by_peer(struct pair *pair)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	assert_int_equal(setsockopt(pair->peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)),
	    0);
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
		cmocka_unit_test(test_silence_times_out),
		cmocka_unit_test(test_a_dribbling_peer_times_out),
		cmocka_unit_test(test_a_watch_breaks_a_wait_off),
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
