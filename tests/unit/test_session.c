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
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/session.h"
#include "base/stream.h"
#include "base/worker.h"

#define SOON	5000	/* ms, more than a loaded machine needs */
#define STACK	(256 * 1024)

/*
 * A server whose sessions do as their peer says, a line each:
 *	ping	answer pong
 *	busy, idle	tell the pool
 *	close	close the connection, then wait for the gate before the session ends
 *	quit	end
 * At the end of input they say bye.
 */
struct server {
	struct session_pool *pool;
	atomic_bool gate;
	atomic_int closed, ended;
	char directory[64];
	struct endpoint endpoint;
	int listener;
};

static void
serve_lines(struct server *server, struct stream *stream, bool *hold)
{
	char line[64];
	size_t length;

	while (stream_read_line(stream, line, sizeof(line), &length, deadline_in(60000)) ==
	    STREAM_OK) {
		if (strcmp(line, "busy") == 0)
			session_pool_busy(server->pool, true);
		else if (strcmp(line, "idle") == 0)
			session_pool_busy(server->pool, false);
		else if (strcmp(line, "close") == 0)
			*hold = true;
		if (*hold || strcmp(line, "quit") == 0)
			return;
		stream_printf(stream, deadline_in(SOON), "%s\n",
		    session_pool_draining(server->pool) ? "draining" : "pong");
		stream_flush(stream, deadline_in(SOON));
	}
	stream_printf(stream, deadline_in(SOON), "bye\n");
	stream_flush(stream, deadline_in(SOON));
}

static void
serve(void *context, int fd)
{
	struct server *server = context;
	struct stream *stream = stream_new_fd(fd);
	bool hold = false;

	serve_lines(server, stream, &hold);
	stream_free(stream);
	server->closed++;
	while (hold && !server->gate)
		usleep(1000);
	server->ended++;
}

static void
refuse(void *context, int fd)
{
	(void)context;
	(void)send(fd, "full\n", 5, MSG_NOSIGNAL);
	close(fd);
}

static struct endpoint
endpoint_in(const char *directory, const char *name)
{
	struct endpoint endpoint;
	char text[128];
	const char *why;

	snprintf(text, sizeof(text), "%s/%s", directory, name);
	assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
	return endpoint;
}

static void
server_listen(struct server *server, const struct endpoint *endpoint)
{
	int listener = endpoint_listen(endpoint, 0600, (gid_t)-1, 64);

	assert_true(listener >= 0);
	server->listener = listener;
	assert_int_equal(session_pool_listen(server->pool, listener), 0);
}

static void
server_start(struct server *server, size_t max)
{
	memset(server, 0, sizeof(*server));
	strcpy(server->directory, "/tmp/stsgate-session-XXXXXX");
	assert_non_null(mkdtemp(server->directory));
	server->endpoint = endpoint_in(server->directory, "sock");
	server->pool = session_pool_new(max, STACK, serve, refuse, server);
	assert_non_null(server->pool);
	server_listen(server, &server->endpoint);
}

static void
server_stop(struct server *server)
{
	server->gate = true;
	assert_true(session_pool_drain(server->pool, deadline_in(SOON)));
	assert_int_equal(session_pool_running(server->pool), 0);
	session_pool_free(server->pool);
	unlink(endpoint_path(&server->endpoint));
	assert_int_equal(rmdir(server->directory), 0);
}

static struct stream *
client_new(const struct server *server)
{
	int fd = endpoint_connect(&server->endpoint, deadline_in(SOON));

	assert_true(fd >= 0);
	return stream_new_fd(fd);
}

static void
say(struct stream *client, const char *line)
{
	assert_int_equal(stream_printf(client, deadline_in(SOON), "%s\n", line), STREAM_OK);
	assert_int_equal(stream_flush(client, deadline_in(SOON)), STREAM_OK);
}

static void
expect(struct stream *client, const char *expected)
{
	char line[64];
	size_t length;

	assert_int_equal(stream_read_line(client, line, sizeof(line), &length, deadline_in(SOON)),
	    STREAM_OK);
	assert_string_equal(line, expected);
}

static void
expect_end(struct stream *client)
{
	char line[64];
	size_t length;
	enum stream_status status = stream_read_line(client, line, sizeof(line), &length,
	    deadline_in(SOON));

	assert_true(status == STREAM_END || status == STREAM_LOST);
}

static void
await_running(const struct server *server, size_t count)
{
	struct deadline deadline = deadline_in(SOON);

	while (session_pool_running(server->pool) != count && !deadline_passed(deadline))
		usleep(1000);
	assert_int_equal(session_pool_running(server->pool), count);
}

