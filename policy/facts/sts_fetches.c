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

#include "base/thread.h"
#include "policy/facts/sts_fetches.h"

#define BUCKETS	1024
#define FLIGHT_STACK	(256 * 1024)

struct flight_state {
	LIST_ENTRY(flight_state) bucket;	/* while not ended */
	STAILQ_ENTRY(flight_state) queue;	/* while not begun */
	struct flight flight;
	unsigned users;	/* waiters, and the table while it is in it */
	bool ended;
	pthread_cond_t end;
};

struct sts_flights {
	void (*fly)(void *context, struct flight *flight);
	void *context;
	pthread_mutex_t lock;	/* for all that follows, and for states but for their flight */
	pthread_cond_t no_threads;
	LIST_HEAD(, flight_state) buckets[BUCKETS];
	STAILQ_HEAD(, flight_state) queue;
	size_t threads, threads_max;
	size_t background;
	bool stop;
};

struct sts_flights *
sts_flights_new(size_t max, void (*fly)(void *context, struct flight *flight), void *context)
{
	struct sts_flights *flights = xcalloc(1, sizeof(*flights));

	flights->fly = fly;
	flights->context = context;
	flights->threads_max = max;
	pthread_mutex_init(&flights->lock, NULL);
	pthread_cond_init(&flights->no_threads, NULL);
	STAILQ_INIT(&flights->queue);
	return flights;
}

static struct flight_state *
state_new(const char *domain, const char *id, bool refresh)
{
	struct flight_state *state = xcalloc(1, sizeof(*state));

	thread_condition(&state->end);
	state->flight.state = state;
	state->flight.arena = arena_new();
	state->flight.refresh = refresh;
	state->flight.began_ms = clock_monotonic_ms();
	snprintf(state->flight.domain, sizeof(state->flight.domain), "%s", domain);
	snprintf(state->flight.id, sizeof(state->flight.id), "%s", id);
	return state;
}

/* With the lock held. */
static void
release(struct flight_state *state)
{
	if (--state->users > 0)
		return;
	pthread_cond_destroy(&state->end);
	arena_free(state->flight.arena);
	free(state);
}

static unsigned
hash_of(const char *domain)
{
	unsigned hash = 5381;

	while (*domain != '\0')
		hash = hash * 33 + (unsigned char)*domain++;
	return hash % BUCKETS;
}

/* With the lock held. */
static struct flight_state *
find(struct sts_flights *flights, const char *domain)
{
	struct flight_state *state;

	LIST_FOREACH (state, &flights->buckets[hash_of(domain)], bucket)
		if (strcmp(state->flight.domain, domain) == 0)
			break;
	return state;
}

/* With the lock held. */
static void
end(struct sts_flights *flights, struct flight_state *state)
{
	state->ended = true;
	LIST_REMOVE(state, bucket);
	flights->background -= state->flight.background;
	pthread_cond_broadcast(&state->end);
	release(state);
}

/* With the lock held: our own trouble, which says nothing about the domain. */
static void
call_off(struct sts_flights *flights, struct flight_state *state, enum sts_fault fault,
    const char *why)
{
	state->flight.outcome = FLIGHT_BROKEN;
	state->flight.fault = fault;
	snprintf(state->flight.why, sizeof(state->flight.why), "%s", why);
	end(flights, state);
}

