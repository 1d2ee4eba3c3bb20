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
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "tests/unit/program.h"

static void
test_relay_all_at_once(void **state)
{
	struct program_run result;

	(void)state;
	program_run(&result, WORDS("--lmtp", TO_SERVER),
	    "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ok@b.example>\r\n"
	    "RCPT TO:<550-5.1.1@c.example>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n.\r\nQUIT\r\n");
	assert_int_equal(result.status, EX_OK);
	assert_non_null(strstr(result.out,
	    "250 2.0.0 for ok@b.example\r\n550 5.1.1 for 550-5.1.1@c"));
	assert_non_null(strstr(result.out, "\r\n221 2.0.0 "));
	assert_string_equal(buf_text(&program_seen.content), "Subject: x\r\n\r\n.\r\n");
}

struct relay {
	pid_t child;
	int to, from;
};

static void
relay_start(struct relay *relay)
{
	int in[2], out[2], null = open("/dev/null", O_RDWR);

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	relay->child = program_spawn(WORDS("--lmtp", TO_SERVER), in[0], out[1], null);
	close(in[0]);
	close(out[1]);
	close(null);
	relay->to = in[1];
	relay->from = out[0];
}

static void
relay_say(const struct relay *relay, const char *text)
{
	assert_int_equal(write(relay->to, text, strlen(text)), strlen(text));
}

/* Reads until wanted has come. */
static void
relay_expect(const struct relay *relay, const char *wanted)
{
	struct pollfd ready = { .fd = relay->from, .events = POLLIN };
	struct buf text = { 0 };
	char c;

	while (strstr(buf_text(&text), wanted) == NULL) {
		if (poll(&ready, 1, PATIENCE_MS) != 1 || read(relay->from, &c, 1) != 1)
			fail_msg("\"%s\" did not come, only %s", wanted, buf_text(&text));
		buf_add_char(&text, c);
	}
	buf_free(&text);
}

static void
relay_message(struct relay *relay, const char *rcpts)
{
	relay_start(relay);
	relay_expect(relay, "220 ");
	relay_say(relay, "LHLO x\r\nMAIL FROM:<>\r\n");
	relay_say(relay, rcpts);
	relay_say(relay, "DATA\r\n");
	relay_expect(relay, "354 ");
}

static void
test_relay_holds_nothing_back(void **state)
{
	struct relay relay;

	(void)state;
	relay_message(&relay, "RCPT TO:<ok@b.example>\r\nRCPT TO:<gated@c.example>\r\n");
	relay_say(&relay, "x\r\n.\r\n");
	relay_expect(&relay, "for ok@b.example\r\n");
	program_seen.gate_open = true;
	relay_expect(&relay, "for gated@c.example\r\n");
	relay_say(&relay, "QUIT\r\n");
	relay_expect(&relay, "221 ");
	assert_int_equal(program_await(relay.child), EX_OK);
	close(relay.to);
	close(relay.from);
}

/* A domain of 251 octets. */
#define LABEL	"abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij12"
#define LONG_DOMAIN	LABEL "." LABEL "." LABEL "." LABEL

static void
test_relay_cuts_long_replies(void **state)
{
	struct program_run result;
	const char *line, *end;

	(void)state;
	program_run(&result, WORDS("--lmtp", TO_SERVER),
	    "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<ok@" LONG_DOMAIN ">\r\n"
	    "RCPT TO:<ok@c.example>\r\nDATA\r\n\r\n.\r\nQUIT\r\n");
	assert_int_equal(result.status, EX_OK);
	line = strstr(result.out, "250 2.0.0 for ok@" LABEL);
	assert_non_null(line);
	end = strstr(line, "\r\n");
	assert_int_equal(end - line, 250);
	assert_memory_equal(end, "\r\n250 2.0.0 for ok@c.example\r\n221 ", 34);
}

static void
test_relay_of_a_big_message(void **state)
{
	struct relay relay;
	size_t i;

	(void)state;
	relay_message(&relay, "RCPT TO:<ok@b.example>\r\n");
	for (i = 0; i < 40000; i++)
		relay_say(&relay, "a line of fifty octets, with the two of its end..\r\n");
	relay_say(&relay, ".\r\n");
	relay_expect(&relay, "for ok@b.example\r\n");
	program_look();
	assert_int_equal(program_seen.content.length, 40000 * 51);
	relay_say(&relay, "QUIT\r\n");
	assert_int_equal(program_await(relay.child), EX_OK);
	close(relay.to);
	close(relay.from);
}

/* However the MTA goes, stsgated hears of it and breaks off. */
static void
test_relay_when_the_mta_dies(void **state)
{
	struct relay relay;
	int way;

	(void)state;
	for (way = 0; way < 2; way++) {
		program_seen.abandoned = false;
		program_seen.groups = 0;
		relay_message(&relay, "RCPT TO:<wait@b.example>\r\n");
		relay_say(&relay, "x\r\n.\r\n");
		assert_true(program_sees(&program_seen.groups));
		close(way == 0 ? relay.to : relay.from);
		assert_true(program_sees_flag(&program_seen.abandoned));
		close(way == 0 ? relay.from : relay.to);
		assert_int_equal(program_await(relay.child), EX_TEMPFAIL);
	}
}

static void
test_relay_when_stsgated_ends(void **state)
{
	struct relay relay;

	(void)state;
	relay_start(&relay);
	relay_expect(&relay, "220 ");
	assert_true(lmtp_server_drain(program_server, deadline_in(PATIENCE_MS)));
	relay_expect(&relay, "421 4.3.2 ");
	assert_int_equal(program_await(relay.child), EX_TEMPFAIL);
	close(relay.to);
	close(relay.from);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, program_setup, program_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_relay_all_at_once),
		TEST(test_relay_holds_nothing_back),
		TEST(test_relay_cuts_long_replies),
		TEST(test_relay_of_a_big_message),
		TEST(test_relay_when_the_mta_dies),
		TEST(test_relay_when_stsgated_ends),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open("test", false, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
