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
#include <stdio.h>
#include <time.h>

#include "shim/smtp/conn_limit.h"

static struct ip
ip(const char *text)
{
	struct ip made;

	assert_int_equal(ip_parse(text, &made), 0);
	return made;
}

static bool
take(struct conn_limit *slots, const char *address, const char *domain, unsigned limit, int64_t ms)
{
	struct ip to = ip(address);

	return conn_limit_take(slots, &to, domain, limit, deadline_in(ms), NULL, NULL);
}

static void
give(struct conn_limit *slots, const char *address, const char *domain)
{
	struct ip to = ip(address);

	conn_limit_give(slots, &to, domain);
}

static void
pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}

static void
test_limit_of_the_process(void **state)
{
	struct conn_limit *slots = conn_limit_new(2, 10);
	int64_t began = clock_monotonic_ms();

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 1000));
	assert_true(take(slots, "192.0.2.2", "b.example", 0, 1000));
	assert_false(take(slots, "192.0.2.3", "c.example", 0, 50));
	assert_in_range(clock_monotonic_ms() - began, 50, 30000);
	give(slots, "192.0.2.1", "a.example");
	assert_true(take(slots, "192.0.2.3", "c.example", 0, 1000));
	give(slots, "192.0.2.2", "b.example");
	give(slots, "192.0.2.3", "c.example");
	conn_limit_free(slots);
}

static void
test_limit_of_an_address(void **state)
{
	struct conn_limit *slots = conn_limit_new(10, 1);

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 1000));
	assert_false(take(slots, "192.0.2.1", "b.example", 0, 20));
	assert_true(take(slots, "2001:db8::1", "a.example", 0, 1000));
	give(slots, "192.0.2.1", "a.example");
	assert_true(take(slots, "192.0.2.1", "b.example", 0, 1000));
	give(slots, "192.0.2.1", "b.example");
	give(slots, "2001:db8::1", "a.example");
	conn_limit_free(slots);
}

static void
test_limit_of_a_destination(void **state)
{
	struct conn_limit *slots = conn_limit_new(10, 10);

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 2, 1000));
	assert_true(take(slots, "192.0.2.2", "a.example", 2, 1000));
	assert_false(take(slots, "192.0.2.3", "a.example", 2, 20));
	assert_true(take(slots, "192.0.2.3", "b.example", 2, 1000));
	assert_true(take(slots, "192.0.2.3", "c.example", 0, 1000));
	give(slots, "192.0.2.2", "a.example");
	assert_true(take(slots, "192.0.2.3", "a.example", 2, 1000));
	give(slots, "192.0.2.1", "a.example");
	give(slots, "192.0.2.3", "a.example");
	give(slots, "192.0.2.3", "b.example");
	give(slots, "192.0.2.3", "c.example");
	conn_limit_free(slots);
}

static void
test_a_passed_deadline_takes_what_is_free(void **state)
{
	struct conn_limit *slots = conn_limit_new(1, 1);

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, -1));
	assert_false(take(slots, "192.0.2.1", "a.example", 0, -1));
	give(slots, "192.0.2.1", "a.example");
	conn_limit_free(slots);
}

struct queued {
	struct conn_limit *slots;
	const char *address;
	pthread_t thread;
	atomic_int *order;
	int place;
	bool got;
};

static void *
wait_in_queue(void *argument)
{
	struct queued *queued = argument;

	queued->got = take(queued->slots, queued->address, "q.example", 0, 5000);
	queued->place = atomic_fetch_add(queued->order, 1);
	return NULL;
}

static void
start(struct queued *queued, struct conn_limit *slots, const char *address, atomic_int *order)
{
	*queued = (struct queued){ .slots = slots, .address = address, .order = order };
	assert_int_equal(pthread_create(&queued->thread, NULL, wait_in_queue, queued), 0);
	pause_ms(50);
}

static void
test_first_come_first_served(void **state)
{
	struct conn_limit *slots = conn_limit_new(1, 10);
	struct queued first, second;
	atomic_int order = 0;

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 1000));
	start(&first, slots, "192.0.2.2", &order);
	start(&second, slots, "192.0.2.3", &order);
	assert_int_equal(atomic_load(&order), 0);
	give(slots, "192.0.2.1", "a.example");
	pthread_join(first.thread, NULL);
	assert_int_equal(atomic_load(&order), 1);
	give(slots, "192.0.2.2", "q.example");
	pthread_join(second.thread, NULL);
	assert_true(first.got && second.got);
	assert_true(first.place < second.place);
	give(slots, "192.0.2.3", "q.example");
	conn_limit_free(slots);
}

/* A caller that waits for a busy address does not delay callers for another. */
static void
test_nobody_waits_for_another_ones_limit(void **state)
{
	struct conn_limit *slots = conn_limit_new(2, 1);
	struct queued busy, free_one;
	atomic_int order = 0;

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 1000));
	assert_true(take(slots, "192.0.2.9", "a.example", 0, 1000));
	start(&busy, slots, "192.0.2.1", &order);
	start(&free_one, slots, "192.0.2.3", &order);
	give(slots, "192.0.2.9", "a.example");
	pthread_join(free_one.thread, NULL);
	assert_true(free_one.got);
	assert_int_equal(atomic_load(&order), 1);
	give(slots, "192.0.2.1", "a.example");
	pthread_join(busy.thread, NULL);
	assert_true(busy.got);
	give(slots, "192.0.2.1", "q.example");
	give(slots, "192.0.2.3", "q.example");
	conn_limit_free(slots);
}

static bool
is_gone(void *context)
{
	return atomic_load((atomic_bool *)context);
}

static void *
leave_soon(void *argument)
{
	pause_ms(100);
	atomic_store((atomic_bool *)argument, true);
	return NULL;
}

