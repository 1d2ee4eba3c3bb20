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
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/stream_pair.h"

struct pair
pair_new(void)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	return (struct pair){ .stream = stream_new_fd(fds[0]), .peer = fds[1] };
}

struct pair
pair_new_tcp(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), server;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
	server = accept(listener, NULL, NULL);
	assert_true(server >= 0);
	close(listener);
	return (struct pair){ .stream = stream_new_fd(server), .peer = client };
}

void
pair_free(struct pair pair)
{
	stream_free(pair.stream);
	if (pair.peer >= 0)
		close(pair.peer);
}

void
peer_says(struct pair pair, const char *octets, size_t length)
{
	assert_int_equal(write(pair.peer, octets, length), length);
}

void
peer_leaves(struct pair *pair)
{
	close(pair->peer);
	pair->peer = -1;
}

void
expect_line(struct stream *stream, size_t room, enum stream_status status, const char *octets,
    size_t length)
{
	char line[256];
	size_t got = 999;

	memset(line, '#', sizeof(line));
	assert_int_equal(stream_read_line(stream, line, room, &got, deadline_in(SOON)), status);
	assert_int_equal(got, length);
	assert_memory_equal(line, octets, length);
	assert_int_equal(line[length], '\0');
	assert_int_equal(line[room], '#');
}

ssize_t
script_read(void *io, void *octets, size_t room, struct deadline deadline)
{
	struct script *script = io;
	size_t part = 1 + (size_t)rand_r(&script->seed) % script->most;

	(void)deadline;
	if (part > room)
		part = room;
	if (part > script->length - script->at)
		part = script->length - script->at;
	if (part == 0)
		return -STREAM_END;
	memcpy(octets, script->octets + script->at, part);
	script->at += part;
	return (ssize_t)part;
}

static ssize_t
script_write(void *io, const void *octets, size_t length, struct deadline deadline)
{
	(void)io;
	(void)octets;
	(void)length;
	(void)deadline;
	errno = EPROTO;
	return -STREAM_LOST;
}

static bool
script_pending(void *io)
{
	struct script *script = io;

	return script->at > 0 && script->at < script->length;
}

static void
script_close(void *io)
{
	((struct script *)io)->closed = true;
}

const struct stream_ops script_ops = { script_read, script_write, script_pending, script_close };

/* A descriptor that is readable for ever: there is nothing to wait for. */
void
upgrade_to_script(struct pair pair, struct script *script)
{
	peer_says(pair, "x", 1);
	assert_int_equal(stream_upgrade(pair.stream, &script_ops, script), 0);
}
