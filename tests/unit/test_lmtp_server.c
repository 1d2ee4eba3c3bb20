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
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "shim/lmtp_server.h"
#include "shim/lmtp_session.h"

#define CLIENT_MS	3000	/* a test that waits longer has failed */

static char directory[64], path[100];
static struct endpoint endpoint;
static struct conf conf;
static struct spool *spool;
static struct lmtp_server *server;

/* What the fake deliver has seen. */
static struct {
	pthread_mutex_t lock;
	unsigned calls;
	struct buf content, log;	/* of the last message; its envelope */
	char id[64];
	_Atomic bool abandoned;
} seen = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void
note_message(struct txn *txn, const struct group *group)
{
	char octets[700];
	uint64_t offset = 0;
	ssize_t got;
	size_t i;

	pthread_mutex_lock(&seen.lock);
	seen.calls++;
	buf_clear(&seen.content);
	while ((got = body_read(txn->body, offset, octets, sizeof(octets))) > 0) {
		buf_add(&seen.content, octets, (size_t)got);
		offset += (uint64_t)got;
	}
	buf_printf(&seen.log, "<%s>%s%s", txn->sender.mailbox, txn->smtputf8 ? " utf8" : "",
	    txn->body_8bitmime ? " 8bit" : "");
	for (i = 0; i < group->count; i++)
		buf_printf(&seen.log, " %s", group->rcpts[i]->address.mailbox);
	buf_add_char(&seen.log, '\n');
	snprintf(seen.id, sizeof(seen.id), "%s", txn->id);
	pthread_mutex_unlock(&seen.lock);
}

/* The local part is the story: "wait" lasts until the transaction is abandoned, "stuck" a while
 * longer than anyone waits for, "slow" 200 ms. */
static void
deliver(void *context, struct txn *txn, struct group *group)
{
	struct pollfd abandoned = { .fd = txn_abandoned_fd(txn), .events = POLLIN };
	struct reply reply;
	size_t i;

	(void)context;
	note_message(txn, group);
	for (i = 0; i < group->count; i++) {
		const char *wish = group->rcpts[i]->address.mailbox;

		reply_set(&reply, 250, "2.0.0", "%s taken", wish);
		if (strncmp(wish, "wait", 4) == 0) {
			poll(&abandoned, 1, 10000);
			seen.abandoned = txn_is_abandoned(txn);
			reply_set(&reply, 451, "4.4.2", "broken off");
		} else if (strncmp(wish, "stuck", 5) == 0) {
			usleep(3500 * 1000);
		} else if (strncmp(wish, "slow", 4) == 0) {
			usleep(200 * 1000);
		} else if (strncmp(wish, "bad", 3) == 0) {
			reply_set(&reply, 550, "5.1.1", "nobody");
		} else if (strncmp(wish, "busy", 4) == 0) {
			reply_set(&reply, 421, "4.3.2", "busy");
		}
		txn_settle(txn, group->rcpts[i], &reply);
	}
}

static void
listen_on(const char *text, bool check_allow_from, struct endpoint *bound)
{
	const char *why;
	int listener;

	assert_int_equal(endpoint_parse(text, bound, &why), 0);
	listener = endpoint_listen(bound, 0600, (gid_t)-1, 64);
	assert_true(listener >= 0);
	assert_int_equal(lmtp_server_listen(server, listener, check_allow_from), 0);
}

static void
start(uint64_t spool_memory, const char *spool_directory)
{
	spool = spool_new(spool_directory, spool_memory);
	server = lmtp_server_new(&conf, spool, deliver, NULL);
	listen_on(path, false, &endpoint);
}

