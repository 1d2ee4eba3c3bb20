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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "tests/unit/asserts.h"
#include "tests/unit/deliver_world.h"

#define HELLO_LOCKSTEP	"S 220 mx", "C EHLO", "S 250 mx"
#define ALL_SCRIPTS(...)	WORLD_SCRIPTS(WORLD_SCRIPT(__VA_ARGS__))

static unsigned
count_in(const char *text, const char *part)
{
	unsigned count = 0;

	for (; (text = strstr(text, part)) != NULL; text++)
		count++;
	return count;
}

static void
test_pipelined(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL FROM:<sender@example.org>",
		"C RCPT TO:<someone@example.net>", "C DATA", "S 250 2.1.0 Ok", "S 250 2.1.5 Ok",
		"S 354 Go on", "D", "S 250 2.6.0 Stored as #42", "C QUIT"),
	    NULL);
	assert_string_equal(world_reply(&world, 0),
	    "250 2.0.0 mx1.example.net[127.0.0.1] said: 250 2.6.0 Stored as #42");
	assert_string_equal(world.heard,
	    "1p EHLO out.example.org\n"
	    "1p MAIL FROM:<sender@example.org>\n1p RCPT TO:<someone@example.net>\n1p DATA\n"
	    "1p >Subject: test\n1p >\n1p >hello\n1p >.\n1p QUIT\n");
	world_free(&world);
}

static void
test_lock_step(void **state)
{
	static const char *const recipients[] = { "a@example.net", "b@example.net", NULL };
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO_LOCKSTEP, "C MAIL", "Q", "S 250", "C RCPT TO:<a@", "Q", "S 250",
		"C RCPT TO:<b@", "Q", "S 251 will forward", "C DATA", "Q", "S 354", "D", "S 250",
		"C QUIT"),
	    recipients);
	assert_null(strchr(world.heard, '!'));
	assert_string_equal(world_reply(&world, 0),
	    "250 2.0.0 mx1.example.net[127.0.0.1] said: 250");
	assert_starts(world_reply(&world, 1), "250 2.0.0 ");
	world_free(&world);
}

static void
test_answers_of_each_recipient(void **state)
{
	static const char *const recipients[] = { "a@example.net", "b@example.net", "c@example.net",
		"d@example.net", "e@example.net", NULL };
	static const char *const expected[] = {
		"250 2.0.0 mx1.example.net[127.0.0.1] said: 250 Ok",
		"550 5.1.1 mx1.example.net[127.0.0.1] said: No such user",
		"450 4.0.0 mx1.example.net[127.0.0.1] said: Come again",
		"451 4.5.0 mx1.example.net[127.0.0.1] said: 354 What?",
		"550 5.0.0 mx1.example.net[127.0.0.1] said: 4.1.1 Odd",
	};
	struct world world;
	size_t i;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "U 1", "C RCPT", "S 550 5.1.1 No such user",
		"C RCPT", "S 450 Come again", "C RCPT", "S 354 What?", "C RCPT", "S 550 4.1.1 Odd",
		"C DATA", "S 354", "D", "S 250 Ok", "C QUIT"),
	    recipients);
	for (i = 0; i < 5; i++)
		assert_string_equal(world_reply(&world, i), expected[i]);
	world_free(&world);
}

/* RFC 2920 3.1: DATA was on its way already. */
static void
test_nobody_is_left_for_the_content(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "C RCPT", "S 550 5.1.1 No", "C DATA",
		"S 354 Go on", "C .", "S 554 5.5.1 No recipients", "C QUIT"),
	    NULL);
	assert_starts(world_reply(&world, 0), "550 5.1.1 ");
	assert_null(strchr(world.heard, '!'));
	assert_null(strstr(world.heard, "Subject"));
	world_free(&world);

	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO_LOCKSTEP, "C MAIL", "S 250", "C RCPT", "S 550 5.1.1 No", "C QUIT"),
	    NULL);
	assert_starts(world_reply(&world, 0), "550 5.1.1 ");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);
}

