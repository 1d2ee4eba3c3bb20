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
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/endpoint.h"

static char directory[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/stsgate-endpoint-XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(directory);
}

static void
test_accepted(void **state)
{
	static const struct {
		const char *text, *path;
		bool loopback;
	} cases[] = {
		{ "unix:/run/x.sock", "/run/x.sock", true },
		{ "/run/x.sock", "/run/x.sock", true },
		{ "unix:/with:colon", "/with:colon", true },
		{ "inet:127.0.0.1:2424", NULL, true },
		{ "inet:127.255.255.255:1", NULL, true },
		{ "inet:128.0.0.1:65535", NULL, false },
		{ "inet:0.0.0.0:25", NULL, false },
		{ "inet:192.0.2.1:25", NULL, false },
		{ "inet6:[::1]:2424", NULL, true },
		{ "inet6:[::]:2424", NULL, false },
		{ "inet:[::1]:2424", NULL, true },
		{ "inet6:[2001:db8::1]:25", NULL, false },
		{ "inet6:[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:25", NULL, false },
	};
	struct endpoint endpoint;
	const char *why = NULL;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (endpoint_parse(cases[i].text, &endpoint, &why) != 0)
			fail_msg("%s: %s", cases[i].text, why);
		assert_string_equal(endpoint.text, cases[i].text);
		assert_int_equal(endpoint_is_loopback(&endpoint), cases[i].loopback);
		assert_int_equal(endpoint_is_unix(&endpoint), cases[i].path != NULL);
		if (cases[i].path != NULL)
			assert_string_equal(endpoint_path(&endpoint), cases[i].path);
		else
			assert_null(endpoint_path(&endpoint));
	}
}

static void
test_refused(void **state)
{
	static const char *const cases[] = { "", "unix:", "unix:relative", "relative",
		"tcp:127.0.0.1:25", "inet:", "inet:25", "inet::25", "inet:127.0.0.1",
		"inet:127.0.0.1:", "inet:127.0.0.1:0", "inet:127.0.0.1:65536",
		"inet:127.0.0.1:100000", "inet:127.0.0.1:+25", "inet:127.0.0.1: 25",
		"inet:127.0.0.1:25x", "inet:127.0.0.1:-1", "inet:127.1:25", "inet:localhost:25",
		"inet:[127.0.0.1]:25", "inet:::1:25", "inet:255.255.255.2555:25", "inet6:::1:25",
		"inet6:[::1]", "inet6:[::1]25", "inet6:[::1]:", "inet6:[::1]:0",
		"inet6:[127.0.0.1]:25", "inet6:[]:25", "inet6:[::1:25", "inet6:::1]:25",
		"inet6:[fe80::1%lo]:25", "INET:127.0.0.1:25",
		"inet6:[00000:00000:0000:0000:0000:0000:0000:0000:0000:0000:1]:25" };
	struct endpoint endpoint = { .length = 7 };
	const char *why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why = NULL;
		if (endpoint_parse(cases[i], &endpoint, &why) != -1)
			fail_msg("%s was accepted", cases[i]);
		assert_non_null(why);
		assert_int_equal(endpoint.length, 7);
	}
}

static void
test_path_length(void **state)
{
	char text[400] = "unix:/";
	struct endpoint endpoint;
	const char *why;

	(void)state;
	memset(text + 6, 'x', 106);
	assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
	assert_int_equal(strlen(endpoint_path(&endpoint)), 107);
	text[112] = 'x';
	assert_int_equal(endpoint_parse(text, &endpoint, &why), -1);
	memset(text + 6, 'x', 390);
	assert_int_equal(endpoint_parse(text, &endpoint, &why), -1);
}

static struct endpoint
endpoint_in(const char *name)
{
	struct endpoint endpoint;
	char text[128];
	const char *why;

	snprintf(text, sizeof(text), "unix:%s/%s", directory, name);
	assert_int_equal(endpoint_parse(text, &endpoint, &why), 0);
	return endpoint;
}

