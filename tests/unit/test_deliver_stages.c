/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Everything a host can do wrong, from its greeting to its last answer. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/asserts.h"
#include "tests/unit/deliver_world.h"

/* What happens at one stage: the reply when it is the only host, and whether another is tried. */
static const struct stage {
	const char *const *script;
	const char *reply;
	bool next_host;
} stages[] = {
	{ WORLD_SCRIPT("S 421 4.3.2 Busy"),
	    "451 4.4.0 mx1.example.net[127.0.0.1] said: 421 4.3.2 Busy", true },
	{ WORLD_SCRIPT("S 554 5.3.2 No", "C QUIT"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 354 What?"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S SSH-2.0-OpenSSH"), "451 4.5.0 mx1.example.net[127.0.0.1] said: SSH",
	    true },
	{ WORLD_SCRIPT("X"), "451 4.4.2 mx1.example.net[127.0.0.1]: the connection was lost",
	    true },
	{ WORLD_SCRIPT("R"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S 421 4.3.2 Bye"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S 451 4.3.2 Later", "C QUIT"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S 550 No", "C HELO", "S 550 No", "C QUIT"),
	    "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S what?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "S 421 4.7.0 Bye"), "451 4.7.0 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "S what?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 451 4.3.0 Later", "C RCPT"), "451 4.3.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 421 4.3.2 Bye"), "451 4.3.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 354 What?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S what?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "R"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 550 5.7.1 Go away", "A", "A", "C QUIT"),
	    "550 5.7.1 mx1.example.net[127.0.0.1] said: Go away", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 421 4.3.2 Bye"), "451 4.3.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 999 What?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 55"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 450 4.2.1 Grey", "C DATA", "S 554",
	      "C QUIT"),
	    "450 4.2.1 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 421 4.3.2 Bye"), "451 4.3.2 ",
	    true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 451 4.3.0 Not now", "C QUIT"),
	    "451 4.3.0 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 554 5.3.0 No", "C QUIT"),
	    "554 5.3.0 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 250 Ok"), "451 4.5.0 ",
	    false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "X"), "451 4.4.2 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "R"), "451 4.4.2 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S what?"), "451 4.5.0 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 354 Go on"), "451 4.5.0 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 421 4.3.2 Bye"), "451 4.3.2 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 550 Virus", "C QUIT"), "550 5.0.0 ", false },
	/* After the dot a 2 is a yes, whatever follows the digits. */
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 250OK", "C QUIT"), "250 2.0.0 mx1.", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "B 250\tqueued\r\n", "C QUIT"), "250 2.0.0 mx1.",
	    false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 250-a", "S 251 b", "C QUIT"), "250 2.0.0 mx1.",
	    false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 250-scanned", "S by a scanner", "S 2queued",
	      "C QUIT"),
	    "250 2.0.0 mx1.", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 250-scanned", "S 550 5.7.1 Spam"), "451 4.5.0 ",
	    false },
	{ WORLD_SCRIPT("S 220-a", "S 221\tb", "C EHLO", "S 250OK", TAKE), "250 2.0.0 mx1.", false },
	/* An answer ahead of its question answers nothing. */
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA",
	      "B 354 Go on\r\n250 2.0.0 queued\r\n", "Z"),
	    "451 4.5.0 mx1.example.net[127.0.0.1] said: before the message was over: 250 2.0.0 queued",
	    true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA",
	      "B 354 Go on\r\n550 5.7.1 Spam\r\n", "Z"),
	    "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "B 354 Go on\r\nwhat?\r\n", "Z"),
	    "451 4.5.0 mx1.example.net[127.0.0.1] said: before the message was over: what?", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "L 550-5.1.1 and so on"), "451 4.5.0 ",
	    true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "W xxxxxxxxxxxxxxxx"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT("L 220-more"), "451 4.5.0 ", true },
};

static void
test_every_stage(void **state)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		world_init(&world, 1);
		world_deliver(&world, WORLD_SCRIPTS(stages[i].script), NULL);
		assert_starts(world_reply(&world, 0), stages[i].reply);
		assert_int_equal(world.connections, 1);
		world_free(&world);

		world_init(&world, 2);
		world_deliver(&world, WORLD_SCRIPTS(stages[i].script, good), NULL);
		assert_int_equal(world.connections, stages[i].next_host ? 2 : 1);
		assert_starts(world_reply(&world, 0),
		    stages[i].next_host ? "250 2.0.0 mx2.example.net[127.0.0.1] said: "
					: stages[i].reply);
		world_free(&world);
	}
}

static void
test_a_421_is_logged_as_it_is_told(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 421 4.3.2 Bye");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver_logged(&world, WORLD_SCRIPTS(script), NULL);
	assert_has(world.log.data, " status=deferred dsn=4.3.2 reply=\"451 4.3.2 mx1.");
	/* The log has an attempt before its result. */
	assert_true(strstr(world.log.data, "event=attempt") <
	    strstr(world.log.data, "event=delivery"));
	world_free(&world);
}

static const struct stage silences[] = {
	{ WORLD_SCRIPT("Z"), "451 4.4.2 mx1.example.net[127.0.0.1]: timed out", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "T", "C EHLO", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250-and", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "B 25", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "Z"), "451 4.4.2 ", false },
};

static void
check_silence(const struct stage *silence)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	const char *reply = silence->next_host ? "250 2.0.0 mx2." : silence->reply;
	unsigned connections = silence->next_host ? 2 : 1;
	struct world world;
	int64_t ms;

	for (ms = WORLD_SHORT_MS;; ms *= 8) {
		world_init(&world, 2);
		world.conf.smtp.command_timeout = world.conf.smtp.final_timeout = ms;
		world_deliver(&world, WORLD_SCRIPTS(silence->script, good), NULL);
		if (ms > WORLD_LONG_MS || world_went(&world, reply, connections))
			break;
		world_free(&world);
	}
	assert_int_equal(world.connections, connections);
	assert_starts(world_reply(&world, 0), reply);
	world_free(&world);
}

static void
test_silence_at_every_stage(void **state)
{
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(silences) / sizeof(silences[0]); i++)
		check_silence(&silences[i]);
	world_init(&world, 1);
	world.conf.smtp.command_timeout = WORLD_SHORT_MS;
	world_deliver(&world, WORLD_SCRIPTS(silences[0].script), NULL);
	assert_starts(world_reply(&world, 0), silences[0].reply);
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_stage),
		cmocka_unit_test(test_a_421_is_logged_as_it_is_told),
		cmocka_unit_test(test_silence_at_every_stage),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