static int
setup(void **state)
{
	static char hostname[] = "out.example";

	(void)state;
	strcpy(directory, "/tmp/stsgate-lmtp-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "unix:%s/sock", directory);
	conf = (struct conf){ .hostname = hostname };
	conf.lmtp.max_sessions = 8;
	conf.lmtp.max_recipients = 5;
	conf.lmtp.parallel_domains = 4;
	conf.lmtp.max_message_size = 10000;
	conf.lmtp.transaction_time = 20000;
	buf_clear(&seen.log);
	seen.calls = 0;
	seen.abandoned = false;
	start(1 << 20, directory);
	return 0;
}

static void
stop(void)
{
	(void)lmtp_server_drain(server, deadline_in(CLIENT_MS));
	lmtp_server_free(server);
	spool_free(spool);
	unlink(endpoint_path(&endpoint));
}

static int
teardown(void **state)
{
	(void)state;
	stop();
	buf_free(&seen.content);
	buf_free(&seen.log);
	return rmdir(directory);
}

static int
client(void)
{
	int fd = endpoint_connect(&endpoint, deadline_in(CLIENT_MS));

	assert_true(fd >= 0);
	return fd;
}

static void
send_octets(int fd, const char *octets, size_t length)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	ssize_t sent;

	while (length > 0) {
		assert_int_equal(poll(&ready, 1, CLIENT_MS), 1);
		sent = send(fd, octets, length, MSG_NOSIGNAL);
		assert_true(sent > 0);
		octets += sent;
		length -= (size_t)sent;
	}
}

static void
say(int fd, const char *text)
{
	send_octets(fd, text, strlen(text));
}

/* One line without CRLF; "" when the server has closed. */
static const char *
hear(int fd)
{
	static char line[600];
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	size_t length = 0;

	while (length < sizeof(line) - 1) {
		if (poll(&ready, 1, CLIENT_MS) != 1)
			fail_msg("nothing heard after \"%.*s\"", (int)length, line);
		if (recv(fd, line + length, 1, 0) <= 0)
			break;
		if (line[length++] == '\n')
			break;
	}
	line[length] = '\0';
	if (length >= 2) {
		assert_memory_equal(line + length - 2, "\r\n", 2);
		line[length - 2] = '\0';
	}
	return line;
}

static void
expect(int fd, const char *start_of_line)
{
	const char *line = hear(fd);

	if (strncmp(line, start_of_line, strlen(start_of_line)) != 0)
		fail_msg("expected \"%s\", heard \"%s\"", start_of_line, line);
}

static void
expect_end(int fd)
{
	assert_string_equal(hear(fd), "");
	close(fd);
}

static void
ask(int fd, const char *line, const char *answer)
{
	say(fd, line);
	say(fd, "\r\n");
	expect(fd, answer);
}

/* A session that has said LHLO. */
static int
greeted_client(void)
{
	int fd = client(), i;

	expect(fd, "220 out.example LMTP ");
	ask(fd, "LHLO mta.example", "250-out.example");
	for (i = 0; i < 5; i++)
		expect(fd, "250-");
	expect(fd, "250 ");
	return fd;
}

static void
open_envelope(int fd, const char *rcpt)
{
	char line[200];

	ask(fd, "MAIL FROM:<s@a.example>", "250 2.1.0 ");
	snprintf(line, sizeof(line), "RCPT TO:<%s>", rcpt);
	ask(fd, line, "250 2.1.5 ");
}

static void
test_capabilities(void **state)
{
	static const char *const lines[] = {
		"250-out.example", "250-PIPELINING", "250-ENHANCEDSTATUSCODES", "250-8BITMIME",
		"250-SMTPUTF8", "250-SIZE 10000", "250 CHUNKING",
	};
	int fd = client();
	size_t i;

	(void)state;
	expect(fd, "220 out.example LMTP ");
	say(fd, "lhlo mta.example\r\n");
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_string_equal(hear(fd), lines[i]);
	ask(fd, "QUIT", "221 2.0.0 ");
	expect_end(fd);
}

