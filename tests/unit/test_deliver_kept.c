/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Refusals on a connection that served an earlier message. */
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

#define LOCKSTEP	"S 220 mx ESMTP", "C EHLO", "S 250 mx"
#define BEFORE	\
	"C MAIL", "S 250", "C RCPT TO:<before@", "S 250", "C DATA", "S 354", "D", "S 250 earlier"
#define MAIL_RCPT	"C MAIL FROM:<sender@example.org>", "S 250", "C RCPT TO:<someone@"

static unsigned
count_in(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

/* One message after another that was delivered: how the kept connection answers it, the final
 * reply, and whether a fresh connection is needed, which says the same as the kept one (final NULL)
 * or takes the message. */
static const struct turn {
	const char *what;
	const char *const *pipelined, *const *lockstep;
	bool asked_again;
	const char *no;	/* the reply when the fresh connection refuses, too */
} turns[] = {
	{ "MAIL 550",
	    WORLD_SCRIPT(HELLO, BEFORE, "C MAIL", "S 550 Too many mails per connection", "A", "A",
		"C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, "C MAIL", "S 550 Too many mails per connection",
		"C QUIT"),
	    true, "550 5.0.0 " },
	{ "MAIL 550 5.1.8",
	    WORLD_SCRIPT(HELLO, BEFORE, "C MAIL", "S 550 5.1.8 No such sender", "A", "A", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, "C MAIL", "S 550 5.1.8 No such sender", "C QUIT"), true,
	    "550 5.1.8 " },
	{ "RCPT 503",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 503 5.5.1 Bad sequence of commands", "C DATA",
		"S 503 5.5.1 Bad sequence of commands", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 503 5.5.1 Bad sequence of commands",
		"C QUIT"),
	    true, "503 5.5.1 " },
	{ "RCPT 503 without an enhanced code",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 503 Bad", "C DATA", "S 503 Bad", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 503 Bad", "C QUIT"), true, "503 5.0.0 " },
	{ "RCPT 554",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 554 Go away", "C DATA", "S 554", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 554 Go away", "C QUIT"), true,
	    "554 5.0.0 " },
	{ "RCPT 5.7.1",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 550 5.7.1 Enough", "C DATA", "S 554",
		"C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 550 5.7.1 Enough", "C QUIT"), true,
	    "550 5.7.1 " },
	{ "RCPT 4.7.1",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 451 4.7.1 Enough", "C DATA", "S 554",
		"C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 451 4.7.1 Enough", "C QUIT"), true,
	    "451 4.7.1 " },
	{ "DATA 503",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 503 5.5.1 Bad sequence",
		"C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 503 5.5.1 Bad sequence",
		"C QUIT"),
	    true, "503 5.5.1 " },
	{ "DATA 550",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 550 No more", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 550 No more", "C QUIT"),
	    true, "550 5.0.0 " },
	{ "RCPT 550 5.1.1",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 550 5.1.1 No such user", "C DATA", "S 554",
		"C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 550 5.1.1 No such user", "C QUIT"), false,
	    "550 5.1.1 " },
	{ "RCPT 550",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 550 No such user", "C DATA", "S 554",
		"C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 550 No such user", "C QUIT"), false,
	    "550 5.0.0 " },
	{ "RCPT 450 4.2.1",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 450 4.2.1 Grey", "C DATA", "S 554", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 450 4.2.1 Grey", "C QUIT"), false,
	    "450 4.2.1 " },
	{ "the content 550",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 354", "D",
		"S 550 5.7.1 Spam", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 354", "D",
		"S 550 5.7.1 Spam", "C QUIT"),
	    false, "550 5.7.1 " },
	{ "the content 503",
	    WORLD_SCRIPT(HELLO, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 354", "D",
		"S 503 5.5.1 Bad", "C QUIT"),
	    WORLD_SCRIPT(LOCKSTEP, BEFORE, MAIL_RCPT, "S 250", "C DATA", "S 354", "D",
		"S 503 5.5.1 Bad", "C QUIT"),
	    false, "503 5.5.1 " },
};

