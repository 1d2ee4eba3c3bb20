/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/thread.h"
#include "cmd/timer.h"

#define TIMER_STACK	(256 * 1024)
#define TICK_TIME_MS	(5 * 1000)	/* one round of refreshes may start new fetches this long */
#define CHECKPOINT_EVERY_MS	(60 * 1000)
#define PURGE_EVERY_MS	(3600 * 1000)

struct timer {
	struct store *store;
	struct sts_cache *cache;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop;
};

static bool
stopped_before(struct timer *timer, struct deadline until)
{
	struct timespec at = deadline_timespec(until);
	bool stop;

	pthread_mutex_lock(&timer->lock);
	while (!timer->stop && !deadline_passed(until))
		pthread_cond_timedwait(&timer->wake, &timer->lock, &at);
	stop = timer->stop;
	pthread_mutex_unlock(&timer->lock);
	return stop;
}

static void *
timer_run(void *context)
{
	struct timer *timer = context;
	struct deadline checkpoint = deadline_in(CHECKPOINT_EVERY_MS);
	struct deadline purge = deadline_in(0);
	struct deadline next = deadline_in(0);

	while (!stopped_before(timer, next)) {
		next = deadline_in(sts_cache_maintain(timer->cache, deadline_in(TICK_TIME_MS)));
		next = deadline_earlier(next, checkpoint);
		if (deadline_passed(checkpoint)) {
			store_checkpoint(timer->store);
			checkpoint = deadline_in(CHECKPOINT_EVERY_MS);
		}
		if (deadline_passed(purge)) {
			sts_cache_purge(timer->cache);
			purge = deadline_in(PURGE_EVERY_MS);
		}
	}
	return NULL;
}

struct timer *
timer_start(struct store *store, struct sts_cache *cache)
{
	struct timer *timer = xcalloc(1, sizeof(*timer));

	timer->store = store;
	timer->cache = cache;
	pthread_mutex_init(&timer->lock, NULL);
	thread_condition(&timer->wake);
	if (thread_start(&timer->thread, TIMER_STACK, timer_run, timer) == 0)
		return timer;
	pthread_cond_destroy(&timer->wake);
	pthread_mutex_destroy(&timer->lock);
	free(timer);
	return NULL;
}

void
timer_join(struct timer *timer)
{
	if (timer == NULL)
		return;
	pthread_mutex_lock(&timer->lock);
	timer->stop = true;
	pthread_cond_signal(&timer->wake);
	pthread_mutex_unlock(&timer->lock);
	pthread_join(timer->thread, NULL);
	pthread_cond_destroy(&timer->wake);
	pthread_mutex_destroy(&timer->lock);
	free(timer);
}
