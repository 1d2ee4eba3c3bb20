/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/hash.h"
#include "base/thread.h"
#include "policy/facts/sts_fetches.h"

#define BUCKETS	1024
#define FETCH_STACK	(256 * 1024)

struct sts_fetch_state {
	LIST_ENTRY(sts_fetch_state) bucket;	/* while not ended */
	STAILQ_ENTRY(sts_fetch_state) queue;	/* while not begun */
	struct sts_fetch fetch;
	unsigned users;	/* waiters, and the table while it is in it */
	bool ended;
	pthread_cond_t end;
};

struct sts_fetches {
	void (*run)(void *context, struct sts_fetch *fetch);
	void *context;
	pthread_mutex_t lock;	/* for all that follows, and for states but for their fetch */
	pthread_cond_t no_threads;
	LIST_HEAD(, sts_fetch_state) buckets[BUCKETS];
	STAILQ_HEAD(, sts_fetch_state) queue;
	size_t threads, threads_max;
	size_t background;
	bool stop;
};

struct sts_fetches *
sts_fetches_new(size_t max, void (*run)(void *context, struct sts_fetch *fetch), void *context)
{
	struct sts_fetches *fetches = xcalloc(1, sizeof(*fetches));

	fetches->run = run;
	fetches->context = context;
	fetches->threads_max = max;
	pthread_mutex_init(&fetches->lock, NULL);
	pthread_cond_init(&fetches->no_threads, NULL);
	STAILQ_INIT(&fetches->queue);
	return fetches;
}

static struct sts_fetch_state *
state_new(const char *domain, const char *id, bool refresh)
{
	struct sts_fetch_state *state = xcalloc(1, sizeof(*state));

	thread_condition(&state->end);
	state->fetch.state = state;
	state->fetch.arena = arena_new();
	state->fetch.refresh = refresh;
	state->fetch.began_ms = clock_monotonic_ms();
	snprintf(state->fetch.domain, sizeof(state->fetch.domain), "%s", domain);
	snprintf(state->fetch.id, sizeof(state->fetch.id), "%s", id);
	return state;
}

/* With the lock held. */
static void
release(struct sts_fetch_state *state)
{
	if (--state->users > 0)
		return;
	pthread_cond_destroy(&state->end);
	arena_free(state->fetch.arena);
	free(state);
}

/* With the lock held. */
static struct sts_fetch_state *
find(struct sts_fetches *fetches, const char *domain)
{
	struct sts_fetch_state *state;

	LIST_FOREACH (state, &fetches->buckets[hash_text(domain) % BUCKETS], bucket)
		if (strcmp(state->fetch.domain, domain) == 0)
			break;
	return state;
}

/* With the lock held. */
static void
end(struct sts_fetches *fetches, struct sts_fetch_state *state)
{
	state->ended = true;
	LIST_REMOVE(state, bucket);
	fetches->background -= state->fetch.background;
	pthread_cond_broadcast(&state->end);
	release(state);
}

/* With the lock held: our own trouble, which says nothing about the domain. */
static void
call_off(struct sts_fetches *fetches, struct sts_fetch_state *state, enum sts_fault fault,
    const char *why)
{
	state->fetch.outcome = STS_FETCHES_BROKEN;
	state->fetch.fault = fault;
	snprintf(state->fetch.why, sizeof(state->fetch.why), "%s", why);
	end(fetches, state);
}