/* The same words on a fresh connection: the script without the message before. */
static const char *const *
without_before(struct arena *arena, const char *const *script)
{
	static const char *const before[] = { BEFORE };
	const char **rest;
	size_t count = 0, hello = 0, many = sizeof(before) / sizeof(before[0]);

	while (script[count] != NULL)
		count++;
	while (strcmp(script[hello], before[0]) != 0)
		hello++;
	rest = arena_array(arena, count + 1, sizeof(*rest));
	memcpy(rest, script, hello * sizeof(*rest));
	memcpy(rest + hello, script + hello + many, (count - hello - many) * sizeof(*rest));
	return rest;
}

static void
check_turn(const struct turn *turn, const char *const *kept)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct arena *arena = arena_new();
	const char *const *same = without_before(arena, kept);
	struct world world;

	world_init(&world, 2);
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(kept, good), NULL);
	if (!world_went(&world, turn->asked_again ? "250 2.0.0 mx1." : turn->no,
		turn->asked_again ? 2 : 1))
		print_error("%s: %s after\n%s", turn->what, world_reply(&world, 0), world.heard);
	assert_starts(world_reply(&world, 0), turn->asked_again ? "250 2.0.0 mx1." : turn->no);
	assert_int_equal(world.connections, turn->asked_again ? 2 : 1);
	assert_null(strchr(world.heard, '!'));
	assert_int_equal(count_in(world.heard, ">.\n"),
	    turn->asked_again || strncmp(turn->what, "the content", 11) == 0 ? 2 : 1);
	world_free(&world);

	/* A no on the fresh one is final, and asked once. */
	world_init(&world, 2);
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(kept, same, good), NULL);
	assert_starts(world_reply(&world, 0), turn->no);
	assert_int_equal(world.connections, turn->asked_again ? 2 : 1);
	assert_null(strchr(world.heard, '!'));
	world_free(&world);

	/* On a first connection it is final at once. */
	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(same, good), NULL);
	assert_starts(world_reply(&world, 0), turn->no);
	assert_int_equal(world.connections, 1);
	world_free(&world);
	arena_free(arena);
}

static void
test_a_no_on_a_kept_connection(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(turns) / sizeof(turns[0]); i++) {
		check_turn(&turns[i], turns[i].pipelined);
		check_turn(&turns[i], turns[i].lockstep);
	}
}

/* Each recipient gets its own reply, and the message once. */
static void
test_some_recipients_are_asked_again(void **state)
{
	static const char *const recipients[] = { "a@example.net", "b@example.net", "c@example.net",
		"d@example.net", NULL };
	const char *const *kept = WORLD_SCRIPT(HELLO, BEFORE, "C MAIL", "S 250", "C RCPT TO:<a@",
	    "S 250", "C RCPT TO:<b@", "S 554 5.7.1 Enough", "C RCPT TO:<c@",
	    "S 550 5.1.1 No such user", "C RCPT TO:<d@", "S 503 5.5.1 Enough", "C DATA", "S 354",
	    "D", "S 250 first", "C QUIT");
	const char *const *fresh = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT TO:<b@", "S 250",
	    "C RCPT TO:<d@", "S 554 5.7.1 Never", "C DATA", "S 354", "D", "S 250 second", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 2);
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(kept, fresh), recipients);
	assert_null(strchr(world.heard, '!'));
	assert_has(world_reply(&world, 0), "first");
	assert_has(world_reply(&world, 1), "second");
	assert_starts(world_reply(&world, 2), "550 5.1.1 ");
	assert_starts(world_reply(&world, 3), "554 5.7.1 ");
	assert_int_equal(world.connections, 2);
	world_free(&world);
}