static void
test_order_of_commands(void **state)
{
	static const struct {
		const char *line, *answer;
	} steps[] = {
		{ "HELO x", "500 5.5.1 " }, { "EHLO x", "500 5.5.1 " },
		{ "MAIL FROM:<s@a.example>", "503 5.5.1 " }, { "NOOP", "250 2.0.0 " },
		{ "VRFY someone", "252 2.0.0 " }, { "NONSENSE", "500 5.5.1 " },
		{ "LHLO x", "250-" },
		{ "RCPT TO:<r@b.example>", "503 5.5.1 " }, { "DATA", "503 5.5.1 " },
		{ "MAIL FROM:<>", "250 2.1.0 " }, { "MAIL FROM:<>", "503 5.5.1 " },
		{ "DATA", "503 5.5.1 " },	/* RFC 2033 4.2 */
		{ "RCPT TO:<nobody>", "553 5.1.3 " }, { "RCPT TO:<>", "553 5.1.3 " },
		{ "DATA", "503 5.5.1 " },
		{ "RSET", "250 2.0.0 " }, { "RCPT TO:<r@b.example>", "503 5.5.1 " },
		{ "MAIL FROM:<s@>", "553 5.1.7 " }, { "MAIL FROM:<s@a.example>", "250 2.1.0 " },
		{ "RSET", "250 2.0.0 " }, { "MAIL FROM:<x> REQUIRETLS", "555 5.5.4 " },
		{ "MAIL FROM:<> SIZE=10001", "552 5.3.4 " },
		{ "MAIL FROM:<> SIZE=10000", "250 2.1.0 " },
		{ "RCPT TO:<r@b.example>", "250 2.1.5 " },
		{ "LHLO again", "250-" }, { "RCPT TO:<r@b.example>", "503 5.5.1 " },
		{ "QUIT", "221 2.0.0 " },
	};
	int fd = client(), i;
	size_t step;

	(void)state;
	expect(fd, "220 ");
	for (step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
		ask(fd, steps[step].line, steps[step].answer);
		for (i = 0; i < 6 && steps[step].answer[3] == '-'; i++)
			expect(fd, "250");
	}
	expect_end(fd);
	assert_int_equal(seen.calls, 0);
}