static void
test_sessions_run_side_by_side_up_to_the_cap(void **state)
{
	struct stream *clients[5], *late;
	struct server server;
	int i;

	(void)state;
	server_start(&server, 5);
	for (i = 0; i < 5; i++)
		clients[i] = client_new(&server);
	for (i = 4; i >= 0; i--) {
		say(clients[i], "ping");
		expect(clients[i], "pong");
	}
	assert_int_equal(session_pool_running(server.pool), 5);
	late = client_new(&server);
	expect(late, "full");
	expect_end(late);
	stream_free(late);
	say(clients[2], "quit");
	expect_end(clients[2]);
	await_running(&server, 4);
	late = client_new(&server);
	say(late, "ping");
	expect(late, "pong");
	stream_free(late);
	for (i = 0; i < 5; i++)
		stream_free(clients[i]);
	await_running(&server, 0);
	server_stop(&server);
}

/* A listener goes; sessions, and another listener, stay. */
static void
test_a_listener_is_given_up(void **state)
{
	struct stream *before, *after;
	struct endpoint second;
	struct server server;
	const char *why;
	char text[ENDPOINT_TEXT_MAX + 10];
	int listener;

	(void)state;
	server_start(&server, 5);
	before = client_new(&server);
	say(before, "ping");
	expect(before, "pong");
	snprintf(text, sizeof(text), "%s.second", server.endpoint.text);
	assert_int_equal(endpoint_parse(text, &second, &why), 0);
	listener = endpoint_listen(&second, 0600, (gid_t)-1, 5);
	assert_true(listener >= 0);
	assert_int_equal(session_pool_listen(server.pool, listener), 0);
	session_pool_unlisten(server.pool, server.listener);
	while ((listener = endpoint_connect(&server.endpoint, deadline_in(SOON))) >= 0) {
		close(listener);
		usleep(1000);
	}
	say(before, "ping");
	expect(before, "pong");
	listener = endpoint_connect(&second, deadline_in(SOON));
	assert_true(listener >= 0);
	after = stream_new_fd(listener);
	say(after, "ping");
	expect(after, "pong");
	stream_free(after);
	stream_free(before);
	unlink(endpoint_path(&second));
	server_stop(&server);
}

static void
test_drain_without_sessions_is_quick(void **state)
{
	int64_t start = clock_monotonic_ms();
	struct server server;

	(void)state;
	server_start(&server, 5);
	server_stop(&server);
	assert_in_range(clock_monotonic_ms() - start, 0, 1000);
}