static void
test_dots(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.content = ".first\r\n..two\r\n.\r\na.b\r\n\r\n.\r\nlast.\r\n";
	world_deliver(&world, ALL_SCRIPTS(HELLO, TAKE), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_non_null(strstr(world.heard,
	    "1p >..first\n1p >...two\n1p >..\n1p >a.b\n1p >\n"
	    "1p >..\n1p >last.\n1p >.\n1p QUIT\n"));
	world_free(&world);
}

/* Dots at the seams of what is read and written at a time. */
static void
test_dots_in_much_content(void **state)
{
	const size_t lines = 40000;
	struct buf content = { 0 };
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < lines; i++)
		buf_add_text(&content, i % 3 == 0 ? ".\r\n" : i % 3 == 1 ? "..x\r\n" : ".y\r\n");
	world_init(&world, 1);
	world.content = buf_text(&content);
	world_deliver(&world, ALL_SCRIPTS(HELLO, TAKE), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_int_equal(count_in(world.heard, ">..\n"), (lines + 2) / 3);
	assert_int_equal(count_in(world.heard, ">...x\n"), (lines + 1) / 3);
	assert_int_equal(count_in(world.heard, ">..y\n"), lines / 3);
	assert_int_equal(count_in(world.heard, ">.\n"), 1);
	world_free(&world);
	buf_free(&content);
}

static void
test_empty_message(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.content = "";
	world_deliver(&world, ALL_SCRIPTS(HELLO, TAKE), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_non_null(strstr(world.heard, "1p DATA\n1p >.\n1p QUIT\n"));
	world_free(&world);
}

static void
test_parameters_of_mail(void **state)
{
	static const struct {
		const char *offered, *sender, *content, *mail;
		bool smtputf8;
	} cases[] = {
		{ "S 250 SIZE 100000", "s@a.example", "x\r\n", "MAIL FROM:<s@a.example> SIZE=3\n",
		    false },
		{ "S 250 SIZE", "", "x\r\n", "MAIL FROM:<> SIZE=3\n", false },
		{ "S 250 8BITMIME", "s@a.example", "x\r\n", "MAIL FROM:<s@a.example>\n", false },
		{ "S 250 8BITMIME", "s@a.example", "\r\n\xe4\r\n",
		    "MAIL FROM:<s@a.example> BODY=8BITMIME\n", false },
		{ "S 250 HELP", "s@a.example", "\r\n\xe4\r\n", "MAIL FROM:<s@a.example>\n", false },
		{ "S 250 SMTPUTF8", "s@a.example", "x\r\n", "MAIL FROM:<s@a.example>\n", true },
		{ "S 250 SMTPUTF8", "s\xc3\xa4@a.example", "x\r\n",
		    "MAIL FROM:<s\xc3\xa4@a.example> SMTPUTF8\n", false },
		{ "S 250 SMTPUTF8", "s@a.example", "X: \xc3\xa4\r\n\r\n",
		    "MAIL FROM:<s@a.example> SMTPUTF8\n", true },
		/* Old custom: octets in a header that were not announced. */
		{ "S 250 HELP", "s@a.example", "X: \xe4\r\n\r\n", "MAIL FROM:<s@a.example>\n",
		    false },
		{ "S 250 HELP",
		    "s@b\xc3\xbc"
		    "cher.example",
		    "x\r\n", "MAIL FROM:<s@xn--bcher-kva.example>\n", true },
	};
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_init(&world, 1);
		world.sender = cases[i].sender;
		world.content = cases[i].content;
		world.smtputf8 = cases[i].smtputf8;
		world_deliver(&world,
		    ALL_SCRIPTS("S 220 mx", "C EHLO", "S 250-mx", cases[i].offered, "C MAIL",
			"S 250", "U 1", "C DATA", "S 354", "D", "S 250", "C QUIT"),
		    NULL);
		if (strstr(world.heard, cases[i].mail) == NULL)
			print_error("%s", world.heard);
		assert_non_null(strstr(world.heard, cases[i].mail));
		assert_starts(world_reply(&world, 0), "250 2.0.0 ");
		world_free(&world);
	}
}

static void
test_what_a_host_cannot_take(void **state)
{
	static const struct {
		const char *sender, *content;
		const char *reply;
	} cases[] = {
		{ "s\xc3\xa4@a.example", "x\r\n", "553 5.6.7 mx1.example.net[127.0.0.1] " },
		{ "s@a.example", "X: \xc3\xa4\r\n\r\n", "553 5.6.7 mx1.example.net[127.0.0.1] " },
		{ "s@a.example", "0123456789", "552 5.3.4 mx1.example.net[127.0.0.1] " },
	};
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_init(&world, 1);
		world.sender = cases[i].sender;
		world.content = cases[i].content;
		world.smtputf8 = true;
		world_deliver(&world,
		    ALL_SCRIPTS("S 220 mx", "C EHLO", "S 250-mx", "S 250 SIZE 11", "C QUIT"), NULL);
		assert_starts(world_reply(&world, 0), cases[i].reply);
		assert_null(strchr(world.heard, '!'));
		world_free(&world);
	}
}

