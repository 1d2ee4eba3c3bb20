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
#include <string.h>

#include "tests/unit/asserts.h"
#include "tests/unit/deliver_world.h"

#define NO_MORE	"S 220 never reached"

static void
test_helo(void **state)
{
	const char *const *old = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 502 What?",
	    "C HELO out.example.org", "S 250 mx", TAKE);
	const char *const *no_helo = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 502 What?", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(old), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	world_free(&world);

	world_init(&world, 1);
	world_enforce(&world, 0, true);
	world_deliver(&world, WORLD_SCRIPTS(no_helo), NULL);
	assert_starts(world_reply(&world, 0),
	    "451 4.4.0 mx1.example.net[127.0.0.1] said: 502 What?");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);
}

/* Refused by policy is worth more words than a host that is away, in either order. */
static void
test_which_failure_is_told(void **state)
{
	const char *const *stripped = WORLD_SCRIPT(HELLO, "C QUIT");
	const char *const *busy = WORLD_SCRIPT("S 421 4.3.2 Busy");
	const char *const *later = WORLD_SCRIPT(HELLO, "C MAIL", "S 451 4.3.0 Later");
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world_init(&world, 2);
		world_enforce(&world, i, true);
		world_deliver(&world,
		    i == 0 ? WORLD_SCRIPTS(stripped, busy) : WORLD_SCRIPTS(busy, stripped), NULL);
		assert_starts(world_reply(&world, 0), "451 4.7.4 ");
		assert_int_equal(world.connections, 2);
		world_free(&world);
	}
	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(busy, later), NULL);
	assert_starts(world_reply(&world, 0), "451 4.3.0 mx2.");
	world_free(&world);
}

static void
test_addresses(void **state)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct ip addresses[2];
	struct world world;

	(void)state;
	assert_int_equal(ip_parse("127.0.0.99", &addresses[0]), 0);
	addresses[1] = peer_ip();
	world_init(&world, 1);
	world.hosts[0].addresses = addresses;
	world.hosts[0].address_count = 2;
	world_deliver_logged(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.example.net[127.0.0.1]");
	assert_has(world.log.data,
	    "mx=mx1.example.net ip=127.0.0.99 tls=none reused=no wish=none "
	    "dsn=4.4.1 reply=\"451 4.4.1 mx1.example.net[127.0.0.99]: cannot connect to port ");
	world_free(&world);

	world_init(&world, 1);
	world.hosts[0].addresses = addresses;
	world.conf.destination_count = 1;
	world.destination.has_source_ipv4 = true;
	assert_int_equal(ip_parse("192.0.2.99", &world.destination.source_ipv4), 0);
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0),
	    "451 4.4.1 mx1.example.net[127.0.0.99]: cannot connect");
	assert_has(world_reply(&world, 0), " from 192.0.2.99: ");
	world_free(&world);
}