static void *
fly_queue(void *context)
{
	struct sts_flights *flights = context;
	struct flight_state *state;

	pthread_mutex_lock(&flights->lock);
	while ((state = STAILQ_FIRST(&flights->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&flights->queue, queue);
		pthread_mutex_unlock(&flights->lock);
		flights->fly(flights->context, &state->flight);
		pthread_mutex_lock(&flights->lock);
		/* A failure during the shutdown may be caused by it. */
		if (flights->stop && state->flight.outcome != FLIGHT_FETCHED)
			call_off(flights, state, STS_FAULT_STOPPED, "stsgated stops");
		else
			end(flights, state);
	}
	if (--flights->threads == 0)
		pthread_cond_broadcast(&flights->no_threads);
	pthread_mutex_unlock(&flights->lock);
	return NULL;
}

/* With the lock held. */
static bool
start_thread(struct sts_flights *flights)
{
	if (thread_start_detached(FLIGHT_STACK, fly_queue, flights) != 0)
		return false;
	flights->threads++;
	return true;
}

/* With the lock held. */
static struct flight_state *
start(struct sts_flights *flights, const char *domain, const char *id, bool refresh,
    bool background)
{
	struct flight_state *state = state_new(domain, id, refresh);

	state->users = 2;	/* the table and the caller */
	state->flight.background = background;
	flights->background += background;
	LIST_INSERT_HEAD(&flights->buckets[hash_of(domain)], state, bucket);
	if (flights->stop) {
		call_off(flights, state, STS_FAULT_STOPPED, "stsgated stops");
		return state;
	}
	STAILQ_INSERT_TAIL(&flights->queue, state, queue);
	if (flights->threads < flights->threads_max && !start_thread(flights) &&
	    flights->threads == 0) {
		STAILQ_REMOVE(&flights->queue, state, flight_state, queue);
		call_off(flights, state, STS_FAULT_NO_THREAD,
		    "cannot create a thread for the policy fetch");
	}
	return state;
}

void
sts_flights_stop(struct sts_flights *flights)
{
	struct flight_state *state;

	pthread_mutex_lock(&flights->lock);
	flights->stop = true;
	while ((state = STAILQ_FIRST(&flights->queue)) != NULL) {
		STAILQ_REMOVE_HEAD(&flights->queue, queue);
		call_off(flights, state, STS_FAULT_STOPPED, "stsgated stops");
	}
	pthread_mutex_unlock(&flights->lock);
}

void
sts_flights_free(struct sts_flights *flights)
{
	if (flights == NULL)
		return;
	sts_flights_stop(flights);
	pthread_mutex_lock(&flights->lock);
	while (flights->threads > 0)
		pthread_cond_wait(&flights->no_threads, &flights->lock);
	pthread_mutex_unlock(&flights->lock);
	pthread_cond_destroy(&flights->no_threads);
	pthread_mutex_destroy(&flights->lock);
	free(flights);
}

struct flight *
sts_flights_join(struct sts_flights *flights, const char *domain, const char *id, bool refresh)
{
	struct flight_state *state;

	pthread_mutex_lock(&flights->lock);
	state = find(flights, domain);
	if (state != NULL)
		state->users++;
	else
		state = start(flights, domain, id, refresh, false);
	pthread_mutex_unlock(&flights->lock);
	return &state->flight;
}

bool
sts_flights_wait(struct sts_flights *flights, struct flight *flight, struct deadline deadline)
{
	struct flight_state *state = flight->state;
	struct timespec until = deadline_timespec(deadline);
	bool ended;

	pthread_mutex_lock(&flights->lock);
	while (!state->ended && !deadline_passed(deadline))
		pthread_cond_timedwait(&state->end, &flights->lock, &until);
	ended = state->ended;
	pthread_mutex_unlock(&flights->lock);
	return ended;
}

void
sts_flights_leave(struct sts_flights *flights, struct flight *flight)
{
	if (flight == NULL)
		return;
	pthread_mutex_lock(&flights->lock);
	release(flight->state);
	pthread_mutex_unlock(&flights->lock);
}

void
sts_flights_send(struct sts_flights *flights, const char *domain)
{
	pthread_mutex_lock(&flights->lock);
	if (find(flights, domain) == NULL)
		release(start(flights, domain, "", true, true));
	pthread_mutex_unlock(&flights->lock);
}

bool
sts_flights_has(struct sts_flights *flights, const char *domain)
{
	bool has;

	pthread_mutex_lock(&flights->lock);
	has = find(flights, domain) != NULL;
	pthread_mutex_unlock(&flights->lock);
	return has;
}

size_t
sts_flights_background(struct sts_flights *flights)
{
	size_t background;

	pthread_mutex_lock(&flights->lock);
	background = flights->background;
	pthread_mutex_unlock(&flights->lock);
	return background;
}

bool
sts_flights_stopping(struct sts_flights *flights)
{
	bool stopping;

	pthread_mutex_lock(&flights->lock);
	stopping = flights->stop;
	pthread_mutex_unlock(&flights->lock);
	return stopping;
}
