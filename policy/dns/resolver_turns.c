/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/thread.h"
#include "policy/dns/resolver_turns.h"

#define ZONES	4096	/* by hash: two that share a number share their places */
#define PART	4	/* so many times its own places must be free for a zone to take one more */
#define LABELS	2	/* the last of a name identify its zone */

struct waiter {
	TAILQ_ENTRY(waiter) link;
	size_t zone;
	bool granted;
	pthread_cond_t turn;
};

struct resolver_turns {
	pthread_mutex_t lock;
	size_t places, taken;
	size_t of[ZONES];	/* taken */
	size_t waiting[ZONES];
	TAILQ_HEAD(, waiter) queue;	/* first come first */
	bool stopped;
};

struct resolver_turns *
resolver_turns_new(size_t places)
{
	struct resolver_turns *turns = xcalloc(1, sizeof(*turns));

	pthread_mutex_init(&turns->lock, NULL);
	TAILQ_INIT(&turns->queue);
	turns->places = places;
	return turns;
}

void
resolver_turns_free(struct resolver_turns *turns)
{
	if (turns == NULL)
		return;
	pthread_mutex_destroy(&turns->lock);
	free(turns);
}

static size_t
zone_of(const char *name)
{
	size_t length = strlen(name);
	uint64_t hash = HASH_START;
	unsigned labels = 1;

	if (length > 0 && name[length - 1] == '.')
		length--;
	for (; length > 0 && (name[length - 1] != '.' || labels++ < LABELS); length--) {
		unsigned char lower = (unsigned char)tolower((unsigned char)name[length - 1]);

		hash = hash_add(hash, &lower, sizeof(lower));
	}
	return hash % ZONES;
}

/* With the lock held. A zone's limit shrinks with the number of free places, so that several silent
 * zones leave a place for a zone without questions. */
static bool
may_go(const struct resolver_turns *turns, size_t zone)
{
	return PART * turns->of[zone] < turns->places - turns->taken;
}

static void
take(struct resolver_turns *turns, size_t zone)
{
	turns->of[zone]++;
	turns->taken++;
}

/* With the lock held. */
static void
grant(struct resolver_turns *turns)
{
	struct waiter *waiter, *next;

	for (waiter = TAILQ_FIRST(&turns->queue); waiter != NULL && turns->taken < turns->places;
	     waiter = next) {
		next = TAILQ_NEXT(waiter, link);
		if (!may_go(turns, waiter->zone))
			continue;
		TAILQ_REMOVE(&turns->queue, waiter, link);
		turns->waiting[waiter->zone]--;
		take(turns, waiter->zone);
		waiter->granted = true;
		pthread_cond_signal(&waiter->turn);
	}
}

/* With the lock held. */
static bool
wait_for_turn(struct resolver_turns *turns, size_t zone, struct deadline deadline)
{
	struct timespec until = deadline_timespec(deadline);
	struct waiter waiter = { .zone = zone };

	thread_condition(&waiter.turn);
	turns->waiting[zone]++;
	TAILQ_INSERT_TAIL(&turns->queue, &waiter, link);
	while (!waiter.granted && !turns->stopped && !deadline_passed(deadline))
		pthread_cond_timedwait(&waiter.turn, &turns->lock, &until);
	if (!waiter.granted) {
		TAILQ_REMOVE(&turns->queue, &waiter, link);
		turns->waiting[zone]--;
	}
	pthread_cond_destroy(&waiter.turn);
	return waiter.granted;
}

bool
resolver_turns_take(struct resolver_turns *turns, const char *name, struct deadline deadline)
{
	size_t zone = zone_of(name);
	bool taken;

	pthread_mutex_lock(&turns->lock);
	taken = !turns->stopped && turns->waiting[zone] == 0 && may_go(turns, zone);
	if (taken)
		take(turns, zone);
	else if (!turns->stopped)
		taken = wait_for_turn(turns, zone, deadline);
	pthread_mutex_unlock(&turns->lock);
	return taken;
}

void
resolver_turns_give(struct resolver_turns *turns, const char *name)
{
	size_t zone = zone_of(name);

	pthread_mutex_lock(&turns->lock);
	turns->of[zone]--;
	turns->taken--;
	grant(turns);
	pthread_mutex_unlock(&turns->lock);
}

void
resolver_turns_stop(struct resolver_turns *turns)
{
	struct waiter *waiter;

	pthread_mutex_lock(&turns->lock);
	turns->stopped = true;
	TAILQ_FOREACH (waiter, &turns->queue, link)
		pthread_cond_signal(&waiter->turn);
	pthread_mutex_unlock(&turns->lock);
}