static void
test_recipients_that_need_smtputf8(void **state)
{
	static const char *const recipients[] = { "j\xc3\xb6rg@example.net", "plain@example.net",
		NULL };
	const char *const *lacks = WORLD_SCRIPT(HELLO, "C MAIL FROM:<sender@example.org>", "S 250",
	    "C RCPT TO:<plain@example.net>", "S 250", "C DATA", "S 354", "D", "S 250", "C QUIT");
	const char *const *takes = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250-8BITMIME",
	    "S 250 SMTPUTF8", "C MAIL FROM:<sender@example.org> BODY=8BITMIME SMTPUTF8", "S 250",
	    "C RCPT TO:<j\xc3\xb6rg@example.net>", "S 250", "C DATA", "S 354", "D", "S 250",
	    "C QUIT");
	const char *const *away = WORLD_SCRIPT("S 421 4.3.2 Busy");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(lacks), recipients);
	assert_starts(world_reply(&world, 0), "553 5.6.7 ");
	assert_starts(world_reply(&world, 1), "250 2.0.0 ");
	world_free(&world);

	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(lacks, takes), recipients);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.");
	assert_starts(world_reply(&world, 1), "250 2.0.0 mx1.");
	world_free(&world);

	/* It is not yet known whether the other host accepts it: no bounce. */
	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(lacks, away), recipients);
	assert_starts(world_reply(&world, 0), "451 4.4.0 mx2.");
	assert_starts(world_reply(&world, 1), "250 2.0.0 mx1.");
	world_free(&world);
}

static const char **
many(struct arena *arena, size_t count)
{
	const char **recipients = arena_array(arena, count + 1, sizeof(char *));
	size_t i;

	for (i = 0; i < count; i++)
		recipients[i] = arena_printf(arena, "user%03zu@example.net", i);
	return recipients;
}

static void
test_a_hundred_recipients_at_a_time(void **state)
{
	struct arena *arena = arena_new();
	struct world world;
	size_t i;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "U 100", "C DATA", "S 354", "D", "S 250 first",
		"C MAIL", "S 250", "U 100", "C DATA", "S 354", "D", "S 550 5.7.1 second", "C MAIL",
		"S 250", "U 50", "C DATA", "S 354", "D", "S 250 third", "C QUIT"),
	    many(arena, 250));
	assert_null(strchr(world.heard, '!'));
	assert_int_equal(world.connections, 1);
	for (i = 0; i < 250; i++)
		assert_non_null(strstr(world_reply(&world, i),
		    i < 100       ? "first"
			: i < 200 ? "second"
				  : "third"));
	world_free(&world);
	arena_free(arena);
}

static void
test_too_many_recipients_for_the_host(void **state)
{
	static const char *const recipients[] = { "a@example.net", "b@example.net", "c@example.net",
		NULL };
	struct world world;

	(void)state;
	world_init(&world, 1);
	/* A host may count them by connection. */
	world_deliver(&world,
	    WORLD_SCRIPTS(WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C RCPT",
			      "S 452 4.5.3 Too many", "C RCPT", "S 452 4.5.3 Too many", "C DATA",
			      "S 354", "D", "S 250 first", "C MAIL", "S 250", "C RCPT TO:<b@",
			      "S 250", "C RCPT TO:<c@", "S 452 Too many", "C DATA", "S 354", "D",
			      "S 250 second", "C MAIL", "S 250", "C RCPT TO:<c@",
			      "S 452 4.5.3 Too many still", "C DATA", "S 554", "C QUIT"),
		WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT TO:<c@",
		    "S 452 4.5.3 Too many even so", "C DATA", "S 554", "C QUIT")),
	    recipients);
	assert_null(strchr(world.heard, '!'));
	assert_non_null(strstr(world_reply(&world, 0), "first"));
	assert_non_null(strstr(world_reply(&world, 1), "second"));
	assert_starts(world_reply(&world, 2), "452 4.5.3 ");
	assert_non_null(strstr(world_reply(&world, 2), "even so"));
	world_free(&world);
}

/* RFC 5321 4.5.3.1.10: 552 is what older hosts say; but a full mailbox is a no, and so is a 552 to
 * the first. */