static void
test_message(void **state)
{
	int fd = greeted_client();
	char first[64];

	(void)state;
	ask(fd, "MAIL From:<s@a.example> SIZE=100 BODY=8BITMIME SMTPUTF8", "250 2.1.0 ");
	ask(fd, "RCPT To:<r@b.example> NOTIFY=NEVER", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	say(fd, "Subject: x\r\n\r\n..dot\r\nlf\n.lf\r\ncr\rcr\r\n.\r\n");
	assert_string_equal(hear(fd), "250 2.0.0 r@b.example taken");
	assert_string_equal(buf_text(&seen.content),
	    "Subject: x\r\n\r\n.dot\r\nlf\r\n.lf\r\ncrcr\r\n");
	assert_string_equal(buf_text(&seen.log), "<s@a.example> utf8 8bit r@b.example\n");
	strcpy(first, seen.id);
	/* The next one in the same session knows nothing of the first. */
	ask(fd, "MAIL FROM:<>", "250 2.1.0 ");
	ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	ask(fd, ".", "250 2.0.0 t@c.example taken");
	assert_string_equal(buf_text(&seen.content), "");
	assert_non_null(strstr(buf_text(&seen.log), "\n<> t@c.example\n"));
	assert_true(strlen(first) > 5 && strcmp(first, seen.id) != 0);
	ask(fd, "QUIT", "221 ");
	expect_end(fd);
}

static void
test_a_reply_for_each_recipient(void **state)
{
	int fd = greeted_client();
	int64_t began;

	(void)state;
	open_envelope(fd, "one@b.example");
	ask(fd, "RCPT TO:<bad@b.example>", "250 2.1.5 ");
	ask(fd, "RCPT TO:<slow@c.example>", "250 2.1.5 ");
	ask(fd, "RCPT TO:<one@b.example>", "250 2.1.5 ");
	ask(fd, "RCPT TO:<busy@d.example>", "250 2.1.5 ");
	ask(fd, "RCPT TO:<more@e.example>", "452 4.5.3 ");
	ask(fd, "DATA", "354 ");
	began = clock_monotonic_ms();
	say(fd, "x\r\n.\r\n");
	expect(fd, "250 2.0.0 one@b.example");
	expect(fd, "550 5.1.1 nobody");
	assert_true(clock_monotonic_ms() - began < 150);	/* not held back for the slow one */
	expect(fd, "250 2.0.0 slow@c.example");
	assert_true(clock_monotonic_ms() - began >= 190);
	expect(fd, "250 2.0.0 one@b.example");
	expect(fd, "451 4.3.2 busy");	/* never 421 */
	ask(fd, "NOOP", "250 ");
	close(fd);
}

static void
test_pipelining(void **state)
{
	int fd = client(), i;

	(void)state;
	say(fd, "LHLO x\r\nMAIL FROM:<s@a.example>\r\nRCPT TO:<r@b.example>\r\nRCPT TO:<x>\r\n"
	    "DATA\r\nSubject: x\r\n\r\none\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<t@b.example>\r\n"
	    "BDAT 5 LAST\r\ntwo\r\nQUIT\r\n");
	shutdown(fd, SHUT_WR);
	expect(fd, "220 ");
	for (i = 0; i < 7; i++)
		expect(fd, "250");
	expect(fd, "250 2.1.0 ");
	expect(fd, "250 2.1.5 ");
	expect(fd, "553 5.1.3 ");
	expect(fd, "354 ");
	expect(fd, "250 2.0.0 r@b.example taken");
	expect(fd, "250 2.1.0 ");
	expect(fd, "250 2.1.5 ");
	expect(fd, "250 2.0.0 t@b.example taken");
	assert_string_equal(buf_text(&seen.content), "two\r\n");
	expect(fd, "221 ");
	expect_end(fd);
}

static void
test_octet_by_octet(void **state)
{
	static const char dialogue[] = "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nDATA\r\n"
	    "..\r\n.a\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\n"
	    "BDAT 3\r\na\r\nBDAT 1 LAST\r\n.";
	static const char *const answers[] = {
		"220 ", "250-", "250-", "250-", "250-", "250-", "250-", "250 ", "250 2.1.0",
		"250 2.1.5", "354 ", "250 2.0.0 r@", "250 2.1.0", "250 2.1.5", "250 2.0.0 3",
		"250 2.0.0 r@",
	};
	int fd = client();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(dialogue) - 1; i++)
		send_octets(fd, dialogue + i, 1);
	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		expect(fd, answers[i]);
	assert_string_equal(buf_text(&seen.content), "a\r\n.\r\n");
	close(fd);
}

static void
test_no_smuggling(void **state)
{
	static const char *const ends[] = {
		"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\r\n. \r\n",
	};
	int fd = greeted_client();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		open_envelope(fd, "r@b.example");
		ask(fd, "DATA", "354 ");
		say(fd, "x");
		say(fd, ends[i]);
		say(fd, "MAIL FROM:<evil@x.example>\r\nRCPT TO:<bad@x.example>\r\nDATA\r\n"
		    "x\r\n.\r\n");
		expect(fd, "250 2.0.0 r@b.example taken");
		assert_int_equal(seen.calls, i + 1);
		assert_non_null(strstr(buf_text(&seen.content), "MAIL FROM:<evil"));
	}
	ask(fd, "NOOP", "250 2.0.0 ok");
	close(fd);
}

