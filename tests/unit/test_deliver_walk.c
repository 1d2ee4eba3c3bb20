/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Which addresses one message asks, how many of them, and for how long. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/arena.h"
#include "tests/unit/asserts.h"
#include "tests/unit/deliver_world.h"

#define SMALL	WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250 SIZE 11", "C QUIT")
#define GOOD	WORLD_SCRIPT(HELLO, TAKE)

static const char *const *const turned_away[] = {
	WORLD_SCRIPT("S 421 4.7.0 [TSS04] Messages temporarily deferred"),
	WORLD_SCRIPT("S 450 4.3.2 Not yet", "C QUIT"),
	WORLD_SCRIPT("S 554 5.3.2 No", "C QUIT"),
	WORLD_SCRIPT("S 220 mx", "C EHLO", "S 451 4.3.2 Later", "C QUIT"),
	WORLD_SCRIPT("S 220 mx", "C EHLO", "X"),
	WORLD_SCRIPT(HELLO, "C MAIL", "S 421 4.7.0 [TSS04] Messages temporarily deferred"),
	WORLD_SCRIPT(HELLO, "C MAIL", "S 451 4.7.1 Grey", "C RCPT"),
	WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "X"),
	WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 421 4.3.2 Bye"),
};

static void
test_hosts_that_greeted_have_a_bound(void **state)
{
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(turned_away) / sizeof(turned_away[0]); i++) {
		world_init(&world, 4);
		world.conf.smtp.sessions_per_message = 3;
		world_deliver(&world, WORLD_SCRIPTS(turned_away[i]), NULL);
		assert_int_equal(world.connections, 3);
		assert_starts(world_reply(&world, 0), "451 4.");
		world_free(&world);

		world_init(&world, 4);
		world_deliver(&world,
		    WORLD_SCRIPTS(turned_away[i], turned_away[i], turned_away[i], GOOD), NULL);
		assert_starts(world_reply(&world, 0), "250 2.0.0 mx4.");
		world_free(&world);
	}
}

/* An address that never greeted has got no command. */
static void
test_addresses_that_never_greeted_do_not_count(void **state)
{
	const char *const *lost = WORLD_SCRIPT("X"), *const *away = turned_away[0];
	struct ip nobody;
	struct world world;

	(void)state;
	assert_int_equal(ip_parse("127.0.0.99", &nobody), 0);
	world_init(&world, 4);
	world.conf.smtp.sessions_per_message = 2;
	world.hosts[0].addresses = &nobody;
	world_deliver(&world, WORLD_SCRIPTS(lost, away, GOOD), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx4.");
	world_free(&world);
}

/* Several connections to one address are one session. */
static void
test_retries_of_one_address_count_once(void **state)
{
	const char *const *breaks = WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "G 80");
	const char *const *away = turned_away[5];
	const char *const *kept = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT TO:<before@",
	    "S 250", "C DATA", "S 354", "D", "S 250", "C MAIL", "S 550 Enough", "A", "A", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 2);
	world.conf.smtp.sessions_per_message = 2;
	world_deliver(&world, WORLD_SCRIPTS(breaks, away, GOOD), NULL);
	assert_int_equal(world.connections, 3);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.");
	world_free(&world);

	world_init(&world, 3);
	world.conf.smtp.sessions_per_message = 1;
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(kept, away, GOOD), NULL);
	assert_int_equal(world.connections, 2);
	assert_starts(world_reply(&world, 0), "451 4.7.0 mx1.");
	world_free(&world);
}

static void
test_a_demand_that_is_not_met_never_counts(void **state)
{
	const char *const *stripped = WORLD_SCRIPT(HELLO, "C QUIT");
	struct world world;
	size_t i;

	(void)state;
	world_init(&world, 4);
	world.conf.smtp.sessions_per_message = 1;
	for (i = 0; i < 3; i++)
		world_enforce(&world, i, true);
	world_deliver(&world, WORLD_SCRIPTS(stripped, stripped, stripped, GOOD), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx4.");
	world_free(&world);

	world_init(&world, 2);
	world.conf.smtp.sessions_per_message = 1;
	world.wish = WISH_REQUIRETLS;
	world_deliver(&world, WORLD_SCRIPTS(stripped), NULL);
	assert_int_equal(world.connections, 2);
	assert_starts(world_reply(&world, 0), "550 5.7.");
	world_free(&world);
}

/* 552 5.3.4 says that no host takes the message. */
static void
test_a_no_of_all_hosts_takes_all_hosts(void **state)
{
	static const struct {
		unsigned most;
		size_t hosts, connections;
		const char *reply;
	} cases[] = {
		{ 2, 3, 2, "451 4.3.4 mx" },
		{ 1, 2, 1, "451 4.3.4 mx1." },
		{ 3, 3, 3, "552 5.3.4 mx3." },
		{ 0, 4, 4, "552 5.3.4 mx4." },
	};
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_init(&world, cases[i].hosts);
		world.conf.smtp.sessions_per_message = cases[i].most;
		world_deliver(&world, WORLD_SCRIPTS(SMALL), NULL);
		assert_starts(world_reply(&world, 0), cases[i].reply);
		assert_int_equal(world.connections, cases[i].connections);
		world_free(&world);
	}
}