static void
test_drain_wakes_the_idle_who_may_still_answer(void **state)
{
	struct stream *fresh, *used;
	int64_t start;
	struct server server;

	(void)state;
	server_start(&server, 5);
	fresh = client_new(&server);
	used = client_new(&server);
	say(used, "ping");
	expect(used, "pong");
	await_running(&server, 2);
	start = clock_monotonic_ms();
	assert_true(session_pool_drain(server.pool, deadline_in(SOON)));
	assert_in_range(clock_monotonic_ms() - start, 0, 1000);
	expect(fresh, "bye");
	expect(used, "bye");
	expect_end(used);
	assert_int_equal(endpoint_connect(&server.endpoint, deadline_in(SOON)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	stream_free(fresh);
	stream_free(used);
	server_stop(&server);
}

static void
test_drain_leaves_the_busy_alone(void **state)
{
	struct stream *busy;
	struct server server;

	(void)state;
	server_start(&server, 5);
	busy = client_new(&server);
	say(busy, "busy");
	expect(busy, "pong");
	assert_false(session_pool_drain(server.pool, deadline_in(50)));
	say(busy, "ping");
	expect(busy, "draining");
	assert_false(session_pool_drain(server.pool, deadline_in(-1)));
	assert_int_equal(session_pool_running(server.pool), 1);
	say(busy, "idle");
	expect(busy, "draining");
	expect(busy, "bye");
	assert_true(session_pool_drain(server.pool, deadline_in(SOON)));
	stream_free(busy);
	server_stop(&server);
}

/* The session has closed its descriptor; another socket has its number when the pool drains. */
static void
test_drain_touches_no_socket_but_its_own(void **state)
{
	struct deadline deadline = deadline_in(SOON);
	struct stream *client;
	struct server server;
	int pairs[50][2], i;
	char octet;

	(void)state;
	server_start(&server, 5);
	client = client_new(&server);
	say(client, "close");
	while (server.closed == 0 && !deadline_passed(deadline))
		usleep(1000);
	for (i = 0; i < 50; i++)
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
	assert_false(session_pool_drain(server.pool, deadline_in(20)));
	for (i = 0; i < 50; i++) {
		assert_int_equal(send(pairs[i][0], "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(read(pairs[i][1], &octet, 1), 1);
		assert_int_equal(send(pairs[i][1], "x", 1, MSG_NOSIGNAL), 1);
		assert_int_equal(read(pairs[i][0], &octet, 1), 1);
		close(pairs[i][0]);
		close(pairs[i][1]);
	}
	stream_free(client);
	server_stop(&server);
	assert_int_equal(server.ended, 1);
}

static void
test_several_listeners(void **state)
{
	struct stream *client;
	struct endpoint other;
	struct server server;
	int fd;

	(void)state;
	server_start(&server, 5);
	other = endpoint_in(server.directory, "other");
	server_listen(&server, &other);
	fd = endpoint_connect(&other, deadline_in(SOON));
	assert_true(fd >= 0);
	client = stream_new_fd(fd);
	say(client, "ping");
	expect(client, "pong");
	stream_free(client);
	client = client_new(&server);
	say(client, "ping");
	expect(client, "pong");
	stream_free(client);
	unlink(endpoint_path(&other));
	server_stop(&server);
}

static void
test_a_drained_pool_listens_no_more(void **state)
{
	struct server server;
	struct endpoint other;
	int listener;

	(void)state;
	server_start(&server, 5);
	assert_true(session_pool_drain(server.pool, deadline_in(SOON)));
	assert_true(session_pool_draining(server.pool));
	other = endpoint_in(server.directory, "other");
	listener = endpoint_listen(&other, 0600, (gid_t)-1, 5);
	assert_int_equal(session_pool_listen(server.pool, listener), -1);
	assert_int_equal(errno, ESHUTDOWN);
	close(listener);
	unlink(endpoint_path(&other));
	assert_int_equal(session_pool_listen(server.pool, -1), -1);
	server_stop(&server);
}

static int64_t
cpu_ms(void)
{
	struct timespec used;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
	return (int64_t)used.tv_sec * 1000 + used.tv_nsec / 1000000;
}

/* Takes every free descriptor below limit; the taken ones start at fds[0]. */
static int
take_descriptors(int *fds, int most)
{
	int count = 0;

	while (count < most && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	assert_int_equal(errno, EMFILE);
	return count;
}

static void
test_a_shortage_of_descriptors_is_waited_out(void **state)
{
	struct rlimit before, low;
	struct server server;
	struct stream *client;
	int fds[128], count, saved, quiet;
	int64_t used;

	(void)state;
	server_start(&server, 5);
	quiet = open("/dev/null", O_WRONLY);
	saved = dup(STDERR_FILENO);
	dup2(quiet, STDERR_FILENO);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 100;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	count = take_descriptors(fds, 128);
	assert_true(count > 0);
	close(fds[--count]);
	client = client_new(&server);
	say(client, "ping");
	used = cpu_ms();
	usleep(500000);
	assert_in_range(cpu_ms() - used, 0, 250);
	assert_int_equal(session_pool_running(server.pool), 0);
	while (count > 0)
		close(fds[--count]);
	expect(client, "pong");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(quiet);
	stream_free(client);
	server_stop(&server);
}

static void *
come_and_go(void *context)
{
	struct server *server = context;
	struct stream *client;
	char line[64];
	size_t length;
	int i, fd;

	for (i = 0; i < 200; i++) {
		fd = endpoint_connect(&server->endpoint, deadline_in(SOON));
		if (fd < 0)
			continue;
		/* Now and then the server has to be the one who ends it. */
		if (i % 50 == 0) {
			client = stream_new_fd(fd);
			while (stream_read_line(client, line, sizeof(line), &length,
				   deadline_in(SOON)) == STREAM_OK)
				;
			stream_free(client);
		} else {
			close(fd);
		}
	}
	return NULL;
}

/* For the thread sanitizer as much as for the counts. */
static void
test_many_come_and_go_during_drain(void **state)
{
	pthread_t threads[4];
	struct server server;
	int i;

	(void)state;
	server_start(&server, 3);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &server), 0);
	usleep(10000);
	assert_true(session_pool_drain(server.pool, deadline_in(SOON)));
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	server_stop(&server);
}

static void
add_one(void *context)
{
	atomic_fetch_add((atomic_int *)context, 1);
}

static void
test_workers(void **state)
{
	struct worker *workers[10];
	atomic_int sum = 0;
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		workers[i] = worker_start(i % 2 == 0 ? STACK : 1, add_one, &sum);
		assert_non_null(workers[i]);
	}
	for (i = 0; i < 10; i++)
		worker_join(workers[i]);
	worker_join(NULL);
	assert_int_equal(sum, 10);
	assert_null(worker_start(SIZE_MAX / 2, add_one, &sum));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sessions_run_side_by_side_up_to_the_cap),
		cmocka_unit_test(test_a_listener_is_given_up),
		cmocka_unit_test(test_drain_without_sessions_is_quick),
		cmocka_unit_test(test_drain_wakes_the_idle_who_may_still_answer),
		cmocka_unit_test(test_drain_leaves_the_busy_alone),
		cmocka_unit_test(test_drain_touches_no_socket_but_its_own),
		cmocka_unit_test(test_several_listeners),
		cmocka_unit_test(test_a_drained_pool_listens_no_more),
		cmocka_unit_test(test_a_shortage_of_descriptors_is_waited_out),
		cmocka_unit_test(test_many_come_and_go_during_drain),
		cmocka_unit_test(test_workers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