static void
test_chunks(void **state)
{
	int fd = greeted_client();

	(void)state;
	open_envelope(fd, "r@b.example");
	ask(fd, "RCPT TO:<bad@b.example>", "250 2.1.5 ");
	say(fd, "BDAT 4\r\n.\r\n.");
	expect(fd, "250 2.0.0 4 octets");
	ask(fd, "BDAT 0", "250 2.0.0 0 octets");
	ask(fd, "DATA", "503 5.5.1 ");	/* RFC 3030 2 */
	ask(fd, "RCPT TO:<more@b.example>", "503 5.5.1 ");
	ask(fd, "MAIL FROM:<>", "503 5.5.1 ");
	say(fd, "BDAT 2\r\n\r\nBDAT 0 LAST\r\n");
	expect(fd, "250 2.0.0 2 octets");
	expect(fd, "250 2.0.0 r@b.example taken");
	expect(fd, "550 5.1.1 ");
	assert_string_equal(buf_text(&seen.content), ".\r\n.\r\n");
	/* What RSET has thrown away does not come back. */
	open_envelope(fd, "r@b.example");
	say(fd, "BDAT 3\r\nabc");
	expect(fd, "250 2.0.0 3 ");
	ask(fd, "RSET", "250 2.0.0 ");
	ask(fd, "BDAT 0 LAST", "503 5.5.1 ");
	open_envelope(fd, "r@b.example");
	say(fd, "BDAT 3 LAST\r\nxyz");
	expect(fd, "250 2.0.0 r@");
	assert_string_equal(buf_text(&seen.content), "xyz\r\n");
	close(fd);
}

/* The octets of a chunk that nobody wants are never commands. */
static void
test_unwanted_chunks(void **state)
{
	int fd = greeted_client();

	(void)state;
	say(fd, "BDAT 6\r\nNOOP\r\nBDAT 6 LAST\r\nNOOP\r\n");
	expect(fd, "503 5.5.1 ");
	expect(fd, "503 5.5.1 ");
	ask(fd, "MAIL FROM:<>", "250 2.1.0 ");
	say(fd, "BDAT 6 LAST\r\nNOOP\r\n");
	expect(fd, "503 5.5.1 ");
	ask(fd, "RCPT TO:<r@b.example>", "250 2.1.5 ");
	say(fd, "BDAT six\r\nNOOP\r\n");
	expect(fd, "501 5.5.4 ");
	expect_end(fd);
	assert_int_equal(seen.calls, 0);
}

static void
say_big_content(int fd, size_t lines)
{
	size_t i;

	for (i = 0; i < lines; i++)
		say(fd, "0123456789012345678901234567890123456789\r\n");	/* 42 octets */
}

static void
test_too_large(void **state)
{
	int fd = greeted_client();

	(void)state;
	open_envelope(fd, "r@b.example");
	ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	say_big_content(fd, 300);
	say(fd, ".\r\n");
	expect(fd, "552 5.3.4 ");
	expect(fd, "552 5.3.4 ");
	/* By chunks: a lie at the first, then the truth for each recipient. */
	open_envelope(fd, "r@b.example");
	ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	say(fd, "BDAT 9996\r\n");
	say_big_content(fd, 238);
	expect(fd, "250 2.0.0 ");
	say(fd, "BDAT 6\r\nRSET\r\nBDAT 6\r\nRSET\r\nBDAT 6 LAST\r\nRSET\r\n");
	expect(fd, "552 5.3.4 ");
	expect(fd, "552 5.3.4 ");
	expect(fd, "552 5.3.4 ");
	expect(fd, "552 5.3.4 ");
	assert_int_equal(seen.calls, 0);
	open_envelope(fd, "r@b.example");
	ask(fd, "DATA", "354 ");
	say_big_content(fd, 238);
	ask(fd, ".", "250 2.0.0 r@b.example taken");
	assert_int_equal(seen.content.length, 238 * 42);
	close(fd);
}

