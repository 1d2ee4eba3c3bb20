/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Asks a socketmap server as fast as it answers: map_client ENDPOINT CONNECTIONS DEPTH MS NAME...
 * keeps DEPTH questions on the way on each connection and prints one line: answers, answers a
 * second, microseconds to the answer (of the whole flight for DEPTH above 1) at the median and at
 * 99 of 100, and how many answers were none of "OK secure". One thread: the server has the rest of
 * the machine.
 */
#include "config.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/netstring.h"

#define CONNECTIONS_MAX	1000
#define TIMES_MAX	8000000
#define OUT_ROOM	65536

struct asker {
	int fd;
	size_t waiting;	/* answers on the way */
	int64_t sent_ns;
	char in[OUT_ROOM];
	size_t length;
};

static char **names;
static size_t name_count, next_name;
static uint32_t *times;
static size_t time_count, wrong;

static int64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
ask(struct asker *asker, size_t depth)
{
	char out[OUT_ROOM];
	size_t length = 0;

	for (asker->waiting = 0; asker->waiting < depth; asker->waiting++) {
		const char *name = names[next_name++ % name_count];

		length += (size_t)snprintf(out + length, sizeof(out) - length, "%zu:postfix %s,",
		    strlen(name) + 8, name);
	}
	asker->sent_ns = now_ns();
	if (write(asker->fd, out, length) != (ssize_t)length)
		fail("write");
}

static void
take_answers(struct asker *asker)
{
	size_t at = 0, length, used;
	const char *payload;

	while (netstring_parse(asker->in + at, asker->length - at, 100000, &payload, &length,
		   &used) == NETSTRING_OK) {
		if (length < 9 || memcmp(payload, "OK secure", 9) != 0)
			wrong++;
		at += used;
		asker->waiting--;
	}
	memmove(asker->in, asker->in + at, asker->length - at);
	asker->length -= at;
}

static void
listen_to(struct asker *asker, size_t depth)
{
	ssize_t got = recv(asker->fd, asker->in + asker->length, sizeof(asker->in) - asker->length,
	    0);

	if (got <= 0)
		fail("the server closed a connection");
	asker->length += (size_t)got;
	take_answers(asker);
	if (asker->waiting > 0)
		return;
	if (time_count < TIMES_MAX)
		times[time_count++] = (uint32_t)((now_ns() - asker->sent_ns) / 1000);
	ask(asker, depth);
}

static void
run(struct asker *askers, int count, size_t depth, int64_t ms)
{
	struct epoll_event events[64], event = { .events = EPOLLIN };
	int i, ready, poller = epoll_create1(0);
	int64_t end = now_ns() + ms * 1000000;

	for (i = 0; i < count; i++) {
		event.data.ptr = &askers[i];
		if (epoll_ctl(poller, EPOLL_CTL_ADD, askers[i].fd, &event) != 0)
			fail("epoll");
		ask(&askers[i], depth);
	}
	/* With one connection nothing is gained by asking which is ready. */
	while (now_ns() < end) {
		ready = count == 1 ? 0 : epoll_wait(poller, events, 64, 10000);
		if (count == 1)
			listen_to(&askers[0], depth);
		else if (ready <= 0)
			fail("no answer");
		for (i = 0; i < ready; i++)
			listen_to(events[i].data.ptr, depth);
	}
	close(poller);
}

static int
compare(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

static int
connect_to(const char *text)
{
	const struct timeval patience = { .tv_sec = 10 };
	struct endpoint endpoint;
	const char *why;
	const int on = 1;
	int fd;

	if (endpoint_parse(text, &endpoint, &why) != 0) {
		fprintf(stderr, "%s: %s\n", text, why);
		exit(1);
	}
	fd = socket(endpoint.address.ss_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&endpoint.address, endpoint.length) != 0)
		fail(text);
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	return fd;
}

int
main(int argc, char **argv)
{
	int connections = argc > 5 ? atoi(argv[2]) : 0;
	size_t depth = argc > 5 ? (size_t)atoi(argv[3]) : 0;
	int64_t ms = argc > 5 ? atoi(argv[4]) : 0;
	struct asker *askers;

	if (connections < 1 || connections > CONNECTIONS_MAX || depth < 1 || depth > 200) {
		fprintf(stderr, "usage: map_client ENDPOINT CONNECTIONS DEPTH MS NAME...\n");
		return 64;
	}
	names = argv + 5;
	name_count = (size_t)(argc - 5);
	times = calloc(TIMES_MAX, sizeof(*times));
	askers = calloc((size_t)connections, sizeof(*askers));
	if (times == NULL || askers == NULL)
		fail("memory");
	for (int i = 0; i < connections; i++)
		askers[i].fd = connect_to(argv[1]);
	run(askers, connections, depth, ms);
	qsort(times, time_count, sizeof(*times), compare);
	printf("%zu %.0f %u %u %zu\n", time_count * depth,
	    (double)time_count * (double)depth * 1000 / (double)ms, times[time_count / 2],
	    times[time_count * 99 / 100], wrong);
	return 0;
}