static void
test_552_as_too_many_recipients(void **state)
{
	static const char *const recipients[] = { "a@example.net", "b@example.net", "c@example.net",
		NULL };
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "U 1", "C RCPT TO:<b@",
		"S 552 Too many recipients", "C RCPT TO:<c@", "S 552 5.2.2 Mailbox full", "C DATA",
		"S 354", "D", "S 250 first", "C MAIL", "S 250", "U 1", "C DATA", "S 354", "D",
		"S 250 second", "C QUIT"),
	    recipients);
	assert_null(strchr(world.heard, '!'));
	assert_non_null(strstr(world_reply(&world, 0), "first"));
	assert_non_null(strstr(world_reply(&world, 1), "second"));
	assert_starts(world_reply(&world, 2), "552 5.2.2 ");
	world_free(&world);

	world_init(&world, 1);
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "C RCPT TO:<a@", "S 552 Too many recipients",
		"C RCPT TO:<b@", "S 250", "C RCPT TO:<c@", "S 552 5.3.4 Too big", "C DATA", "S 354",
		"D", "S 250 first", "C MAIL", "S 250", "C RCPT TO:<c@", "S 552 5.3.4 Too big",
		"C DATA", "S 554", "C QUIT"),
	    recipients);
	assert_null(strchr(world.heard, '!'));
	assert_starts(world_reply(&world, 0), "552 5.0.0 ");
	assert_non_null(strstr(world_reply(&world, 1), "first"));
	assert_starts(world_reply(&world, 2), "552 5.3.4 ");
	world_free(&world);
}

/* After a transaction without its dot, RSET ends it. */
static void
test_reset_between_transactions(void **state)
{
	struct arena *arena = arena_new();
	struct world world;
	struct buf step = { 0 };
	const char *steps[420] = { HELLO, "C MAIL", "S 250" };
	size_t at = 6, i;

	(void)state;
	for (i = 0; i < 100; i++) {
		steps[at++] = "C RCPT";
		steps[at++] = "S 550 5.1.1 No";
	}
	const char *rest[] = { "C DATA", "S 554", "C RSET", "S 250", "C MAIL", "S 250", "U 1",
		"C DATA", "S 354", "D", "S 250", "C QUIT", NULL };
	memcpy(steps + at, rest, sizeof(rest));
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(steps), many(arena, 101));
	assert_null(strchr(world.heard, '!'));
	assert_starts(world_reply(&world, 0), "550 5.1.1");
	assert_starts(world_reply(&world, 99), "550 5.1.1");
	assert_starts(world_reply(&world, 100), "250 2.0.0");
	world_free(&world);
	buf_free(&step);
	arena_free(arena);
}

/* A host that takes one message a connection gets the rest on another. */
static void
test_one_message_a_connection(void **state)
{
	const char *const *first = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 100", "C DATA",
	    "S 354", "D", "S 250 first", "C MAIL", "S 421 4.7.0 One is enough");
	const char *const *second = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 20", "C DATA",
	    "S 354", "D", "S 250 second", "C QUIT");
	struct arena *arena = arena_new();
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(first, second), many(arena, 120));
	assert_int_equal(world.connections, 2);
	assert_non_null(strstr(world_reply(&world, 0), "first"));
	assert_non_null(strstr(world_reply(&world, 119), "second"));
	world_free(&world);
	arena_free(arena);
}

/* The first hundred may have it; the others were not even told, and go to the next host. */
static void
test_lost_after_the_dot_with_others_waiting(void **state)
{
	const char *const *first = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 100", "C DATA",
	    "S 354", "D", "X");
	const char *const *second = WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 20", "C DATA",
	    "S 354", "D", "S 250 second", "C QUIT");
	struct arena *arena = arena_new();
	struct world world;

	(void)state;
	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(first, second), many(arena, 120));
	assert_int_equal(world.connections, 2);
	assert_starts(world_reply(&world, 99), "451 4.4.2 mx1.");
	assert_starts(world_reply(&world, 100), "250 2.0.0 mx2.");
	assert_starts(world_reply(&world, 119), "250 2.0.0 mx2.");
	world_free(&world);
	arena_free(arena);
}

static void
test_hanging_up_before_the_dot(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 2);
	world.abandon_after = "DATA";
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "C RCPT", "S 250", "C DATA", "P 15000",
		"S 354 Go on", "D", "S 250"),
	    NULL);
	assert_int_equal(world.connections, 1);
	assert_null(strstr(world.heard, ">Subject"));
	assert_in_range(world.took_ms, 0, 14000);
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	world_free(&world);
}