static void
test_spool_full(void **state)
{
	int fd;

	(void)state;
	stop();
	start(4096, "/nonexistent/directory");
	fd = greeted_client();
	open_envelope(fd, "r@b.example");
	ask(fd, "RCPT TO:<t@c.example>", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	say_big_content(fd, 100);
	say(fd, ".\r\n");
	expect(fd, "452 4.3.1 ");
	expect(fd, "452 4.3.1 ");
	open_envelope(fd, "r@b.example");
	ask(fd, "DATA", "354 ");
	say(fd, "small\r\n.\r\n");
	expect(fd, "250 2.0.0 r@b.example taken");
	close(fd);
}

static void
test_loop(void **state)
{
	int fd = greeted_client(), i;

	(void)state;
	conf.lmtp.max_message_size = 10000;
	for (i = 0; i < 2; i++) {
		int fields;

		open_envelope(fd, "r@b.example");
		ask(fd, "RCPT TO:<t@b.example>", "250 2.1.5 ");
		ask(fd, "DATA", "354 ");
		for (fields = 0; fields < LIMIT_RECEIVED_HEADERS + i; fields++)
			say(fd, "received: from a by b\r\n");
		say(fd, "\r\n.\r\n");
		expect(fd, i == 0 ? "250 2.0.0 " : "554 5.4.6 ");
		expect(fd, i == 0 ? "250 2.0.0 " : "554 5.4.6 ");
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
		{ 4094, "250 2.0.0 " }, { 4095, "500 5.5.2 " }, { 4096, "500 5.5.2 " },
		{ 20000, "500 5.5.2 " },
	};
	char line[20003];
	int fd = greeted_client();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(line, 'x', cases[i].length);
		memcpy(line, "NOOP ", 5);
		memcpy(line + cases[i].length, "\r\n", 3);
		say(fd, line);
		expect(fd, cases[i].answer);
		ask(fd, "NOOP", "250 2.0.0 ");
	}
	close(fd);
}

static void
test_a_client_that_makes_no_sense(void **state)
{
	int fd = greeted_client(), i;

	(void)state;
	for (i = 1; i < LIMIT_LMTP_BAD_COMMANDS; i++)
		ask(fd, "GET / HTTP/1.0", "500 5.5.1 ");
	ask(fd, "GET / HTTP/1.0", "500 5.5.1 ");
	expect(fd, "421 4.7.0 ");
	expect_end(fd);
}

static void
test_too_many_sessions(void **state)
{
	int fds[8], late;
	size_t i;

	(void)state;
	for (i = 0; i < 8; i++)
		fds[i] = greeted_client();
	late = client();
	expect(late, "421 4.3.2 ");
	expect_end(late);
	for (i = 0; i < 8; i++) {
		ask(fds[i], "QUIT", "221 ");
		expect_end(fds[i]);
	}
}

static bool
await(const _Atomic bool *flag)
{
	int i;

	for (i = 0; i < 200 && !*flag; i++)
		usleep(10 * 1000);
	return *flag;
}

static void
test_hanging_up_abandons(void **state)
{
	int fd = greeted_client();

	(void)state;
	open_envelope(fd, "wait@b.example");
	ask(fd, "DATA", "354 ");
	say(fd, "x\r\n.\r\n");
	close(fd);
	assert_true(await(&seen.abandoned));
}

/* Done with sending is not gone: QUIT is still to be read, and the reply still awaited. */
static void
test_a_pipelined_quit_is_no_hang_up(void **state)
{
	int fd = greeted_client();

	(void)state;
	conf.lmtp.transaction_time = 600;
	open_envelope(fd, "wait@b.example");
	ask(fd, "DATA", "354 ");
	say(fd, "x\r\n.\r\nQUIT\r\n");
	shutdown(fd, SHUT_WR);
	usleep(400 * 1000);
	assert_false(seen.abandoned);
	expect(fd, "451 4.4.2 broken off");	/* when time was over */
	expect(fd, "221 ");
	expect_end(fd);
}

static void
test_lost_in_the_content(void **state)
{
	static const char *const ways[] = { "DATA\r\n", "BDAT 100 LAST\r\n" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		int fd = greeted_client();

		open_envelope(fd, "r@b.example");
		say(fd, ways[i]);
		say(fd, "half of it\r\n");
		close(fd);
	}
	stop();	/* waits for the sessions */
	assert_int_equal(seen.calls, 0);
	start(1 << 20, directory);
}

static void *
drain_in_background(void *deadline_ms)
{
	return lmtp_server_drain(server, deadline_in((intptr_t)deadline_ms)) ? server : NULL;
}