/* The fresh connection fails: the refusal on the kept one is not reported. */
static void
test_no_fresh_connection_comes_about(void **state)
{
	const char *const *kept = WORLD_SCRIPT(HELLO, BEFORE, "C MAIL", "S 550 Enough", "A", "A",
	    "C QUIT");
	const char *const *busy = WORLD_SCRIPT("S 421 4.3.2 Busy");
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(kept, busy), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.0 ");
	world_free(&world);

	world_init(&world, 2);
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(kept, busy, good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.");
	world_free(&world);
}

/* The second hundred of one message are on a connection that has served, too. */
static void
test_the_next_transaction_of_the_same_message(void **state)
{
	const char *const *first = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 100", "C DATA",
	    "S 354", "D", "S 250 first", "C MAIL", "S 550 5.5.0 One message a connection");
	const char *const *second = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 20", "C DATA",
	    "S 354", "D", "S 250 second", "C QUIT");
	const char *const *never = WORLD_SCRIPT(HELLO, "C MAIL", "S 550 5.5.0 Never", "A");
	struct arena *arena = arena_new();
	const char **recipients = arena_array(arena, 121, sizeof(char *));
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 120; i++)
		recipients[i] = arena_printf(arena, "user%03zu@example.net", i);
	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(first, second), recipients);
	assert_int_equal(world.connections, 2);
	assert_has(world_reply(&world, 99), "first");
	assert_has(world_reply(&world, 100), "second");
	assert_has(world_reply(&world, 119), "second");
	world_free(&world);

	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(first, never), recipients);
	assert_int_equal(world.connections, 2);
	assert_has(world_reply(&world, 99), "first");
	assert_starts(world_reply(&world, 100), "550 5.5.0 ");
	world_free(&world);
	arena_free(arena);
}

/* An unsolicited reply would be taken for that to MAIL, and all after it for another
 * recipient's. */
static void
test_a_connection_out_of_step(void **state)
{
	const char *const *first = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 100", "C DATA",
	    "S 354", "D", "B 250 first\r\n250 and more\r\n", "Z");
	const char *const *second = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT TO:<user100@",
	    "S 250", "C RCPT TO:<user101@", "S 550 5.1.1 No such user", "C DATA", "S 354", "D",
	    "S 250 second", "C QUIT");
	struct arena *arena = arena_new();
	const char **recipients = arena_array(arena, 103, sizeof(char *));
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 102; i++)
		recipients[i] = arena_printf(arena, "user%03zu@example.net", i);
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(first, second), recipients);
	assert_has(world_reply(&world, 99), "first");
	assert_has(world_reply(&world, 100), "second");
	assert_starts(world_reply(&world, 101), "550 5.1.1 ");
	assert_int_equal(count_in(world.heard, "MAIL"), 2);
	world_free(&world);
	arena_free(arena);
}

/* No recipient was accepted: the next message gets a connection of its own. */
static void
test_a_connection_that_accepts_nobody_is_not_kept(void **state)
{
	const char *const *refuses = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT",
	    "S 450 4.3.2 Service currently unavailable", "C DATA", "S 554", "C QUIT");
	const char *const *turns_sour = WORLD_SCRIPT(HELLO, BEFORE, "C MAIL", "S 250", "C RCPT",
	    "S 450 4.3.2 Service currently unavailable", "C DATA", "S 554", "C QUIT");
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.before = 1;
	world_deliver(&world, WORLD_SCRIPTS(refuses, good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);

	world_init(&world, 1);
	world.before = 2;
	world_deliver(&world, WORLD_SCRIPTS(turns_sour, good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_no_on_a_kept_connection),
		cmocka_unit_test(test_some_recipients_are_asked_again),
		cmocka_unit_test(test_no_fresh_connection_comes_about),
		cmocka_unit_test(test_the_next_transaction_of_the_same_message),
		cmocka_unit_test(test_a_connection_out_of_step),
		cmocka_unit_test(test_a_connection_that_accepts_nobody_is_not_kept),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
