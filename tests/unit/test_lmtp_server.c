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
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "shim/lmtp/lmtp_session.h"
#include "tests/unit/lmtp_bench.h"

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
	int fd = bench_session();

	(void)state;
	bench_envelope(fd, "wait@b.example");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\n");
	close(fd);
	assert_true(await(&bench_seen.abandoned));
}

/* Done with sending is not gone: QUIT is still to be read, and the reply still awaited. */
static void
test_a_pipelined_quit_is_no_hang_up(void **state)
{
	int fd = bench_session();

	(void)state;
	bench_conf.lmtp.transaction_time = 4000;
	bench_envelope(fd, "wait@b.example");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\nQUIT\r\n");
	shutdown(fd, SHUT_WR);
	usleep(400 * 1000);
	assert_false(bench_seen.abandoned);
	bench_expect(fd, "451 4.4.2 broken off");	/* when time was over */
	bench_expect(fd, "221 ");
	bench_expect_end(fd);
}

static void
test_lost_in_the_content(void **state)
{
	static const char *const ways[] = { "DATA\r\n", "BDAT 100 LAST\r\n" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		int fd = bench_session();

		bench_envelope(fd, "r@b.example");
		bench_say(fd, ways[i]);
		bench_say(fd, "half of it\r\n");
		close(fd);
	}
	bench_stop();	/* waits for the sessions */
	assert_int_equal(bench_seen.calls, 0);
	bench_start(1 << 20, bench_directory);
}

static void *
drain_in_background(void *deadline_ms)
{
	struct deadline deadline = deadline_in((intptr_t)deadline_ms);

	if (lmtp_server_drain(bench_server, deadline))
		return bench_server;
	lmtp_server_cancel(bench_server);
	return NULL;
}

static void
test_drain_when_idle(void **state)
{
	int idle = bench_session(), silent = bench_connect();
	int64_t began = clock_monotonic_ms();

	(void)state;
	bench_expect(silent, "220 ");
	assert_true(lmtp_server_drain(bench_server, deadline_in(60000)));
	assert_true(clock_monotonic_ms() - began < 20000);
	bench_expect(idle, "421 4.3.2 ");
	bench_expect_end(idle);
	bench_expect(silent, "421 4.3.2 ");
	bench_expect_end(silent);
	assert_true(endpoint_connect(&bench_endpoint, deadline_in(100)) < 0);
}

static void
test_drain_answers_what_runs(void **state)
{
	int fd = bench_session();
	pthread_t thread;
	void *drained;

	(void)state;
	bench_envelope(fd, "slow@b.example");
	bench_ask(fd, "RCPT TO:<bad@c.example>", "250 2.1.5 ");
	assert_int_equal(pthread_create(&thread, NULL, drain_in_background, (void *)5000), 0);
	usleep(50 * 1000);
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\nMAIL FROM:<>\r\n");
	bench_expect(fd, "250 2.0.0 slow@b.example taken");
	bench_expect(fd, "550 5.1.1 ");
	bench_expect(fd, "421 4.3.2 ");	/* instead of a new transaction */
	bench_expect_end(fd);
	pthread_join(thread, &drained);
	assert_non_null(drained);
}

static void
test_drain_runs_out_of_time(void **state)
{
	int fd = bench_session();
	pthread_t thread;
	void *drained;

	(void)state;
	bench_envelope(fd, "wait@b.example");
	bench_ask(fd, "RCPT TO:<good@c.example>", "250 2.1.5 ");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\n");
	assert_int_equal(pthread_create(&thread, NULL, drain_in_background, (void *)200), 0);
	bench_expect(fd, "451 4.3.2 ");
	bench_expect(fd, "250 2.0.0 good@c.example taken");	/* never denied */
	bench_expect(fd, "421 4.3.2 ");
	bench_expect_end(fd);
	pthread_join(thread, &drained);
	assert_null(drained);
	assert_true(bench_seen.abandoned);
}

/* A group that hears nothing does not keep the MTA waiting for the process to die. */
static void
test_drain_has_the_last_word(void **state)
{
	int fd = bench_session();
	pthread_t thread;
	void *drained;
	int64_t began;

	(void)state;
	bench_envelope(fd, "gated@b.example");
	bench_ask(fd, "RCPT TO:<good@c.example>", "250 2.1.5 ");
	bench_ask(fd, "DATA", "354 ");
	bench_say(fd, "x\r\n.\r\n");
	began = clock_monotonic_ms();
	assert_int_equal(pthread_create(&thread, NULL, drain_in_background, (void *)100), 0);
	bench_expect(fd, "451 4.3.2 ");
	bench_expect(fd, "250 2.0.0 good@c.example taken");
	pthread_join(thread, &drained);
	assert_null(drained);
	assert_true(clock_monotonic_ms() - began < CLIENT_MS);
	bench_seen.gate_open = true;
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

/* Binds port 0, hands the listener to the bench_server, and says which port it is. */
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
	assert_int_equal(lmtp_server_listen(bench_server, listener, check), 0);
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
	bench_conf.lmtp.allow_from = &allowed;
	bench_conf.lmtp.allow_from_count = 1;
	fd = connect_from("127.0.0.8", loopback);
	bench_expect(fd, "220 ");
	close(fd);
	fd = connect_from("127.0.0.9", wide);
	bench_expect(fd, "220 ");
	close(fd);
	fd = connect_from("127.0.0.8", wide);
	bench_expect(fd, "421 4.7.1 ");	/* a 5xx would bounce mail over a configuration */
	bench_expect_end(fd);
}

static void *
serve_one(void *context)
{
	struct lmtp_service *service = ((void **)context)[0];

	lmtp_session_serve(service, service->conf, (int)(intptr_t)((void **)context)[1]);
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
		"",
		"NO",
		"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nDATA\r\nhalf",
		"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nBDAT 100\r\nhalf",
	};
	struct lmtp_service service = { .conf = &bench_conf,
		.spool = bench_spool,
		.deliver = bench_deliver,
		.wait_ms = 150,
		.message_ms = 400 };
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
		bench_say(fds[0], starts[i]);
		do {
			line = bench_hear(fds[0]);
			assert_true(line[0] != '\0');
		} while (strncmp(line, "421 4.4.2 ", 10) != 0);
		assert_true(clock_monotonic_ms() - began < 20000);
		bench_expect_end(fds[0]);
		pthread_join(thread, NULL);
	}
	session_pool_free(service.pool);
}

/* One octet now and then is no reason to wait for ever. */
static void
test_dripping_clients(void **state)
{
	struct lmtp_service service = { .conf = &bench_conf,
		.spool = bench_spool,
		.deliver = bench_deliver,
		.wait_ms = 20000,
		.message_ms = 500 };
	void *context[2] = { &service, NULL };
	pthread_t thread;
	int fds[2], drops;
	int64_t began = clock_monotonic_ms();

	(void)state;
	service.pool = session_pool_new(1, 65536, nobody, nobody, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	context[1] = (void *)(intptr_t)fds[1];
	assert_int_equal(pthread_create(&thread, NULL, serve_one, context), 0);
	bench_say(fds[0], "LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<r@b.example>\r\nDATA\r\n");
	for (drops = 0; drops < 300 && send(fds[0], "x", 1, MSG_NOSIGNAL) == 1; drops++)
		usleep(50 * 1000);
	assert_true(drops < 300 && clock_monotonic_ms() - began >= 450);
	pthread_join(thread, NULL);
	close(fds[0]);
	session_pool_free(service.pool);
}

#define TEST(name)	cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
