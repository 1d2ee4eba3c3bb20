/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* REQUIRETLS and TLS-Required: No on the wire (RFC 8689 4.2). */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/deliver_world.h"

#define HELLO_REQUIRETLS	\
	TO_STARTTLS, "S 220 2.0.0 Go ahead", "T", "C EHLO out.example.org", "S 250-mx", \
	    "S 250-SIZE 100000", "S 250 REQUIRETLS"
/* It says so before TLS alone, where anybody may have said it. */
#define HELLO_FORGED	\
	"S 220 mx ESMTP", "C EHLO out.example.org", "S 250-mx", "S 250-REQUIRETLS", \
	    "S 250 STARTTLS", "C STARTTLS", "S 220 2.0.0 Go ahead", "T", "C EHLO out.example.org", \
	    "S 250-mx", "S 250 PIPELINING"
#define TAKE_ONE "C MAIL FROM:", "S 250", "U 1", "C DATA", "S 354", "D", "S 250 2.0.0 Ok", "C QUIT"
#define LEAVE	"C QUIT"

static const char *const lacking[] = { HELLO_TLS, LEAVE, NULL };
static const char *const forging[] = { HELLO_FORGED, LEAVE, NULL };
static const char *const plain[] = { HELLO, "S 250-REQUIRETLS", LEAVE, NULL };
static const char *const not_now[] = { TO_STARTTLS, "S 454 4.7.0 Not now", LEAVE, NULL };
static const char *const reset[] = { "R", NULL };
static const char *const small[] = { TO_STARTTLS, "S 220", "T", "C EHLO", "S 250-mx",
	"S 250-SIZE 5", "S 250 REQUIRETLS", LEAVE, NULL };
static const char *const busy[] = { HELLO_REQUIRETLS, "C MAIL", "S 451 4.3.0 busy", LEAVE, NULL };
static const char *const refusing[] = { HELLO_REQUIRETLS, "C MAIL", "S 550 5.7.1 not you", LEAVE,
	NULL };
static const char *const taking[] = { HELLO_REQUIRETLS, TAKE_ONE, NULL };
static const char *const never[] = { "S 220 never reached", NULL };

/* As plan_make() does for REQUIRETLS. */
static void
require_tls(struct world *world, size_t host_count)
{
	static struct demand demand = {
		.source = SOURCE_SENDER, .need = NEED_ANY_CERTIFICATE, .enforce = true
	};
	size_t i;

	world_init(world, host_count);
	world->wish = WISH_REQUIRETLS;
	for (i = 0; i < host_count; i++) {
		world->hosts[i].demands = &demand;
		world->hosts[i].demand_count = 1;
		world->hosts[i].names = world->hosts[0].names;	/* one certificate for all */
	}
}

static const struct {
	const char *name;
	const char *const *first, *const *second;	/* NULL: there is one host */
	bool untried;	/* and another that no address is known of */
	const char *reply;
} cases[] = {
	{ "taken", taking, NULL, false, "250 2.0.0" },
	{ "H16 not offered", lacking, NULL, false, "550 5.7.30" },
	{ "offered before TLS alone", forging, NULL, false, "550 5.7.30" },
	{ "H16 no TLS", plain, NULL, false, "550 5.7.10" },
	{ "the second does", lacking, taking, false, "250 2.0.0" },
	{ "the second does it in TLS", plain, taking, false, "250 2.0.0" },
	{ "none offers it", lacking, lacking, false, "550 5.7.30" },
	{ "none has TLS", plain, plain, false, "550 5.7.10" },
	{ "one is verified", lacking, plain, false, "550 5.7.30" },
	{ "one is verified, the second", plain, lacking, false, "550 5.7.30" },
	{ "one is lost", lacking, reset, false, "451 4.4.2" },
	{ "one is lost, the first", reset, plain, false, "451 4.4.2" },
	{ "one has no TLS now", lacking, not_now, false, "451 4.7.4" },
	{ "one has no TLS now, the first", not_now, plain, false, "451 4.7.4" },
	{ "one is busy", lacking, busy, false, "451 4.3.0" },
	{ "one was not tried", lacking, NULL, true, "451 4.4.3" },
	{ "one was not tried, one has no TLS", plain, NULL, true, "451 4.4.3" },
	{ "one was not tried, the other does", taking, NULL, true, "250 2.0.0" },
	{ "a host's own no is one", refusing, never, false, "550 5.7.1" },
	{ "too large where it is offered", lacking, small, false, "552 5.3.4" },
	{ "too large where it is offered, the first", small, plain, false, "552 5.3.4" },
};

