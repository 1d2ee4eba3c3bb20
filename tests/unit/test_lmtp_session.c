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
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "tests/unit/lmtp_bench.h"

static void
test_capabilities(void **state)
{
	static const char *const lines[] = {
		"250-out.example",
		"250-PIPELINING",
		"250-ENHANCEDSTATUSCODES",
		"250-8BITMIME",
		"250-SMTPUTF8",
		"250-SIZE 10000",
		"250-CHUNKING",
		"250 REQUIRETLS",
	};
	int fd = bench_connect();
	size_t i;

	(void)state;
	bench_expect(fd, "220 out.example LMTP ");
	bench_say(fd, "lhlo mta.example\r\n");
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_string_equal(bench_hear(fd), lines[i]);
	bench_ask(fd, "QUIT", "221 2.0.0 ");
	bench_expect_end(fd);
}

static void
test_order_of_commands(void **state)
{
	static const struct {
		const char *line, *answer;
	} steps[] = {
		{ "HELO x", "500 5.5.1 " },
		{ "EHLO x", "500 5.5.1 " },
		{ "MAIL FROM:<s@a.example>", "503 5.5.1 " },
		{ "NOOP", "250 2.0.0 " },
		{ "VRFY someone", "252 2.0.0 " },
		{ "NONSENSE", "500 5.5.1 " },
		{ "LHLO x", "250-" },
		{ "RCPT TO:<r@b.example>", "503 5.5.1 " },
		{ "DATA", "503 5.5.1 " },
		{ "MAIL FROM:<>", "250 2.1.0 " },
		{ "MAIL FROM:<>", "503 5.5.1 " },
		{ "DATA", "503 5.5.1 " },	/* RFC 2033 4.2 */
		{ "RCPT TO:<nobody>", "553 5.1.3 " },
		{ "RCPT TO:<>", "553 5.1.3 " },
		{ "DATA", "503 5.5.1 " },
		{ "RSET", "250 2.0.0 " },
		{ "RCPT TO:<r@b.example>", "503 5.5.1 " },
		{ "MAIL FROM:<s@>", "553 5.1.7 " },
		{ "MAIL FROM:<s@a.example>", "250 2.1.0 " },
		{ "RSET", "250 2.0.0 " },
		{ "MAIL FROM:<x> REQUIRETLS=1", "501 5.5.4 " },
		{ "MAIL FROM:<> SIZE=10001", "552 5.3.4 " },
		{ "MAIL FROM:<> SIZE=10000", "250 2.1.0 " },
		{ "RCPT TO:<r@b.example>", "250 2.1.5 " },
		{ "LHLO again", "250-" },
		{ "RCPT TO:<r@b.example>", "503 5.5.1 " },
		{ "QUIT", "221 2.0.0 " },
	};
	int fd = bench_connect(), i;
	size_t step;

	(void)state;
	bench_expect(fd, "220 ");
	for (step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		bench_ask(fd, steps[step].line, steps[step].answer);
		for (i = 0; i < 7 && steps[step].answer[3] == '-'; i++)
			bench_expect(fd, "250");
	}
	bench_expect_end(fd);
	assert_int_equal(bench_seen.calls, 0);
}

