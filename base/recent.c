/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <string.h>

#include "base/deadline.h"
#include "base/recent.h"

#define SLOT_MS	INT64_C(10000)
#define SLOTS	30
#define SPAN_MS	(SLOTS * SLOT_MS)
#define STEPS	8	/* buckets for each doubling */
#define BUCKETS	(21 * STEPS)	/* up to 2^21 ms, over half an hour */

struct slot {
	int64_t number;	/* of the ten seconds that it is about */
	uint64_t counts[RECENTS];
	uint32_t latencies[BUCKETS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot slots[SLOTS + 1];	/* one more: the current one is not over */
static int64_t last_ms[RECENTS];	/* 0: never */
static int64_t began_ms;	/* 0: nothing has happened */

/* With the lock held. */
static struct slot *
slot_now(int64_t now_ms)
{
	int64_t number = now_ms / SLOT_MS;
	struct slot *slot = &slots[number % (SLOTS + 1)];

	if (began_ms == 0)
		began_ms = now_ms;
	if (slot->number != number) {
		memset(slot, 0, sizeof(*slot));
		slot->number = number;
	}
	return slot;
}

void
recent_count(enum recent what)
{
	int64_t now_ms = clock_monotonic_ms();

	(void)pthread_mutex_lock(&lock);
	slot_now(now_ms)->counts[what]++;
	last_ms[what] = now_ms;
	(void)pthread_mutex_unlock(&lock);
}

/* A doubling has eight buckets: 8 to 15 is one each, 16 to 31 two each, and so on. */
static unsigned
bucket_of(int64_t ms)
{
	uint64_t value = ms < 0 ? 0 : (uint64_t)ms;
	unsigned doublings = 0, bucket;

	while (value >= 2 * STEPS) {
		value /= 2;
		doublings++;
	}
	bucket = doublings * STEPS + (unsigned)value;
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The largest value of a bucket. */
static double
ms_of(unsigned bucket)
{
	unsigned doublings = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
	uint64_t value = bucket - doublings * STEPS;

	return (double)(((value + 1) << doublings) - 1);
}

void
recent_latency(int64_t ms)
{
	(void)pthread_mutex_lock(&lock);
	slot_now(clock_monotonic_ms())->latencies[bucket_of(ms)]++;
	(void)pthread_mutex_unlock(&lock);
}

static double
quantile(const uint64_t *latencies, uint64_t total, double share)
{
	uint64_t seen = 0;

	for (unsigned i = 0; total > 0 && i < BUCKETS; i++) {
		seen += latencies[i];
		if ((double)seen >= share * (double)total)
			return ms_of(i) / 1000;
	}
	return 0;
}

static void
add_slot(const struct slot *slot, struct recent_figures *figures, uint64_t *latencies)
{
	for (unsigned i = 0; i < RECENTS; i++)
		figures->counts[i] += slot->counts[i];
	for (unsigned i = 0; i < BUCKETS; i++)
		latencies[i] += slot->latencies[i];
}

void
recent_read(struct recent_figures *figures)
{
	int64_t now_ms = clock_monotonic_ms(), age_ms;
	uint64_t latencies[BUCKETS] = { 0 }, total = 0;

	*figures = (struct recent_figures){ .seconds = 1 };
	(void)pthread_mutex_lock(&lock);
	for (unsigned i = 0; i <= SLOTS; i++)
		if (now_ms / SLOT_MS - slots[i].number <= SLOTS)
			add_slot(&slots[i], figures, latencies);
	age_ms = began_ms == 0 ? 0 : now_ms - began_ms;
	(void)pthread_mutex_unlock(&lock);
	if (age_ms > SPAN_MS)
		age_ms = SPAN_MS;
	if (age_ms > 1000)
		figures->seconds = (double)age_ms / 1000;
	for (unsigned i = 0; i < BUCKETS; i++)
		total += latencies[i];
	figures->p50 = quantile(latencies, total, 0.50);
	figures->p95 = quantile(latencies, total, 0.95);
	figures->p99 = quantile(latencies, total, 0.99);
}

bool
recent_within(enum recent what, int64_t ms)
{
	bool within;

	(void)pthread_mutex_lock(&lock);
	within = last_ms[what] != 0 && clock_monotonic_ms() - last_ms[what] <= ms;
	(void)pthread_mutex_unlock(&lock);
	return within;
}