static void
test_waiting_ends_when_nobody_wants_it(void **state)
{
	struct conn_limit *slots = conn_limit_new(1, 1);
	struct ip to = ip("192.0.2.1");
	int64_t began = clock_monotonic_ms();
	atomic_bool gone = false;
	pthread_t leaver;

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 1000));
	pthread_create(&leaver, NULL, leave_soon, &gone);
	assert_false(conn_limit_take(slots, &to, "a.example", 0, deadline_in(60000), is_gone,
	    &gone));
	assert_in_range(clock_monotonic_ms() - began, 0, 5000);
	pthread_join(leaver, NULL);
	give(slots, "192.0.2.1", "a.example");
	conn_limit_free(slots);
}

struct crowd {
	struct conn_limit *slots;
	atomic_int open, most, taken;
};

static void *
come_and_go(void *argument)
{
	struct crowd *crowd = argument;
	char address[IP_TEXT_MAX];
	int i, open, most;

	for (i = 0; i < 100; i++) {
		snprintf(address, sizeof(address), "192.0.2.%d", i % 3);
		if (!take(crowd->slots, address, "crowd.example", 4, 10000))
			return NULL;
		open = atomic_fetch_add(&crowd->open, 1) + 1;
		most = atomic_load(&crowd->most);
		while (open > most && !atomic_compare_exchange_weak(&crowd->most, &most, open))
			continue;
		atomic_fetch_add(&crowd->taken, 1);
		atomic_fetch_sub(&crowd->open, 1);
		give(crowd->slots, address, "crowd.example");
	}
	return NULL;
}

static void
test_a_crowd_never_exceeds_the_limit(void **state)
{
	struct crowd crowd = { .slots = conn_limit_new(5, 3) };
	pthread_t threads[8];
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &crowd), 0);
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&crowd.taken), 800);
	assert_in_range(atomic_load(&crowd.most), 1, 4);
	conn_limit_free(crowd.slots);
}

/* A host that takes three connections: the fourth is turned away, and the number is learnt. */
static void
test_a_host_that_takes_fewer(void **state)
{
	struct conn_limit *slots = conn_limit_new(100, 20);
	struct ip to = ip("192.0.2.1"), other = ip("192.0.2.2");
	int i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_true(take(slots, "192.0.2.1", "a.example", 0, 0));
	for (i = 0; i < 3; i++)
		conn_limit_welcome(slots, &to);
	/* Two are turned away together, and leave one after the other. */
	assert_int_equal(conn_limit_refused(slots, &to), CONN_LIMIT_REFUSAL_OF_MORE);
	give(slots, "192.0.2.1", "a.example");
	assert_int_equal(conn_limit_refused(slots, &to), CONN_LIMIT_REFUSAL_OF_MORE);
	give(slots, "192.0.2.1", "a.example");
	assert_false(take(slots, "192.0.2.1", "a.example", 0, 0));
	assert_false(take(slots, "192.0.2.1", "b.example", 0, 0));
	assert_true(take(slots, "192.0.2.2", "a.example", 0, 0));
	assert_int_equal(conn_limit_refused(slots, &other), CONN_LIMIT_REFUSAL_OF_ALL);
	give(slots, "192.0.2.2", "a.example");
	conn_limit_leave(slots, &to);
	give(slots, "192.0.2.1", "a.example");
	/* After a moment, in which the host hears of the end. */
	assert_true(take(slots, "192.0.2.1", "b.example", 0, 5000));
	assert_int_equal(conn_limit_excess(slots, &to, "b.example", 0), CONN_LIMIT_EXCESS_NONE);
	/* One that is kept idle is one that the host has. */
	conn_limit_park(slots, &to, "a.example");
	assert_true(take(slots, "192.0.2.1", "c.example", 0, 0));
	assert_int_equal(conn_limit_excess(slots, &to, "c.example", 0), CONN_LIMIT_EXCESS_IP);
	conn_limit_unpark(slots, &to, "a.example");
	conn_limit_leave(slots, &to);
	give(slots, "192.0.2.1", "a.example");
	give(slots, "192.0.2.1", "b.example");
	give(slots, "192.0.2.1", "c.example");
	conn_limit_free(slots);
}

/* Whether it serves us is remembered beyond the last connection, and one stays allowed. */
static void
test_a_host_that_takes_none_for_now(void **state)
{
	struct conn_limit *slots = conn_limit_new(100, 20);
	struct ip to = ip("192.0.2.1");

	(void)state;
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 0));
	conn_limit_welcome(slots, &to);
	conn_limit_leave(slots, &to);
	give(slots, "192.0.2.1", "a.example");
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 0));
	assert_int_equal(conn_limit_refused(slots, &to), CONN_LIMIT_REFUSAL_FOR_NOW);
	assert_false(take(slots, "192.0.2.1", "a.example", 0, 0));
	give(slots, "192.0.2.1", "a.example");
	assert_false(take(slots, "192.0.2.1", "a.example", 0, 0));
	assert_true(take(slots, "192.0.2.1", "a.example", 0, 5000));
	give(slots, "192.0.2.1", "a.example");
	conn_limit_free(slots);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_of_the_process),
		cmocka_unit_test(test_limit_of_an_address),
		cmocka_unit_test(test_limit_of_a_destination),
		cmocka_unit_test(test_a_passed_deadline_takes_what_is_free),
		cmocka_unit_test(test_first_come_first_served),
		cmocka_unit_test(test_nobody_waits_for_another_ones_limit),
		cmocka_unit_test(test_waiting_ends_when_nobody_wants_it),
		cmocka_unit_test(test_a_crowd_never_exceeds_the_limit),
		cmocka_unit_test(test_a_host_that_takes_fewer),
		cmocka_unit_test(test_a_host_that_takes_none_for_now),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