/* One whose address could not be looked up may take it. */
static void
test_a_host_out_for_what_may_pass_is_untried(void **state)
{
	const char *const *later = WORLD_SCRIPT(HELLO, "C MAIL", "S 451 4.3.0 Later", "C RCPT");
	struct world world;

	(void)state;
	world_init(&world, 1);
	reply_set(&world.plan.untried, 451, "4.4.3", "mx2 could not be looked up");
	world_deliver(&world, WORLD_SCRIPTS(SMALL), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.3 mx2 could not be looked up");
	world_free(&world);

	world_init(&world, 1);
	reply_set(&world.plan.untried, 451, "4.4.3", "mx2 could not be looked up");
	world_deliver(&world, WORLD_SCRIPTS(later), NULL);
	assert_starts(world_reply(&world, 0), "451 4.3.0 mx1.");
	world_free(&world);
}

static void
two_addresses_each(struct world *world)
{
	static struct ip addresses[2];
	size_t i;

	addresses[0] = addresses[1] = peer_ip();
	for (i = 0; i < world->plan.host_count; i++) {
		world->hosts[i].addresses = addresses;
		world->hosts[i].address_count = 2;
	}
}

/* A host that cannot take such a message is left for the next one, not for its own next address. */
static void
test_the_other_addresses_of_an_unfit_host_come_last(void **state)
{
	static const struct {
		unsigned most, connections;
	} cases[] = { { 2, 2 }, { 3, 3 }, { 4, 4 }, { 0, 4 } };
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_init(&world, 2);
		two_addresses_each(&world);
		world.conf.smtp.sessions_per_message = cases[i].most;
		world_deliver(&world, WORLD_SCRIPTS(SMALL), NULL);
		assert_starts(world_reply(&world, 0), "552 5.3.4 ");
		assert_int_equal(world.connections, cases[i].connections);
		world_free(&world);
	}
	world_init(&world, 2);
	two_addresses_each(&world);
	world_deliver(&world, WORLD_SCRIPTS(SMALL, SMALL, GOOD), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.");
	world_free(&world);

	world_init(&world, 2);
	two_addresses_each(&world);
	world_deliver(&world, WORLD_SCRIPTS(turned_away[0], SMALL, GOOD), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.");
	world_free(&world);
}

static void
give_addresses(struct world *world, size_t host, struct ip *addresses, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		addresses[i] = peer_ip();
	world->hosts[host].addresses = addresses;
	world->hosts[host].address_count = count;
}

/* Whatever its many addresses say, a less preferred host is tried too. */
static void
test_further_addresses_leave_a_session_for_each_host(void **state)
{
	struct ip addresses[5];
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(turned_away) / sizeof(turned_away[0]); i++) {
		const char *const *away = turned_away[i];

		world_init(&world, 2);
		world.conf.smtp.sessions_per_message = 5;
		give_addresses(&world, 0, addresses, 5);
		world_deliver(&world, WORLD_SCRIPTS(away, away, away, away, GOOD), NULL);
		assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.");
		world_free(&world);

		world_init(&world, 3);
		world.conf.smtp.sessions_per_message = 5;
		give_addresses(&world, 0, addresses, 5);
		give_addresses(&world, 1, addresses, 5);
		world_deliver(&world, WORLD_SCRIPTS(away, away, away, away, GOOD), NULL);
		assert_starts(world_reply(&world, 0), "250 2.0.0 mx3.");
		world_free(&world);
	}
}

/* The host has not been asked yet. */
static void
test_an_address_that_never_greeted_is_no_reason_to_leave_its_host(void **state)
{
	struct ip addresses[2];
	struct world world;

	(void)state;
	world_init(&world, 4);
	world.conf.smtp.sessions_per_message = 2;
	give_addresses(&world, 0, addresses, 2);
	assert_int_equal(ip_parse("127.0.0.99", &addresses[0]), 0);
	world_deliver(&world, WORLD_SCRIPTS(GOOD), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.");
	world_free(&world);
}

/* Hosts beyond smtp.sessions-per-message would never be tried after some that refuse everything and
 * are not skipped for it. */
static void
test_in_time_each_host_is_asked(void **state)
{
	unsigned asked[4] = { 0 };
	struct world world;
	size_t i, tries;

	(void)state;
	for (tries = 0; tries < 500 && !(asked[2] > 0 && asked[3] > 0); tries++) {
		world_init(&world, 4);
		world.conf.smtp.sessions_per_message = 2;
		world_deliver(&world, WORLD_SCRIPTS(turned_away[2], GOOD), NULL);
		assert_starts(world_reply(&world, 0), "250 2.0.0 mx");
		for (i = 0; i < 4; i++)
			asked[i] += strncmp(world_reply(&world, 0) + 10, world.hosts[i].name,
					strlen(world.hosts[i].name)) == 0;
		world_free(&world);
	}
	assert_int_equal(asked[0], 0);
	assert_int_not_equal(asked[2], 0);
	assert_int_not_equal(asked[3], 0);
}

static int64_t
half_of(int64_t ms)
{
	return ms / 2;
}

static int64_t
more_than(int64_t ms)
{
	return 2 * ms;
}

/* A host that is there and slow: a quarter of the time is the share of each address. */
static void
check_slow(int64_t (*command_timeout)(int64_t ms))
{
	struct arena *arena = arena_new();
	struct world world;
	int64_t ms;

	for (ms = 1600;; ms *= 8) {
		const char *pause = arena_printf(arena, "P %d", (int)(ms * 3 / 8));
		const char *const *slow = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", pause,
		    "S 250", "C DATA", "S 354", "D", "S 250", "C QUIT");

		world_init(&world, 4);
		world.time_ms = 30000 + ms;
		world.conf.smtp.final_timeout = 30000;
		world.conf.smtp.command_timeout = command_timeout(ms);
		world_deliver(&world, WORLD_SCRIPTS(slow), NULL);
		if (ms > WORLD_LONG_MS || world_went(&world, "250 2.0.0 mx1.", 1))
			break;
		world_free(&world);
	}
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.");
	world_free(&world);
	arena_free(arena);
}

static void
test_a_host_that_answered_ehlo_gets_its_time(void **state)
{
	(void)state;
	check_slow(half_of);
	check_slow(more_than);
}

/* And the others get what it leaves. */
static void
test_a_host_that_falls_silent_leaves_some_time(void **state)
{
	const char *const *silent = WORLD_SCRIPT(HELLO, "C MAIL", "Z");
	struct world world;
	int64_t ms;

	(void)state;
	for (ms = 1600;; ms *= 8) {
		world_init(&world, 4);
		world.time_ms = 30000 + ms;
		world.conf.smtp.final_timeout = 30000;
		world_deliver(&world, WORLD_SCRIPTS(silent, silent, silent, GOOD), NULL);
		if (ms > WORLD_LONG_MS || world_went(&world, "250 2.0.0 mx4.", 4))
			break;
		world_free(&world);
	}
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx4.");
	world_free(&world);
}

/* The MTA hung up before: nothing is looked up, and no host is tried. */
static void
test_a_group_whose_mta_is_gone_costs_nothing(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.gone = true;
	world_deliver_logged(&world, WORLD_SCRIPTS(GOOD), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.2 the MTA hung up");
	assert_int_equal(world.connections, 0);
	assert_has(world.log.data, "event=delivery");
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts_that_greeted_have_a_bound),
		cmocka_unit_test(test_addresses_that_never_greeted_do_not_count),
		cmocka_unit_test(test_retries_of_one_address_count_once),
		cmocka_unit_test(test_a_demand_that_is_not_met_never_counts),
		cmocka_unit_test(test_a_no_of_all_hosts_takes_all_hosts),
		cmocka_unit_test(test_a_host_out_for_what_may_pass_is_untried),
		cmocka_unit_test(test_the_other_addresses_of_an_unfit_host_come_last),
		cmocka_unit_test(test_further_addresses_leave_a_session_for_each_host),
		cmocka_unit_test(test_an_address_that_never_greeted_is_no_reason_to_leave_its_host),
		cmocka_unit_test(test_in_time_each_host_is_asked),
		cmocka_unit_test(test_a_host_that_answered_ehlo_gets_its_time),
		cmocka_unit_test(test_a_host_that_falls_silent_leaves_some_time),
		cmocka_unit_test(test_a_group_whose_mta_is_gone_costs_nothing),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
