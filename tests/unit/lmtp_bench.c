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
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/lmtp_bench.h"
#include "tests/unit/txn_wait.h"

char bench_directory[64];
struct endpoint bench_endpoint;
struct conf bench_conf;
struct body_spool *bench_spool;
struct lmtp_server *bench_server;
struct bench_seen bench_seen = { .lock = PTHREAD_MUTEX_INITIALIZER };
static char path[100];

static void
note_message(struct txn *txn, const struct group *group)
{
	char octets[700];
	uint64_t offset = 0;
	ssize_t got;
	size_t i;

	pthread_mutex_lock(&bench_seen.lock);
	bench_seen.calls++;
	buf_clear(&bench_seen.content);
	while ((got = body_read(txn->body, offset, octets, sizeof(octets))) > 0) {
		buf_add(&bench_seen.content, octets, (size_t)got);
		offset += (uint64_t)got;
	}
	buf_printf(&bench_seen.log, "<%s>%s%s", txn->sender.mailbox, txn->smtputf8 ? " utf8" : "",
	    txn->body_8bitmime ? " 8bit" : "");
	if (txn->wish != WISH_NONE)
		buf_printf(&bench_seen.log, " wish=%s", sender_wish_name(txn->wish));
	for (i = 0; i < group->count; i++)
		buf_printf(&bench_seen.log, " %s", group->rcpts[i]->address.mailbox);
	buf_add_char(&bench_seen.log, '\n');
	snprintf(bench_seen.id, sizeof(bench_seen.id), "%s", txn->id);
	pthread_mutex_unlock(&bench_seen.lock);
}

void
bench_deliver(void *context, struct txn *txn, struct group *group)
{
	struct reply reply;
	size_t i;

	(void)context;
	note_message(txn, group);
	for (i = 0; i < group->count; i++) {
		const char *wish = group->rcpts[i]->address.mailbox;

		reply_set(&reply, 250, "2.0.0", "%s taken", wish);
		if (strncmp(wish, "wait", 4) == 0) {
			bench_seen.abandoned = txn_wait_abandoned(txn, CLIENT_MS);
			reply_set(&reply, 451, "4.4.2", "broken off");
		} else if (strncmp(wish, "slow", 4) == 0) {
			usleep(200 * 1000);
		} else if (strncmp(wish, "gated", 5) == 0) {
			assert_true(txn_wait_open(txn, &bench_seen.gate_open, CLIENT_MS));
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
	assert_int_equal(lmtp_server_listen(bench_server, listener, check_allow_from), 0);
}

void
bench_start(uint64_t spool_memory, const char *spool_directory)
{
	bench_spool = body_spool_new(spool_directory, spool_memory);
	bench_server = lmtp_server_new(&bench_conf, bench_spool, bench_deliver, NULL);
	listen_on(path, false, &bench_endpoint);
}

int
bench_setup(void **state)
{
	static char hostname[] = "out.example";

	(void)state;
	strcpy(bench_directory, "/tmp/stsgate-lmtp-XXXXXX");
	if (mkdtemp(bench_directory) == NULL)
		return -1;
	snprintf(path, sizeof(path), "unix:%s/sock", bench_directory);
	bench_conf = (struct conf){ .hostname = hostname };
	bench_conf.lmtp.max_sessions = 8;
	bench_conf.lmtp.max_recipients = 5;
	bench_conf.lmtp.reply_length = REPLY_LINE_MAX;
	bench_conf.lmtp.parallel_domains = 4;
	bench_conf.lmtp.max_message_size = 10000;
	bench_conf.lmtp.transaction_time = 20000;
	buf_clear(&bench_seen.log);
	bench_seen.calls = 0;
	bench_seen.abandoned = bench_seen.gate_open = false;
	bench_start(1 << 20, bench_directory);
	return 0;
}

void
bench_stop(void)
{
	(void)lmtp_server_drain(bench_server, deadline_in(CLIENT_MS));
	lmtp_server_free(bench_server);
	body_spool_free(bench_spool);
	unlink(endpoint_path(&bench_endpoint));
}

int
bench_teardown(void **state)
{
	(void)state;
	bench_stop();
	buf_free(&bench_seen.content);
	buf_free(&bench_seen.log);
	return rmdir(bench_directory);
}

int
bench_connect(void)
{
	int fd = endpoint_connect(&bench_endpoint, deadline_in(CLIENT_MS));

	assert_true(fd >= 0);
	return fd;
}

void
bench_send(int fd, const char *octets, size_t length)
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

void
bench_say(int fd, const char *text)
{
	bench_send(fd, text, strlen(text));
}

/* One line without CRLF; "" when the bench_server has closed. */
const char *
bench_hear(int fd)
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

void
bench_expect(int fd, const char *start_of_line)
{
	const char *line = bench_hear(fd);

	if (strncmp(line, start_of_line, strlen(start_of_line)) != 0)
		fail_msg("expected \"%s\", heard \"%s\"", start_of_line, line);
}

void
bench_expect_end(int fd)
{
	assert_string_equal(bench_hear(fd), "");
	close(fd);
}

void
bench_ask(int fd, const char *line, const char *answer)
{
	bench_say(fd, line);
	bench_say(fd, "\r\n");
	bench_expect(fd, answer);
}

int
bench_session(void)
{
	int fd = bench_connect(), i;

	bench_expect(fd, "220 out.example LMTP ");
	bench_ask(fd, "LHLO mta.example", "250-out.example");
	for (i = 0; i < 6; i++)
		bench_expect(fd, "250-");
	bench_expect(fd, "250 ");
	return fd;
}

void
bench_envelope(int fd, const char *rcpt)
{
	char line[200];

	bench_ask(fd, "MAIL FROM:<s@a.example>", "250 2.1.0 ");
	snprintf(line, sizeof(line), "RCPT TO:<%s>", rcpt);
	bench_ask(fd, line, "250 2.1.5 ");
}
