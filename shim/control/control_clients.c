/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "base/thread.h"
#include "shim/control/control_clients.h"

#define THREAD_STACK	(64 * 1024)

struct visitor {
	int fd;
	int64_t uid;
	bool busy;
	bool sent_away;	/* shut down, and soon to leave */
	struct deadline until;	/* by which it must have done something */
	struct visitor *before, *after;
};

struct visitors {
	int64_t idle_ms, answer_ms;
	pthread_t thread;	/* closes those that have timed out */
	pthread_mutex_t lock;
	pthread_cond_t sooner;	/* something may have to be closed sooner than the thread thinks */
	bool ending;
	struct deadline next;	/* what the thread waits for, while there are connections */
	struct visitor *first, *last;	/* in the order in which they last did something */
};

static void
send_away(struct visitor *visitor)
{
	visitor->sent_away = true;
	(void)shutdown(visitor->fd, SHUT_RDWR);
}

/* Closes connections that have timed out; returns the time of the next one. */
static struct deadline
close_late(struct visitors *visitors)
{
	struct deadline next = deadline_in(visitors->answer_ms);
	struct visitor *at;

	for (at = visitors->first; at != NULL; at = at->after) {
		if (at->sent_away)
			continue;
		if (deadline_passed(at->until))
			send_away(at);
		else
			next = deadline_earlier(next, at->until);
	}
	return next;
}

static void *
watch(void *context)
{
	struct visitors *visitors = context;
	struct timespec until;

	(void)pthread_mutex_lock(&visitors->lock);
	while (!visitors->ending) {
		visitors->next = close_late(visitors);
		until = deadline_timespec(visitors->next);
		(void)pthread_cond_timedwait(&visitors->sooner, &visitors->lock, &until);
	}
	(void)pthread_mutex_unlock(&visitors->lock);
	return NULL;
}

struct visitors *
visitors_new(int64_t idle_ms, int64_t answer_ms)
{
	struct visitors *visitors = xcalloc(1, sizeof(*visitors));

	visitors->idle_ms = idle_ms;
	visitors->answer_ms = answer_ms;
	visitors->next = deadline_in(answer_ms);
	(void)pthread_mutex_init(&visitors->lock, NULL);
	thread_condition(&visitors->sooner);
	if (thread_start(&visitors->thread, THREAD_STACK, watch, visitors) != 0) {
		(void)pthread_cond_destroy(&visitors->sooner);
		(void)pthread_mutex_destroy(&visitors->lock);
		free(visitors);
		return NULL;
	}
	return visitors;
}

void
visitors_free(struct visitors *visitors)
{
	(void)pthread_mutex_lock(&visitors->lock);
	visitors->ending = true;
	(void)pthread_cond_signal(&visitors->sooner);
	(void)pthread_mutex_unlock(&visitors->lock);
	(void)pthread_join(visitors->thread, NULL);
	(void)pthread_cond_destroy(&visitors->sooner);
	(void)pthread_mutex_destroy(&visitors->lock);
	free(visitors);
}

static void
append(struct visitors *visitors, struct visitor *visitor)
{
	visitor->before = visitors->last;
	visitor->after = NULL;
	if (visitors->last != NULL)
		visitors->last->after = visitor;
	else
		visitors->first = visitor;
	visitors->last = visitor;
}

static void
take_out(struct visitors *visitors, struct visitor *visitor)
{
	if (visitor->before != NULL)
		visitor->before->after = visitor->after;
	else
		visitors->first = visitor->after;
	if (visitor->after != NULL)
		visitor->after->before = visitor->before;
	else
		visitors->last = visitor->before;
}

/* It has just done something. */
static void
note(struct visitors *visitors, struct visitor *visitor)
{
	append(visitors, visitor);
	visitor->until = deadline_in(visitor->busy ? visitors->answer_ms : visitors->idle_ms);
	if (visitor->until.at_ms < visitors->next.at_ms)
		(void)pthread_cond_signal(&visitors->sooner);
}

/* The connection to close in favour of the newest, at the end of the list; NULL: none. */
static struct visitor *
choose(const struct visitors *visitors)
{
	const struct visitor *newcomer = visitors->last;
	struct visitor *silent = NULL, *own = NULL, *at;
	unsigned count = 0, of_one = 0;

	for (at = visitors->first; at != NULL; at = at->after) {
		if (at->sent_away)
			continue;
		count++;
		of_one += at->uid == newcomer->uid;
		if (at->busy)
			continue;
		if (silent == NULL)
			silent = at;
		if (own == NULL && at->uid == newcomer->uid)
			own = at;
	}
	if (of_one > LIMIT_CONTROL_OF_ONE)
		return own;
	return count > LIMIT_CONTROL_VISITORS ? silent : NULL;
}

struct visitor *
visitors_enter(struct visitors *visitors, int fd, int64_t uid)
{
	struct visitor *visitor = xcalloc(1, sizeof(*visitor)), *leaving;

	visitor->fd = fd;
	visitor->uid = uid;
	(void)pthread_mutex_lock(&visitors->lock);
	note(visitors, visitor);
	leaving = choose(visitors);
	if (leaving != NULL)
		send_away(leaving);
	(void)pthread_mutex_unlock(&visitors->lock);
	return visitor;
}

void
visitors_set_busy(struct visitors *visitors, struct visitor *visitor, bool busy)
{
	(void)pthread_mutex_lock(&visitors->lock);
	visitor->busy = busy;
	take_out(visitors, visitor);
	note(visitors, visitor);
	(void)pthread_mutex_unlock(&visitors->lock);
}

void
visitors_move(struct visitors *visitors, struct visitor *visitor)
{
	(void)pthread_mutex_lock(&visitors->lock);
	take_out(visitors, visitor);
	note(visitors, visitor);
	(void)pthread_mutex_unlock(&visitors->lock);
}

void
visitors_leave(struct visitors *visitors, struct visitor *visitor)
{
	(void)pthread_mutex_lock(&visitors->lock);
	take_out(visitors, visitor);
	(void)pthread_mutex_unlock(&visitors->lock);
	free(visitor);
}
