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
#include <sys/socket.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/limits.h"
#include "shim/control/control_clients.h"

#define ROOM	(LIMIT_CONTROL_CLIENTS + 2)
#define IDLE_MS	60000
#define ANSWER_MS	90000
#define SHORT_MS	300

static struct hall {
	struct control_clients *clients;
	struct control_client *inside[ROOM];
	int ends[ROOM][2];
	size_t count;
} hall;

static int
set_up(void **state)
{
	(void)state;
	hall = (struct hall){ .clients = control_clients_new(IDLE_MS, ANSWER_MS) };
	assert_non_null(hall.clients);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (size_t i = 0; i < hall.count; i++) {
		control_clients_leave(hall.clients, hall.inside[i]);
		(void)close(hall.ends[i][0]);
		(void)close(hall.ends[i][1]);
	}
	control_clients_free(hall.clients);
	return 0;
}

static size_t
enter(int64_t uid)
{
	size_t i = hall.count++;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, hall.ends[i]), 0);
	hall.inside[i] = control_clients_enter(hall.clients, hall.ends[i][0], uid);
	return i;
}

static void
set_busy(size_t i, bool busy)
{
	control_clients_set_busy(hall.clients, hall.inside[i], busy);
}

/* As the one at the other end sees it. */
static bool
is_sent_away(size_t i)
{
	char octet;

	return recv(hall.ends[i][1], &octet, 1, MSG_DONTWAIT) == 0;
}

static size_t
count_sent_away(void)
{
	size_t count = 0;

	for (size_t i = 0; i < hall.count; i++)
		count += is_sent_away(i);
	return count;
}

static void
enter_many(size_t count, int64_t uid)
{
	while (count-- > 0)
		(void)enter(uid);
}

static void
test_the_longest_silent_of_one_user_gives_way(void **state)
{
	(void)state;
	(void)enter(0);
	enter_many(LIMIT_CONTROL_OF_ONE, 1000);
	assert_int_equal(count_sent_away(), 0);
	set_busy(1, true);
	set_busy(1, false);
	(void)enter(1000);
	assert_true(is_sent_away(2));
	assert_int_equal(count_sent_away(), 1);
	(void)enter(1000);
	assert_true(is_sent_away(3));
	assert_int_equal(count_sent_away(), 2);
}

static void
test_who_is_being_answered_stays(void **state)
{
	size_t newcomer;

	(void)state;
	enter_many(LIMIT_CONTROL_OF_ONE, 1000);
	for (size_t i = 0; i < LIMIT_CONTROL_OF_ONE; i++)
		set_busy(i, true);
	newcomer = enter(1000);
	assert_true(is_sent_away(newcomer));
	assert_int_equal(count_sent_away(), 1);
	newcomer = enter(0);
	assert_false(is_sent_away(newcomer));
}

static void
test_many_users_do_not_fill_the_hall(void **state)
{
	size_t newcomer;

	(void)state;
	for (int64_t uid = 1; uid <= LIMIT_CONTROL_CLIENTS; uid++)
		(void)enter(uid);
	assert_int_equal(count_sent_away(), 0);
	newcomer = enter(0);
	assert_false(is_sent_away(newcomer));
	assert_true(is_sent_away(0));
	assert_int_equal(count_sent_away(), 1);
}

static void
test_who_left_takes_no_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < 3 * LIMIT_CONTROL_OF_ONE; i++) {
		size_t last = enter(-1);

		assert_false(is_sent_away(last));
		control_clients_leave(hall.clients, hall.inside[last]);
		(void)close(hall.ends[last][0]);
		(void)close(hall.ends[last][1]);
		hall.count--;
	}
	enter_many(LIMIT_CONTROL_OF_ONE, -1);
	assert_int_equal(count_sent_away(), 0);
}

static int
set_up_short(void **state)
{
	(void)state;
	hall = (struct hall){ .clients = control_clients_new(SHORT_MS, ANSWER_MS) };
	assert_non_null(hall.clients);
	return 0;
}

/* Waits until one is sent away; gives the time that took. */
static int64_t
await_sent_away(size_t i)
{
	int64_t since = clock_monotonic_ms();
	char octet;

	assert_int_equal(recv(hall.ends[i][1], &octet, 1, 0), 0);
	return clock_monotonic_ms() - since;
}

static void
test_who_does_nothing_is_sent_away(void **state)
{
	size_t silent, busy;

	(void)state;
	busy = enter(0);
	set_busy(busy, true);
	silent = enter(0);
	assert_true(await_sent_away(silent) >= SHORT_MS - 1);
	assert_false(is_sent_away(busy));

	set_busy(busy, false);
	assert_true(await_sent_away(busy) >= SHORT_MS - 1);
}

/* One that moves lives longer than one that came at the same time. */
static void
test_who_moves_stays(void **state)
{
	size_t still, moving;
	int64_t at;

	(void)state;
	still = enter(0);
	moving = enter(0);
	do {
		(void)poll(&(struct pollfd){ hall.ends[still][1], POLLIN, 0 }, 1, SHORT_MS / 20);
		at = clock_monotonic_ms();
		control_clients_move(hall.clients, hall.inside[moving]);
	} while (!is_sent_away(still));
	(void)await_sent_away(moving);
	assert_true(clock_monotonic_ms() - at >= SHORT_MS - 1);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_the_longest_silent_of_one_user_gives_way),
		TEST(test_who_is_being_answered_stays),
		TEST(test_many_users_do_not_fill_the_hall),
		TEST(test_who_left_takes_no_room),
		cmocka_unit_test_setup_teardown(test_who_does_nothing_is_sent_away, set_up_short,
		    tear_down),
		cmocka_unit_test_setup_teardown(test_who_moves_stays, set_up_short, tear_down),
	};

	return cmocka_run_group_tests_name("control_clients", tests, NULL, NULL);
}
