/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "report/collector.h"
#include "report/datagram.h"

#define COLLECTOR_STACK	(512 * 1024)
#define SAY_EVERY_MS	1000	/* what was not taken, and why */

struct item {
	STAILQ_ENTRY(item) queue;
	int64_t at_s;	/* wall clock, of its arrival */
	size_t length;
	char octets[];
};

struct collector {
	struct recorder *recorder;
	int fd;
	int end;	/* eventfd: readable when the receiver is to end */
	char *buffer;	/* the receiver's */
	int64_t said_ms;	/* the reader's */
	pthread_t receiver, reader;
	bool receiving, reading;	/* the thread exists */
	pthread_mutex_t lock;	/* for all below */
	pthread_cond_t changed;
	STAILQ_HEAD(, item) items;
	size_t held;	/* octets */
	bool stop;	/* nothing more comes */
};

/* Hands over to the reader. */
static void
put(struct collector *collector, const char *octets, size_t length)
{
	struct item *item;

	pthread_mutex_lock(&collector->lock);
	if (collector->held + length > LIMIT_DATAGRAMS_HELD) {
		metrics_count(METRIC_TLSRPT_DATAGRAMS, "full", NULL);
	} else {
		item = xmalloc(sizeof(*item) + length);
		item->at_s = clock_wall_s();
		item->length = length;
		memcpy(item->octets, octets, length);
		STAILQ_INSERT_TAIL(&collector->items, item, queue);
		collector->held += length + sizeof(*item);
		pthread_cond_signal(&collector->changed);
	}
	pthread_mutex_unlock(&collector->lock);
}

/* A datagram may be empty, and one that is too long is one octet too long for the reader. */
static void
drain(struct collector *collector)
{
	ssize_t length;

	do {
		length = recv(collector->fd, collector->buffer, LIMIT_DATAGRAM + 1, MSG_DONTWAIT);
		if (length >= 0)
			put(collector, collector->buffer, (size_t)length);
	} while (length >= 0 || errno == EINTR);
}

static void *
receive(void *context)
{
	struct collector *collector = context;
	struct pollfd fds[] = {
		{ .fd = collector->fd, .events = POLLIN },
		{ .fd = collector->end, .events = POLLIN },
	};

	while (fds[1].revents == 0) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		drain(collector);
	}
	return NULL;
}

static void
refuse(struct collector *collector, const char *why)
{
	int64_t now_ms = clock_monotonic_ms();

	metrics_count(METRIC_TLSRPT_DATAGRAMS, "invalid", NULL);
	if (collector->said_ms != 0 && now_ms - collector->said_ms < SAY_EVERY_MS)
		return;
	collector->said_ms = now_ms;
	log_message(LOG_LEVEL_WARNING, "tlsrpt", "a datagram on tlsrpt.socket is not accepted: %s",
	    why);
}

/* Takes the arena over. */
static void
read_item(struct collector *collector, const struct item *item, struct recorder_told *told,
    size_t *count)
{
	struct recorder_told *one = &told[*count];
	const char *why = "";

	one->arena = arena_new();
	if (datagram_read(one->arena, item->octets, item->length, item->at_s, &one->session,
		&why) == 0) {
		++*count;
		return;
	}
	refuse(collector, why);
	arena_free(one->arena);
}

/* With the lock held. */
static struct item *
take_item(struct collector *collector)
{
	struct item *item = STAILQ_FIRST(&collector->items);

	if (item == NULL)
		return NULL;
	STAILQ_REMOVE_HEAD(&collector->items, queue);
	collector->held -= item->length + sizeof(*item);
	return item;
}

/* With the lock held, released meanwhile. */
static void
read_some(struct collector *collector)
{
	struct item *items[RECORDER_TOLD_MAX];
	struct recorder_told told[RECORDER_TOLD_MAX];
	size_t i, taken = 0, count = 0;

	while (taken < RECORDER_TOLD_MAX && (items[taken] = take_item(collector)) != NULL)
		taken++;
	pthread_mutex_unlock(&collector->lock);
	for (i = 0; i < taken; i++) {
		read_item(collector, items[i], told, &count);
		free(items[i]);
	}
	recorder_take(collector->recorder, told, count);
	pthread_mutex_lock(&collector->lock);
}

static void *
read_items(void *context)
{
	struct collector *collector = context;

	pthread_mutex_lock(&collector->lock);
	while (!collector->stop || !STAILQ_EMPTY(&collector->items)) {
		if (STAILQ_EMPTY(&collector->items))
			pthread_cond_wait(&collector->changed, &collector->lock);
		else
			read_some(collector);
	}
	pthread_mutex_unlock(&collector->lock);
	return NULL;
}

static bool
start(struct collector *collector, pthread_t *thread, void *(*run)(void *context))
{
	return thread_start(thread, COLLECTOR_STACK, run, collector) == 0;
}

struct collector *
collector_new(int fd, struct recorder *recorder)
{
	struct collector *collector = xcalloc(1, sizeof(*collector));

	collector->recorder = recorder;
	collector->fd = fd;
	collector->end = eventfd(0, EFD_CLOEXEC);
	collector->buffer = xmalloc(LIMIT_DATAGRAM + 1);
	pthread_mutex_init(&collector->lock, NULL);
	pthread_cond_init(&collector->changed, NULL);
	STAILQ_INIT(&collector->items);
	if (collector->end >= 0)
		collector->reading = start(collector, &collector->reader, read_items);
	if (collector->reading)
		collector->receiving = start(collector, &collector->receiver, receive);
	if (collector->receiving)
		return collector;
	collector_free(collector);
	return NULL;
}

void
collector_free(struct collector *collector)
{
	uint64_t one = 1;

	if (collector == NULL)
		return;
	if (collector->receiving) {
		while (write(collector->end, &one, sizeof(one)) < 0 && errno == EINTR)
			continue;
		pthread_join(collector->receiver, NULL);
	}
	pthread_mutex_lock(&collector->lock);
	collector->stop = true;
	pthread_cond_signal(&collector->changed);
	pthread_mutex_unlock(&collector->lock);
	if (collector->reading)
		pthread_join(collector->reader, NULL);
	pthread_cond_destroy(&collector->changed);
	pthread_mutex_destroy(&collector->lock);
	if (collector->end >= 0)
		close(collector->end);
	close(collector->fd);
	free(collector->buffer);
	free(collector);
}