static void
test_drain_when_idle(void **state)
{
	int idle = greeted_client(), silent = client();
	int64_t began = clock_monotonic_ms();

	(void)state;
	expect(silent, "220 ");
	assert_true(lmtp_server_drain(server, deadline_in(5000)));
	assert_true(clock_monotonic_ms() - began < 1000);
	expect(idle, "421 4.3.2 ");
	expect_end(idle);
	expect(silent, "421 4.3.2 ");
	expect_end(silent);
	assert_true(endpoint_connect(&endpoint, deadline_in(100)) < 0);
}

static void
test_drain_answers_what_runs(void **state)
{
	int fd = greeted_client();
	pthread_t thread;
	void *drained;

	(void)state;
	open_envelope(fd, "slow@b.example");
	ask(fd, "RCPT TO:<bad@c.example>", "250 2.1.5 ");
	assert_int_equal(pthread_create(&thread, NULL, drain_in_background, (void *)5000), 0);
	usleep(50 * 1000);
	ask(fd, "DATA", "354 ");
	say(fd, "x\r\n.\r\nMAIL FROM:<>\r\n");
	expect(fd, "250 2.0.0 slow@b.example taken");
	expect(fd, "550 5.1.1 ");
	expect(fd, "421 4.3.2 ");	/* instead of a new transaction */
	expect_end(fd);
	pthread_join(thread, &drained);
	assert_non_null(drained);
}

static void
test_drain_runs_out_of_time(void **state)
{
	int fd = greeted_client();
	pthread_t thread;
	void *drained;

	(void)state;
	open_envelope(fd, "wait@b.example");
	ask(fd, "RCPT TO:<good@c.example>", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	say(fd, "x\r\n.\r\n");
	assert_int_equal(pthread_create(&thread, NULL, drain_in_background, (void *)200), 0);
	expect(fd, "451 4.3.2 ");
	expect(fd, "250 2.0.0 good@c.example taken");	/* what was delivered is never denied */
	expect(fd, "421 4.3.2 ");
	expect_end(fd);
	pthread_join(thread, &drained);
	assert_null(drained);
	assert_true(seen.abandoned);
}

/* A group that hears nothing does not keep the MTA waiting for the process to die. */
static void
test_drain_has_the_last_word(void **state)
{
	int fd = greeted_client();
	pthread_t thread;
	void *drained;
	int64_t began;

	(void)state;
	open_envelope(fd, "stuck@b.example");
	ask(fd, "RCPT TO:<good@c.example>", "250 2.1.5 ");
	ask(fd, "DATA", "354 ");
	say(fd, "x\r\n.\r\n");
	began = clock_monotonic_ms();
	assert_int_equal(pthread_create(&thread, NULL, drain_in_background, (void *)100), 0);
	expect(fd, "451 4.3.2 ");
	expect(fd, "250 2.0.0 good@c.example taken");
	pthread_join(thread, &drained);
	assert_null(drained);
	assert_true(clock_monotonic_ms() - began < 3000);
	close(fd);
}

static int
connect_from(const char *from, uint16_t port)
{
	struct sockaddr_in local = { .sin_family = AF_INET }, remote = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	local.sin_addr.s_addr = inet_addr(from);
	remote.sin_addr.s_addr = inet_addr("127.0.0.1");
	remote.sin_port = htons(port);
	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&remote, sizeof(remote)), 0);
	return fd;
}

/* Binds port 0, hands the listener to the server, and says which port it is. */
static uint16_t
listen_tcp(const char *address, bool check)
{
	struct sockaddr_in bound = { .sin_family = AF_INET };
	socklen_t length = sizeof(bound);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	bound.sin_addr.s_addr = inet_addr(address);
	assert_int_equal(bind(listener, (struct sockaddr *)&bound, sizeof(bound)), 0);
	assert_int_equal(listen(listener, 10), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&bound, &length), 0);
	assert_int_equal(lmtp_server_listen(server, listener, check), 0);
	return ntohs(bound.sin_port);
}

