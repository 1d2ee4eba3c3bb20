/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/metrics.h"
#include "policy/sts_cache_inside.h"

#define PARALLEL_MAX	16	/* refreshes at the same time */
#define BUSY_MS	250	/* until the next look while there is more to do */
#define IDLE_MS	(60 * 1000)
#define FLUSH_EVERY_MS	(10 * 1000)
#define IDLE_S	(180 * 24 * 3600)	/* a policy not asked for so long is no longer refreshed */
#define STEP_S	60	/* less is no step but drift */
#define STALE_MAX	1000	/* marks cleared in one tick */

struct round {
	struct sts_cache *cache;
	struct deadline deadline;
	size_t stale;
	bool more;	/* was left for the next round */
};

static void
watch_clock(struct sts_cache *cache)
{
	int64_t step = sts_clock_now(&cache->clock).step;

	metrics_set(METRIC_CLOCK_STEP, step);
	if (llabs(step - cache->step_said) <= STEP_S)
		return;
	cache->step_said = step;
	if (llabs(step) <= STEP_S)
		log_message(LOG_LEVEL_WARNING, "clock", "the system clock is back where it was");
	else
		log_message(LOG_LEVEL_ERROR, "clock", "the system clock has been set %s by %lld"
		    " seconds since stsgated started. No MTA-STS policy is dropped for that; they"
		    " are kept by the earlier of both times. When the clock is right, restart"
		    " stsgated",
		    step > 0 ? "forward" : "back", (long long)llabs(step));
}

static void
flush(struct sts_cache *cache)
{
	int64_t now = clock_monotonic_ms();

	if (now - cache->flushed_ms < FLUSH_EVERY_MS)
		return;
	cache->flushed_ms = now;
	sts_shelf_flush(cache->shelf);
}

static enum shelf_change
retire(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	const int64_t *at = context;

	(void)arena;
	if (!found || entry->refresh != *at)
		return SHELF_LEAVE;
	entry->refresh = 0;
	return SHELF_WRITE;
}

/* Is this still the time at which the policy is to be refreshed, and is it worth it? */
static bool
is_wanted(struct sts_cache *cache, struct arena *arena, const char *domain, int64_t at)
{
	struct sts_now now = sts_clock_now(&cache->clock);
	struct sts_entry entry;

	if (sts_shelf_get(cache->shelf, arena, domain, &entry) != STORE_OK || entry.refresh != at) {
		sts_shelf_undue(cache->shelf, domain, at);
		return false;
	}
	if (now.earlier < entry.expires && now.earlier - entry.used <= IDLE_S)
		return true;
	sts_shelf_update(cache->shelf, domain, STORE_LAZY, retire, &at);
	return false;
}

static bool
refresh_one(void *context, const char *domain, int64_t at)
{
	struct round *round = context;
	struct sts_cache *cache = round->cache;
	struct arena *arena;

	if (round->stale >= STALE_MAX || deadline_passed(round->deadline) ||
	    sts_flights_background(cache->flights) >= PARALLEL_MAX) {
		round->more = true;
		return false;
	}
	if (sts_flights_has(cache->flights, domain)) {	/* it will set the next time itself */
		round->more = true;
		return true;
	}
	arena = arena_new();
	if (is_wanted(cache, arena, domain, at))
		sts_flights_send(cache->flights, domain);
	else
		round->stale++;
	arena_free(arena);
	return true;
}

/* Short intervals in the configuration want to be met, too. */
static int64_t
longest_sleep(const struct sts_cache *cache)
{
	int64_t sleep = IDLE_MS;

	if (sleep > cache->rules.refresh_interval / 4)
		sleep = cache->rules.refresh_interval / 4;
	if (sleep > cache->rules.retry_interval)
		sleep = cache->rules.retry_interval;
	return sleep > BUSY_MS ? sleep : BUSY_MS;
}

int64_t
sts_cache_tick(struct sts_cache *cache, struct deadline deadline)
{
	struct round round = { .cache = cache, .deadline = deadline };
	int64_t sleep = longest_sleep(cache), now, next;

	watch_clock(cache);
	flush(cache);
	now = sts_clock_now(&cache->clock).later;
	if (sts_shelf_due(cache->shelf, now, &next, refresh_one, &round) == STORE_FAILED)
		return sleep;
	if (round.more || sts_flights_background(cache->flights) > 0)
		return BUSY_MS;
	if (next != 0 && (next - now) * 1000 < sleep)
		return (next - now) * 1000;
	return sleep;
}