static void
assert_flags(int fd)
{
	assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
	assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static void
test_unix_listen_and_connect(void **state)
{
	struct endpoint endpoint = endpoint_in("sock");
	int listener, client, server;
	struct stat status;
	mode_t old = umask(0777);

	(void)state;
	listener = endpoint_listen(&endpoint, 0666, getgid(), 5);
	umask(old);
	assert_true(listener >= 0);
	assert_flags(listener);
	assert_int_equal(stat(endpoint_path(&endpoint), &status), 0);
	assert_int_equal(status.st_mode & 07777, 0666);
	client = endpoint_connect(&endpoint, deadline_in(2000));
	assert_true(client >= 0);
	assert_flags(client);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	assert_int_equal(write(client, "x", 1), 1);
	close(client);
	close(server);
	close(listener);
	unlink(endpoint_path(&endpoint));
}

static void
test_stale_socket_is_replaced_and_a_live_one_kept(void **state)
{
	struct endpoint endpoint = endpoint_in("sock");
	struct stat before, after;
	int listener, second;

	(void)state;
	listener = endpoint_listen(&endpoint, 0600, (gid_t)-1, 5);
	assert_true(listener >= 0);
	assert_int_equal(stat(endpoint_path(&endpoint), &before), 0);
	assert_int_equal(endpoint_listen(&endpoint, 0600, (gid_t)-1, 5), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(stat(endpoint_path(&endpoint), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	close(listener);
	assert_int_equal(endpoint_connect(&endpoint, deadline_in(2000)), -1);
	assert_int_equal(errno, ECONNREFUSED);
	second = endpoint_listen(&endpoint, 0600, (gid_t)-1, 5);
	assert_true(second >= 0);
	close(second);
	unlink(endpoint_path(&endpoint));
}

static void
test_a_file_is_never_unlinked(void **state)
{
	struct endpoint endpoint = endpoint_in("file");
	int fd = open(endpoint_path(&endpoint), O_CREAT | O_WRONLY, 0600);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(endpoint_listen(&endpoint, 0600, (gid_t)-1, 5), -1);
	assert_int_equal(errno, ENOTSOCK);
	assert_int_equal(access(endpoint_path(&endpoint), F_OK), 0);
	unlink(endpoint_path(&endpoint));
}

static void
test_missing_socket_and_directory(void **state)
{
	struct endpoint endpoint = endpoint_in("none/sock");

	(void)state;
	assert_int_equal(endpoint_connect(&endpoint, deadline_in(2000)), -1);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(endpoint_listen(&endpoint, 0600, (gid_t)-1, 5), -1);
	assert_int_equal(errno, ENOENT);
}

static void
test_full_unix_backlog_times_out(void **state)
{
	struct endpoint endpoint = endpoint_in("sock");
	int listener = endpoint_listen(&endpoint, 0600, (gid_t)-1, 0), fds[16], count = 0;
	int64_t start;

	(void)state;
	assert_true(listener >= 0);
	start = clock_monotonic_ms();
	while (count < 16) {
		fds[count] = endpoint_connect(&endpoint, deadline_in(100));
		if (fds[count] < 0)
			break;
		count++;
	}
	assert_true(count < 16);
	assert_int_equal(errno, ETIMEDOUT);
	assert_in_range(clock_monotonic_ms() - start, 99, 20000);
	/* It is busy, not stale. */
	assert_int_equal(endpoint_listen(&endpoint, 0600, (gid_t)-1, 0), -1);
	assert_int_equal(errno, EADDRINUSE);
	assert_int_equal(access(endpoint_path(&endpoint), F_OK), 0);
	while (count > 0)
		close(fds[--count]);
	close(listener);
	unlink(endpoint_path(&endpoint));
}

static void
test_past_deadline(void **state)
{
	struct endpoint endpoint = endpoint_in("sock");

	(void)state;
	assert_int_equal(endpoint_connect(&endpoint, deadline_in(-1)), -1);
	assert_int_equal(errno, ETIMEDOUT);
}

/* Binds to a free port of address and gives the endpoint that names it. */
static int
listen_anywhere(const char *host, struct endpoint *endpoint)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char text[64];
	const char *why;
	int listener, port;

	snprintf(text, sizeof(text), "%s:1", host);
	assert_int_equal(endpoint_parse(text, endpoint, &why), 0);
	((struct sockaddr_in *)&endpoint->address)->sin_port = 0;
	listener = endpoint_listen(endpoint, 0, (gid_t)-1, 5);
	if (listener < 0)
		return -1;
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	snprintf(text, sizeof(text), "%s:%d", host, port);
	assert_int_equal(endpoint_parse(text, endpoint, &why), 0);
	return listener;
}

static void
test_tcp(void **state)
{
	static const char *const hosts[] = { "inet:127.0.0.1", "inet6:[::1]" };
	struct endpoint endpoint;
	int listener, client, server;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		listener = listen_anywhere(hosts[i], &endpoint);
		if (listener < 0 && errno == EADDRNOTAVAIL)
			continue;	/* no IPv6 here */
		assert_true(listener >= 0);
		assert_flags(listener);
		client = endpoint_connect(&endpoint, deadline_in(2000));
		assert_true(client >= 0);
		assert_flags(client);
		server = accept(listener, NULL, NULL);
		assert_true(server >= 0);
		assert_int_equal(endpoint_listen(&endpoint, 0, (gid_t)-1, 5), -1);
		assert_int_equal(errno, EADDRINUSE);
		close(client);
		close(server);
		close(listener);
		assert_int_equal(endpoint_connect(&endpoint, deadline_in(2000)), -1);
		assert_int_equal(errno, ECONNREFUSED);
	}
}

static void
test_why_not(void **state)
{
	static const struct {
		const char *text;
		int error;
		const char *why;
	} rows[] = {
		{ "inet:127.0.0.1:25", EADDRINUSE, "another process is listening there already" },
		{ "inet:127.0.0.1:25", EACCES, "Permission denied" },
		{ "unix:/sock", EACCES, "Permission denied" },
		{ "unix:/tmp/sock", ENOENT, "No such file or directory" },
		{ "unix:/nowhere/at/all/sock", EACCES,
		    "there is no directory /nowhere/at/all:"
		    " make it by install -d -m 0755 /nowhere/at/all" },
	};
	char why[ENDPOINT_REASON_MAX];
	struct endpoint endpoint;
	const char *refused;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(endpoint_parse(rows[i].text, &endpoint, &refused), 0);
		assert_string_equal(endpoint_reason(&endpoint, rows[i].error, why, sizeof(why)),
		    rows[i].why);
		assert_int_equal(endpoint_lacks_directory(&endpoint),
		    strstr(rows[i].why, "make") != NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_why_not),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_path_length),
		cmocka_unit_test(test_unix_listen_and_connect),
		cmocka_unit_test(test_stale_socket_is_replaced_and_a_live_one_kept),
		cmocka_unit_test(test_a_file_is_never_unlinked),
		cmocka_unit_test(test_missing_socket_and_directory),
		cmocka_unit_test(test_full_unix_backlog_times_out),
		cmocka_unit_test(test_past_deadline),
		cmocka_unit_test(test_tcp),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