static void
test_hanging_up_in_the_content(void **state)
{
	size_t length = 40 << 20;
	char *content = xmalloc(length + 1);
	struct world world;

	(void)state;
	memset(content, 'x', length);
	content[length] = '\0';
	world_init(&world, 2);
	world.content = content;
	world.abandon_after = "DATA";
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, "C MAIL", "S 250", "C RCPT", "S 250", "C DATA", "S 354 Go on", "O",
		"D", "S 250"),
	    NULL);
	assert_int_equal(world.connections, 1);
	assert_non_null(strstr(world.heard, "!left in content"));
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	world_free(&world);
	free(content);
}

/* The host may have it: its reply is awaited, even after the MTA has hung up. */
static void
test_hanging_up_after_the_dot(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 2);
	world.abandon_after = ">.";
	world_deliver(&world, ALL_SCRIPTS(HELLO, MAIL_TO_DATA, "D", "P 500", "S 250 at last"),
	    NULL);
	assert_non_null(strstr(world_reply(&world, 0), "at last"));
	world_free(&world);
}

/* All of it goes to the next host. */
static void
test_lost_in_the_middle_of_the_content(void **state)
{
	const char *const *lost = WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "K 100000", "R");
	const char *const *good = WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "K 12000000", "C .",
	    "S 250 Ok");
	const size_t length = 12000000;
	char *content = xmalloc(length + 1);
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < length; i += 8)
		memcpy(content + i, "again.\r\n", 8);
	content[length] = '\0';
	world_init(&world, 2);
	world.content = content;
	world_deliver(&world, WORLD_SCRIPTS(lost, good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);
	free(content);
}

static void
test_refused_in_the_middle_of_the_content(void **state)
{
	size_t length = 8 << 20;
	char *content = xmalloc(length + 1);
	struct world world;

	(void)state;
	memset(content, 'x', length);
	content[length] = '\0';
	world_init(&world, 2);
	world.content = content;
	world_deliver(&world,
	    ALL_SCRIPTS(HELLO, MAIL_TO_DATA, "K 100000", "S 552 5.3.4 Too much for me", "P 1000"),
	    NULL);
	assert_string_equal(world_reply(&world, 0),
	    "552 5.3.4 mx1.example.net[127.0.0.1] said: Too much for me");
	assert_int_equal(world.connections, 1);
	world_free(&world);
	free(content);
}

/* data-timeout is for standing still, not for slowness. */
static void
test_content_without_progress(void **state)
{
	size_t length = 16 << 20;
	char *content = xmalloc(length + 1);
	struct world world;

	(void)state;
	memset(content, 'x', length);
	content[length] = '\0';
	world_init(&world, 1);
	world.content = content;
	world.conf.smtp.data_timeout = 300;
	world_deliver(&world, ALL_SCRIPTS(HELLO, MAIL_TO_DATA, "K 1000", "O"), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	assert_non_null(strstr(world_reply(&world, 0), "timed out"));
	world_free(&world);
	free(content);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_lock_step),
		cmocka_unit_test(test_answers_of_each_recipient),
		cmocka_unit_test(test_nobody_is_left_for_the_content),
		cmocka_unit_test(test_dots),
		cmocka_unit_test(test_dots_in_much_content),
		cmocka_unit_test(test_empty_message),
		cmocka_unit_test(test_parameters_of_mail),
		cmocka_unit_test(test_what_a_host_cannot_take),
		cmocka_unit_test(test_recipients_that_need_smtputf8),
		cmocka_unit_test(test_a_hundred_recipients_at_a_time),
		cmocka_unit_test(test_too_many_recipients_for_the_host),
		cmocka_unit_test(test_552_as_too_many_recipients),
		cmocka_unit_test(test_reset_between_transactions),
		cmocka_unit_test(test_one_message_a_connection),
		cmocka_unit_test(test_lost_after_the_dot_with_others_waiting),
		cmocka_unit_test(test_hanging_up_before_the_dot),
		cmocka_unit_test(test_hanging_up_in_the_content),
		cmocka_unit_test(test_hanging_up_after_the_dot),
		cmocka_unit_test(test_lost_in_the_middle_of_the_content),
		cmocka_unit_test(test_refused_in_the_middle_of_the_content),
		cmocka_unit_test(test_content_without_progress),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