static void
test_a_destination_names_hostname_and_port(void **state)
{
	const char *const *good = WORLD_SCRIPT("S 220 mx", "C EHLO special.example", "S 250 mx",
	    TAKE);
	static char hostname[] = "special.example";
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.conf.destination_count = 1;
	world.destination.hostname = hostname;
	world.hosts[0].name = "";
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 [127.0.0.1] said: ");
	world_free(&world);

	/* The port of a relay is for the relay alone. */
	world_init(&world, 1);
	world.conf.destination_count = 1;
	world.destination.relay_port = 1;
	world_deliver(&world, WORLD_SCRIPTS(WORLD_SCRIPT(HELLO, TAKE)), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	world_free(&world);

	world_init(&world, 1);
	world.conf.destination_count = 1;
	world.destination.relay_port = 1;
	world.plan.relay = true;
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_has(world_reply(&world, 0), "cannot connect to port 1: ");
	world_free(&world);
}

static void
test_no_slot(void **state)
{
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct ip ip = peer_ip();
	struct world world;

	(void)state;
	world_init(&world, 1);
	conn_limit_free(world.conn_limit);
	world.conn_limit = conn_limit_new(1, 1);
	assert_true(conn_limit_take(world.conn_limit, &ip, "x", 0, deadline_in(1000), NULL, NULL));
	world.time_ms = 31000;
	world.conf.smtp.final_timeout = 30000;
	world_deliver(&world, WORLD_SCRIPTS(never), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.5 ");
	assert_in_range(world.took_ms, 0, 25000);
	conn_limit_give(world.conn_limit, &ip, "x");
	assert_int_equal(world.connections, 0);
	world_free(&world);
}

static void
test_time(void **state)
{
	const char *const *silent = WORLD_SCRIPT("Z"), *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct world world;
	int64_t ms;

	(void)state;
	/* No address is begun with less than final-timeout left. */
	world_init(&world, 1);
	world.time_ms = 1000;
	world.conf.smtp.final_timeout = 1100;
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	assert_int_equal(world.connections, 0);
	world_free(&world);

	/* Three silent hosts leave the fourth its share. */
	for (ms = 1600;; ms *= 8) {
		world_init(&world, 4);
		world.time_ms = 30000 + ms;
		world.conf.smtp.final_timeout = 30000;
		world_deliver(&world, WORLD_SCRIPTS(silent, silent, silent, good), NULL);
		if (ms > WORLD_LONG_MS || world_went(&world, "250 2.0.0 mx4.", 4))
			break;
		world_free(&world);
	}
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx4.");
	assert_in_range(world.took_ms, 600, 30000);
	world_free(&world);

	/* The only one may use what there is. */
	world_init(&world, 1);
	world.time_ms = 1600;
	world.conf.smtp.final_timeout = 1300;
	world_deliver(&world, WORLD_SCRIPTS(silent), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	assert_in_range(world.took_ms, 700, 20000);
	world_free(&world);
}

static void
test_plans_that_try_nobody(void **state)
{
	static const char *const two[] = { "a@example.net", "b@example.net", NULL };
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_enforce(&world, 0, true);
	world.plan.verdict = PLAN_DEFER;
	reply_set(&world.plan.reply, 451, "4.7.5", "no MX host matches");
	world.plan.use_count = 0;
	world.hosts[0].use = false;
	world.hosts[0].reason = "not listed by the policy";
	world.hosts[0].finding_source = SOURCE_STS;
	finding_set(&world.hosts[0].finding, RESULT_VALIDATION_FAILURE,
	    "mtasts-policy-mx-mismatch");
	world_deliver_logged(&world, WORLD_SCRIPTS(never), two);
	assert_string_equal(world_reply(&world, 0), "451 4.7.5 no MX host matches");
	assert_string_equal(world_reply(&world, 1), "451 4.7.5 no MX host matches");
	assert_int_equal(world.connections, 0);
	assert_has(world.log.data,
	    "event=attempt id=t1 from=sender@example.org domain=example.net "
	    "policy=sts mode=enforce policy-id=20260101 mx=mx1.example.net tls=none reused=no "
	    "wish=none result=validation-failure reply=\"not listed by the policy\" ms=");
	assert_has(world.log.data,
	    " to=b@example.net domain=example.net policy=sts mode=enforce "
	    "policy-id=20260101 tls=none reused=no wish=none result=validation-failure reason=mtasts-policy-mx-mismatch "
	    "status=deferred dsn=4.7.5 "
	    "reply=\"451 4.7.5 no MX host matches\" ms=");
	world_free(&world);

	world_init(&world, 0);
	world.plan.verdict = PLAN_REFUSE;
	reply_set(&world.plan.reply, 556, "5.1.10", "null MX");
	world_deliver_logged(&world, WORLD_SCRIPTS(never), NULL);
	assert_string_equal(world_reply(&world, 0), "556 5.1.10 null MX");
	assert_has(world.log.data,
	    " policy=none tls=none reused=no wish=none status=bounced dsn=5.1.10 ");
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_which_failure_is_told),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_a_destination_names_hostname_and_port),
		cmocka_unit_test(test_no_slot),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_plans_that_try_nobody),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