static void
test_replies(void **state)
{
	struct world world;
	size_t i;
	bool sent;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		require_tls(&world, cases[i].second != NULL ? 2 : 1);
		if (cases[i].untried)
			reply_set(&world.plan.untried, 451, "4.4.3", "not tried");
		world_deliver_logged(&world,
		    WORLD_SCRIPTS(cases[i].first,
			cases[i].second != NULL ? cases[i].second : never),
		    NULL);
		if (strncmp(world_reply(&world, 0), cases[i].reply, strlen(cases[i].reply)) != 0)
			fail_msg("%s: %s", cases[i].name, world_reply(&world, 0));
		sent = cases[i].reply[0] == '2';
		if (world_was_content_heard(&world) != sent)
			fail_msg("%s: %s", cases[i].name, world.heard);
		/* No MAIL without the parameter, and none outside TLS. */
		if (strstr(world.heard, "p MAIL") != NULL ||
		    (strstr(world.heard, "MAIL FROM") != NULL &&
			strstr(world.heard, "t MAIL FROM:<sender@example.org> SIZE=") == NULL))
			fail_msg("%s: %s", cases[i].name, world.heard);
		if (sent && strstr(world.heard, " REQUIRETLS\n") == NULL)
			fail_msg("%s: %s", cases[i].name, world.heard);
		assert_non_null(strstr(world.log.data, " wish=requiretls "));
		assert_null(strstr(world.log.data, " wish=none "));
		world_free(&world);
	}
}

/* RFC 8689 5: a bounce is not lost because the parameter is not known; it still needs TLS. */
static void
test_bounce(void **state)
{
	const char *const *lacks = WORLD_SCRIPT(HELLO_TLS, TAKE_ONE);
	struct world world;

	(void)state;
	require_tls(&world, 1);
	world.sender = "";
	world_deliver(&world, WORLD_SCRIPTS(lacks), NULL);
	assert_int_equal(world.rcpts[0].reply.code, 250);
	assert_non_null(strstr(world.heard, "1t MAIL FROM:<>\n"));
	world_free(&world);

	require_tls(&world, 1);
	world.sender = "";
	world_deliver(&world, WORLD_SCRIPTS(taking), NULL);
	assert_int_equal(world.rcpts[0].reply.code, 250);
	assert_non_null(strstr(world.heard, " REQUIRETLS\n"));
	world_free(&world);

	require_tls(&world, 1);
	world.sender = "";
	world_deliver(&world, WORLD_SCRIPTS(plain), NULL);
	assert_string_equal(world.rcpts[0].reply.enhanced, "5.7.10");
	assert_null(strstr(world.heard, "MAIL"));
	world_free(&world);
}

/* Who did not ask for it does not pass it on. */
static void
test_not_asked(void **state)
{
	static const enum sender_wish wishes[] = { WISH_NONE, WISH_NO };
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world_init(&world, 1);
		world.wish = wishes[i];
		world_deliver_logged(&world, WORLD_SCRIPTS(taking), NULL);
		assert_int_equal(world.rcpts[0].reply.code, 250);
		assert_non_null(strstr(world.heard, "MAIL FROM:<sender@example.org> SIZE="));
		assert_null(strstr(world.heard, "REQUIRETLS"));
		assert_non_null(strstr(world.log.data, i == 0 ? " wish=none " : " wish=no "));
		world_free(&world);
	}
}

/* A 5xx is the last word only when every address was tried. */
static void
test_time_runs_out(void **state)
{
	struct world world;

	(void)state;
	require_tls(&world, 2);
	world.time_ms = 300;
	world.conf.smtp.final_timeout = 200;
	world.conf.lmtp.transaction_time = 100000;
	world_deliver(&world, WORLD_SCRIPTS(WORLD_SCRIPT("P 60", HELLO_TLS, LEAVE), never), NULL);
	assert_int_equal(world.rcpts[0].reply.code, 451);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_bounce),
		cmocka_unit_test(test_not_asked),
		cmocka_unit_test(test_time_runs_out),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