static void *
run_queue(void *context)
{
	struct sts_fetches *fetches = context;
	struct sts_fetch_state *state;

	pthread_mutex_lock(&fetches->lock);
	while ((state = STAILQ_FIRST(&fetches->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&fetches->queue, queue);
		pthread_mutex_unlock(&fetches->lock);
		fetches->run(fetches->context, &state->fetch);
		pthread_mutex_lock(&fetches->lock);
		/* A failure during the shutdown may be caused by it. */
		if (fetches->stop && state->fetch.outcome != STS_FETCHES_FETCHED)
			call_off(fetches, state, STS_FAULT_STOPPED, "stsgated stops");
		else
			end(fetches, state);
	}
	if (--fetches->threads == 0)
		pthread_cond_broadcast(&fetches->no_threads);
	pthread_mutex_unlock(&fetches->lock);
	return NULL;
}

/* With the lock held. */
static bool
start_thread(struct sts_fetches *fetches)
{
	if (thread_start_detached(FETCH_STACK, run_queue, fetches) != 0)
		return false;
	fetches->threads++;
	return true;
}

/* With the lock held. */
static struct sts_fetch_state *
start(struct sts_fetches *fetches, const char *domain, const char *id, bool refresh,
    bool background)
{
	struct sts_fetch_state *state = state_new(domain, id, refresh);

	state->users = 2;	/* the table and the caller */
	state->fetch.background = background;
	fetches->background += background;
	LIST_INSERT_HEAD(&fetches->buckets[hash_text(domain) % BUCKETS], state, bucket);
	if (fetches->stop) {
		call_off(fetches, state, STS_FAULT_STOPPED, "stsgated stops");
		return state;
	}
	STAILQ_INSERT_TAIL(&fetches->queue, state, queue);
	if (fetches->threads < fetches->threads_max && !start_thread(fetches) &&
	    fetches->threads == 0) {
		STAILQ_REMOVE(&fetches->queue, state, sts_fetch_state, queue);
		call_off(fetches, state, STS_FAULT_NO_THREAD,
		    "cannot create a thread for the policy fetch");
	}
	return state;
}

void
sts_fetches_cancel(struct sts_fetches *fetches)
{
	struct sts_fetch_state *state;

	pthread_mutex_lock(&fetches->lock);
	fetches->stop = true;
	while ((state = STAILQ_FIRST(&fetches->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&fetches->queue, queue);
		call_off(fetches, state, STS_FAULT_STOPPED, "stsgated stops");
	}
	pthread_mutex_unlock(&fetches->lock);
}

void
sts_fetches_free(struct sts_fetches *fetches)
{
	if (fetches == NULL)
		return;
	sts_fetches_cancel(fetches);
	pthread_mutex_lock(&fetches->lock);
	while (fetches->threads > 0)
		pthread_cond_wait(&fetches->no_threads, &fetches->lock);
	pthread_mutex_unlock(&fetches->lock);
	pthread_cond_destroy(&fetches->no_threads);
	pthread_mutex_destroy(&fetches->lock);
	free(fetches);
}

struct sts_fetch *
sts_fetches_join(struct sts_fetches *fetches, const char *domain, const char *id, bool refresh)
{
	struct sts_fetch_state *state;

	pthread_mutex_lock(&fetches->lock);
	state = find(fetches, domain);
	if (state != NULL)
		state->users++;
	else
		state = start(fetches, domain, id, refresh, false);
	pthread_mutex_unlock(&fetches->lock);
	return &state->fetch;
}

bool
sts_fetches_wait(struct sts_fetches *fetches, struct sts_fetch *fetch, struct deadline deadline)
{
	struct sts_fetch_state *state = fetch->state;
	struct timespec until = deadline_timespec(deadline);
	bool ended;

	pthread_mutex_lock(&fetches->lock);
	while (!state->ended && !deadline_passed(deadline))
		pthread_cond_timedwait(&state->end, &fetches->lock, &until);
	ended = state->ended;
	pthread_mutex_unlock(&fetches->lock);
	return ended;
}

void
sts_fetches_leave(struct sts_fetches *fetches, struct sts_fetch *fetch)
{
	if (fetch == NULL)
		return;
	pthread_mutex_lock(&fetches->lock);
	release(fetch->state);
	pthread_mutex_unlock(&fetches->lock);
}

void
sts_fetches_send(struct sts_fetches *fetches, const char *domain)
{
	pthread_mutex_lock(&fetches->lock);
	if (find(fetches, domain) == NULL)
		release(start(fetches, domain, "", true, true));
	pthread_mutex_unlock(&fetches->lock);
}

bool
sts_fetches_has(struct sts_fetches *fetches, const char *domain)
{
	bool has;

	pthread_mutex_lock(&fetches->lock);
	has = find(fetches, domain) != NULL;
	pthread_mutex_unlock(&fetches->lock);
	return has;
}

size_t
sts_fetches_background(struct sts_fetches *fetches)
{
	size_t background;

	pthread_mutex_lock(&fetches->lock);
	background = fetches->background;
	pthread_mutex_unlock(&fetches->lock);
	return background;
}

bool
sts_fetches_stopping(struct sts_fetches *fetches)
{
	bool stopping;

	pthread_mutex_lock(&fetches->lock);
	stopping = fetches->stop;
	pthread_mutex_unlock(&fetches->lock);
	return stopping;
}
