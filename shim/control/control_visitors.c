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
#include "base/limits.h"
#include "shim/control/control_visitors.h"

struct visitor {
	int fd;
	int64_t uid;
	bool busy;
	bool sent_away;	/* shut down, and soon to leave */
	struct visitor *before, *after;
};

struct visitors {
	pthread_mutex_t lock;
	struct visitor *first, *last;	/* in the order in which they last did something */
};

struct visitors *
visitors_new(void)
{
	struct visitors *visitors = xcalloc(1, sizeof(*visitors));

	(void)pthread_mutex_init(&visitors->lock, NULL);
	return visitors;
}

void
visitors_free(struct visitors *visitors)
{
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

/* Who has to go for one that has just come, at the end of the list; NULL: nobody. */
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
	append(visitors, visitor);
	leaving = choose(visitors);
	if (leaving != NULL) {
		leaving->sent_away = true;
		(void)shutdown(leaving->fd, SHUT_RDWR);
	}
	(void)pthread_mutex_unlock(&visitors->lock);
	return visitor;
}

void
visitors_set_busy(struct visitors *visitors, struct visitor *visitor, bool busy)
{
	(void)pthread_mutex_lock(&visitors->lock);
	visitor->busy = busy;
	take_out(visitors, visitor);
	append(visitors, visitor);
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