static void
test_message(void **state)
{
	int fd = bench_session();
	char first[64];

	(void)state;
	bench_ask(fd, "MAIL From:<s@a.example> SIZE=100 BODY=8BITMIME SMTPUTF8", "250 2.1.0 ");
	bench_ask(fd, "RCPT To:<r@b.example> NOTIFY=NEVER", "250 2.1.5 ");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "Subject: x\r\n\r\n..dot\r\nlf\n.lf\r\ncr\rcr\r\n.\r\n");
	assert_string_equal(bench_hear(fd), "250 2.0.0 r@b.example taken");
	assert_string_equal(buf_text(&bench_seen.content),
	    "Subject: x\r\n\r\n.dot\r\nlf\r\n.lf\r\ncrcr\r\n");
	assert_string_equal(buf_text(&bench_seen.log), "<s@a.example> utf8 8bit r@b.example\n");
	strcpy(first, bench_seen.id);
	/* The next one in the same session knows nothing of the first. */
	bench_ask(fd, "MAIL FROM:<>", "250 2.1.0 ");
	bench_ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	bench_ask(fd, "DATA", "354 ");
	bench_ask(fd, ".", "250 2.0.0 t@c.example taken");
	assert_string_equal(buf_text(&bench_seen.content), "");
	assert_non_null(strstr(buf_text(&bench_seen.log), "\n<> t@c.example\n"));
	assert_true(strlen(first) > 5 && strcmp(first, bench_seen.id) != 0);
	bench_ask(fd, "QUIT", "221 ");
	bench_expect_end(fd);
}

/* RFC 8689 4.1. The header is the message's own: what stands in one says nothing of the next. */
static void
test_wish(void **state)
{
	static const struct {
		const char *mail, *header, *seen;
		bool ignore;
	} cases[] = {
		{ "MAIL FROM:<>", "", "<> r@b.example\n", false },
		{ "MAIL FROM:<> REQUIRETLS", "", "<> wish=requiretls r@b.example\n", false },
		{ "MAIL FROM:<>", "TLS-Required: No\r\n", "<> wish=no r@b.example\n", false },
		{ "MAIL FROM:<>", "\r\nTLS-Required: No\r\n", "<> r@b.example\n", false },
		{ "MAIL FROM:<>", "TLS-Required: No\r\n", "<> r@b.example\n", true },
		{ "MAIL FROM:<> REQUIRETLS", "TLS-Required: No\r\n",
		    "<> wish=requiretls r@b.example\n", false },
		{ "MAIL FROM:<> REQUIRETLS", "", "<> wish=requiretls r@b.example\n", true },
		{ "MAIL FROM:<>", "Subject: x\r\n", "<> r@b.example\n", false },
	};
	const char *log;
	int fd = bench_session();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bench_conf.smtp.tls_required_no = !cases[i].ignore;
		bench_ask(fd, cases[i].mail, "250 2.1.0 ");
		bench_ask(fd, "RCPT TO:<r@b.example>", "250 2.1.5 ");
		bench_ask(fd, "DATA", "354 ");
		bench_say(fd, cases[i].header);
		bench_say(fd, "\r\nx\r\n.\r\n");
		bench_expect(fd, "250 2.0.0 ");
		log = buf_text(&bench_seen.log);
		assert_string_equal(log + strlen(log) - strlen(cases[i].seen), cases[i].seen);
	}
	close(fd);
}

static void
test_a_reply_for_each_recipient(void **state)
{
	int fd = bench_session();

	(void)state;
	bench_envelope(fd, "one@b.example");
	bench_ask(fd, "RCPT TO:<bad@b.example>", "250 2.1.5 ");
	bench_ask(fd, "RCPT TO:<gated@c.example>", "250 2.1.5 ");
	bench_ask(fd, "RCPT TO:<one@b.example>", "250 2.1.5 ");
	bench_ask(fd, "RCPT TO:<busy@d.example>", "250 2.1.5 ");
	bench_ask(fd, "RCPT TO:<more@e.example>", "452 4.5.3 ");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\n");
	bench_expect(fd, "250 2.0.0 one@b.example");
	bench_expect(fd, "550 5.1.1 nobody");
	bench_seen.gate_open = true;	/* they were not held back for the slow one */
	bench_expect(fd, "250 2.0.0 gated@c.example");
	bench_expect(fd, "250 2.0.0 one@b.example");
	bench_expect(fd, "451 4.3.2 busy");	/* never 421 */
	bench_ask(fd, "NOOP", "250 ");
	close(fd);
}