static void
test_allow_from(void **state)
{
	struct conf_block allowed = { .bits = 32 };
	uint16_t loopback = listen_tcp("127.0.0.1", true), wide = listen_tcp("0.0.0.0", true);
	int fd;

	(void)state;
	assert_int_equal(ip_parse("127.0.0.9", &allowed.ip), 0);
	conf.lmtp.allow_from = &allowed;
	conf.lmtp.allow_from_count = 1;
	fd = connect_from("127.0.0.8", loopback);
	expect(fd, "220 ");
	close(fd);
	fd = connect_from("127.0.0.9", wide);
	expect(fd, "220 ");
	close(fd);
	fd = connect_from("127.0.0.8", wide);
	expect(fd, "421 4.7.1 ");	/* a 5xx would bounce mail over a configuration */
	expect_end(fd);
}

static void *
serve_one(void *context)
{
	struct lmtp_service *service = ((void **)context)[0];

	lmtp_session_serve(service, (int)(intptr_t)((void **)context)[1]);
	return NULL;
}

static void
nobody(void *context, int fd)
{
	(void)context;
	close(fd);
}

static void
test_slow_clients(void **state)
{
	static const char *const starts[] = {
		"", "NO", "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nDATA\r\nhalf",
		"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nBDAT 100\r\nhalf",
	};
	struct lmtp_service service = { .conf = &conf, .spool = spool, .deliver = deliver,
		.wait_ms = 150, .message_ms = 400 };
	const char *line;
	size_t i;

	(void)state;
	service.pool = session_pool_new(1, 65536, nobody, nobody, NULL);
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		int64_t began = clock_monotonic_ms();
		void *context[2] = { &service, NULL };
		pthread_t thread;
		int fds[2];

		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
		context[1] = (void *)(intptr_t)fds[1];
		assert_int_equal(pthread_create(&thread, NULL, serve_one, context), 0);
		say(fds[0], starts[i]);
		do {
			line = hear(fds[0]);
			assert_true(line[0] != '\0');
		} while (strncmp(line, "421 4.4.2 ", 10) != 0);
		assert_true(clock_monotonic_ms() - began < 1000);
		expect_end(fds[0]);
		pthread_join(thread, NULL);
	}
	session_pool_free(service.pool);
}

/* One octet now and then is no reason to wait for ever. */
static void
test_dripping_clients(void **state)
{
	struct lmtp_service service = { .conf = &conf, .spool = spool, .deliver = deliver,
		.wait_ms = 200, .message_ms = 500 };
	void *context[2] = { &service, NULL };
	pthread_t thread;
	int fds[2], drops;
	int64_t began = clock_monotonic_ms();

	(void)state;
	service.pool = session_pool_new(1, 65536, nobody, nobody, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	context[1] = (void *)(intptr_t)fds[1];
	assert_int_equal(pthread_create(&thread, NULL, serve_one, context), 0);
	say(fds[0], "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nDATA\r\n");
	for (drops = 0; drops < 40 && send(fds[0], "x", 1, MSG_NOSIGNAL) == 1; drops++)
		usleep(50 * 1000);
	assert_true(drops < 20 && clock_monotonic_ms() - began >= 450);
	pthread_join(thread, NULL);
	close(fds[0]);
	session_pool_free(service.pool);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_capabilities),
		TEST(test_order_of_commands),
		TEST(test_message),
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
		TEST(test_hanging_up_abandons),
		TEST(test_a_pipelined_quit_is_no_hang_up),
		TEST(test_lost_in_the_content),
		TEST(test_drain_when_idle),
		TEST(test_drain_answers_what_runs),
		TEST(test_drain_runs_out_of_time),
		TEST(test_drain_has_the_last_word),
		TEST(test_allow_from),
		TEST(test_slow_clients),
		TEST(test_dripping_clients),
	};

	log_open("test", false, LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