static void
test_pipelining(void **state)
{
	int fd = bench_connect(), i;

	(void)state;
	bench_say(fd,
	    "LHLO x\r\nMAIL FROM:<s@a.example>\r\nRCPT TO:<r@b.example>\r\n"
	    "RCPT TO:<x>\r\n"
	    "DATA\r\nSubject: x\r\n\r\none\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<t@b.example>\r\n"
	    "BDAT 5 LAST\r\ntwo\r\nQUIT\r\n");
	shutdown(fd, SHUT_WR);
	bench_expect(fd, "220 ");
	for (i = 0; i < 8; i++)
		bench_expect(fd, "250");
	bench_expect(fd, "250 2.1.0 ");
	bench_expect(fd, "250 2.1.5 ");
	bench_expect(fd, "553 5.1.3 ");
	bench_expect(fd, "354 ");
	bench_expect(fd, "250 2.0.0 r@b.example taken");
	bench_expect(fd, "250 2.1.0 ");
	bench_expect(fd, "250 2.1.5 ");
	bench_expect(fd, "250 2.0.0 t@b.example taken");
	assert_string_equal(buf_text(&bench_seen.content), "two\r\n");
	bench_expect(fd, "221 ");
	bench_expect_end(fd);
}

static void
test_octet_by_octet(void **state)
{
	static const char dialogue[] = "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nDATA\r\n"
				       "..\r\n.a\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\n"
				       "BDAT 3\r\na\r\nBDAT 1 LAST\r\n.";
	static const char *const answers[] = {
		"220 ",
		"250-",
		"250-",
		"250-",
		"250-",
		"250-",
		"250-",
		"250-",
		"250 ",
		"250 2.1.0",
		"250 2.1.5",
		"354 ",
		"250 2.0.0 r@",
		"250 2.1.0",
		"250 2.1.5",
		"250 2.0.0 3",
		"250 2.0.0 r@",
	};
	int fd = bench_connect();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(dialogue) - 1; i++)
		bench_send(fd, dialogue + i, 1);
	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		bench_expect(fd, answers[i]);
	assert_string_equal(buf_text(&bench_seen.content), "a\r\n.\r\n");
	close(fd);
}

static void
test_no_smuggling(void **state)
{
	static const char *const ends[] = {
		"\n.\n",
		"\n.\r\n",
		"\r\n.\n",
		"\r.\r",
		"\r.\r\n",
		"\r\n.\r",
		"\r\n. \r\n",
	};
	int fd = bench_session();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		bench_envelope(fd, "r@b.example");
		bench_ask(fd, "DATA", "354 ");
		bench_say(fd, "x");
		bench_say(fd, ends[i]);
		bench_say(fd,
		    "MAIL FROM:<evil@x.example>\r\nRCPT TO:<bad@x.example>\r\nDATA\r\n"
		    "x\r\n.\r\n");
		bench_expect(fd, "250 2.0.0 r@b.example taken");
		assert_int_equal(bench_seen.calls, i + 1);
		assert_non_null(strstr(buf_text(&bench_seen.content), "MAIL FROM:<evil"));
	}
	bench_ask(fd, "NOOP", "250 2.0.0 ok");
	close(fd);
}

static void
test_chunks(void **state)
{
	int fd = bench_session();

	(void)state;
	bench_envelope(fd, "r@b.example");
	bench_ask(fd, "RCPT TO:<bad@b.example>", "250 2.1.5 ");
	bench_say(fd, "BDAT 4\r\n.\r\n.");
	bench_expect(fd, "250 2.0.0 4 octets");
	bench_ask(fd, "BDAT 0", "250 2.0.0 0 octets");
	bench_ask(fd, "DATA", "503 5.5.1 ");	/* RFC 3030 2 */
	bench_ask(fd, "RCPT TO:<more@b.example>", "503 5.5.1 ");
	bench_ask(fd, "MAIL FROM:<>", "503 5.5.1 ");
	bench_say(fd, "BDAT 2\r\n\r\nBDAT 0 LAST\r\n");
	bench_expect(fd, "250 2.0.0 2 octets");
	bench_expect(fd, "250 2.0.0 r@b.example taken");
	bench_expect(fd, "550 5.1.1 ");
	assert_string_equal(buf_text(&bench_seen.content), ".\r\n.\r\n");
	/* What RSET has thrown away does not come back. */
	bench_envelope(fd, "r@b.example");
	bench_say(fd, "BDAT 3\r\nabc");
	bench_expect(fd, "250 2.0.0 3 ");
	bench_ask(fd, "RSET", "250 2.0.0 ");
	bench_ask(fd, "BDAT 0 LAST", "503 5.5.1 ");
	bench_envelope(fd, "r@b.example");
	bench_say(fd, "BDAT 3 LAST\r\nxyz");
	bench_expect(fd, "250 2.0.0 r@");
	assert_string_equal(buf_text(&bench_seen.content), "xyz\r\n");
	close(fd);
}

/* The octets of a chunk that nobody wants are never commands. */
static void
test_unwanted_chunks(void **state)
{
	int fd = bench_session();

	(void)state;
	bench_say(fd, "BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nNOOP\r\n");
	bench_expect(fd, "503 5.5.1 ");
	bench_expect(fd, "503 5.5.1 ");
	bench_ask(fd, "MAIL FROM:<>", "250 2.1.0 ");
	bench_say(fd, "BDAT 6 LAST\r\nNOOP\r\n");
	bench_expect(fd, "503 5.5.1 ");
	bench_ask(fd, "RCPT TO:<r@b.example>", "250 2.1.5 ");
	bench_say(fd, "BDAT six\r\nNOOP\r\n");
	bench_expect(fd, "501 5.5.4 ");
	bench_expect_end(fd);
	assert_int_equal(bench_seen.calls, 0);
}

static void
say_big_content(int fd, size_t lines)
{
	size_t i;

	for (i = 0; i < lines; i++)
		bench_say(fd, "0123456789012345678901234567890123456789\r\n");	/* 42 octets */
}

static void
test_too_large(void **state)
{
	int fd = bench_session();

	(void)state;
	bench_envelope(fd, "r@b.example");
	bench_ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	bench_ask(fd, "DATA", "354 ");
	say_big_content(fd, 300);
	bench_say(fd, ".\r\n");
	bench_expect(fd, "552 5.3.4 ");
	bench_expect(fd, "552 5.3.4 ");
	/* By chunks: a lie at the first, then the truth for each recipient. */
	bench_envelope(fd, "r@b.example");
	bench_ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	bench_say(fd, "BDAT 9996\r\n");
	say_big_content(fd, 238);
	bench_expect(fd, "250 2.0.0 ");
	bench_say(fd, "BDAT 6\r\nRSET\r\nBDAT 6\r\nRSET\r\nBDAT 6 LAST\r\nRSET\r\n");
	bench_expect(fd, "552 5.3.4 ");
	bench_expect(fd, "552 5.3.4 ");
	bench_expect(fd, "552 5.3.4 ");
	bench_expect(fd, "552 5.3.4 ");
	assert_int_equal(bench_seen.calls, 0);
	bench_envelope(fd, "r@b.example");
	bench_ask(fd, "DATA", "354 ");
	say_big_content(fd, 238);
	bench_ask(fd, ".", "250 2.0.0 r@b.example taken");
	assert_int_equal(bench_seen.content.length, 238 * 42);
	close(fd);
}

static void
test_spool_full(void **state)
{
	int fd;

	(void)state;
	bench_stop();
	bench_start(4096, "/nonexistent/directory");
	fd = bench_session();
	bench_envelope(fd, "r@b.example");
	bench_ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	bench_ask(fd, "DATA", "354 ");
	say_big_content(fd, 100);
	bench_say(fd, ".\r\n");
	bench_expect(fd, "452 4.3.1 ");
	bench_expect(fd, "452 4.3.1 ");
	bench_envelope(fd, "r@b.example");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "small\r\n.\r\n");
	bench_expect(fd, "250 2.0.0 r@b.example taken");
	close(fd);
}

static void
test_loop(void **state)
{
	int fd = bench_session(), i;

	(void)state;
	bench_conf.lmtp.max_message_size = 10000;
	for (i = 0; i < 2; i++) {
		int fields;

		bench_envelope(fd, "r@b.example");
		bench_ask(fd, "RCPT TO:<t@b.example>", "250 2.1.5 ");
		bench_ask(fd, "DATA", "354 ");
		for (fields = 0; fields < LIMIT_RECEIVED_HEADERS + i; fields++)
			bench_say(fd, "received: from a by b\r\n");
		bench_say(fd, "\r\n.\r\n");
		bench_expect(fd, i == 0 ? "250 2.0.0 " : "554 5.4.6 ");
		bench_expect(fd, i == 0 ? "250 2.0.0 " : "554 5.4.6 ");
	}
	close(fd);
}

static void
test_long_lines(void **state)
{
	static const struct {
		size_t length;	/* without CRLF */
		const char *answer;
	} cases[] = {
		{ 4094, "250 2.0.0 " },
		{ 4095, "500 5.5.2 " },
		{ 4096, "500 5.5.2 " },
		{ 20000, "500 5.5.2 " },
	};
	char line[20003];
	int fd = bench_session();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(line, 'x', cases[i].length);
		memcpy(line, "NOOP ", 5);
		memcpy(line + cases[i].length, "\r\n", 3);
		bench_say(fd, line);
		bench_expect(fd, cases[i].answer);
		bench_ask(fd, "NOOP", "250 2.0.0 ");
	}
	close(fd);
}

static void
test_a_client_that_makes_no_sense(void **state)
{
	int fd = bench_session(), i;

	(void)state;
	for (i = 1; i < LIMIT_LMTP_BAD_COMMANDS; i++)
		bench_ask(fd, "GET / HTTP/1.0", "500 5.5.1 ");
	bench_ask(fd, "GET / HTTP/1.0", "500 5.5.1 ");
	bench_expect(fd, "421 4.7.0 ");
	bench_expect_end(fd);
}

static void
test_too_many_sessions(void **state)
{
	int fds[8], late;
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		fds[i] = bench_session();
	late = bench_connect();
	bench_expect(late, "421 4.3.2 ");
	bench_expect_end(late);
	for (i = 0; i < 8; i++) {
		bench_ask(fds[i], "QUIT", "221 ");
		bench_expect_end(fds[i]);
	}
}

static void
test_long_replies_are_cut(void **state)
{
	char text[240], rcpt[sizeof(text) + 16];
	int fd = bench_session();

	(void)state;
	bench_conf.lmtp.reply_length = 200;
	memset(text, 'x', sizeof(text));
	text[60] = '@';
	text[120] = text[180] = '.';
	text[sizeof(text) - 1] = '\0';
	snprintf(rcpt, sizeof(rcpt), "RCPT TO:<%s>", text);
	bench_ask(fd, "MAIL FROM:<s@a.example>", "250 ");
	bench_ask(fd, rcpt, "250 ");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\n");
	assert_int_equal(strlen(bench_hear(fd)), 200);
	bench_ask(fd, "QUIT", "221 ");
	bench_expect_end(fd);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_long_replies_are_cut),
		TEST(test_capabilities),
		TEST(test_order_of_commands),
		TEST(test_message),
		TEST(test_wish),
		TEST(test_a_reply_for_each_recipient),
		TEST(test_pipelining),
		TEST(test_octet_by_octet),
		TEST(test_no_smuggling),
		TEST(test_chunks),
		TEST(test_unwanted_chunks),
		TEST(test_too_large),
		TEST(test_spool_full),
		TEST(test_loop),
		TEST(test_long_lines),
		TEST(test_a_client_that_makes_no_sense),
		TEST(test_too_many_sessions),
	};

	log_open("test", false, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
