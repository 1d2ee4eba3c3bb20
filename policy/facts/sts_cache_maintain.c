/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>

#include "base/alarm.h"
#include "base/log.h"
#include "base/metrics.h"
#include "policy/facts/sts_cache_inside.h"

#define PARALLEL_MAX	16	/* refreshes at the same time */
#define BUSY_MS	250	/* until the next look while there is more to do */
#define IDLE_MS	(60 * 1000)
#define FLUSH_EVERY_MS	(10 * 1000)
#define ANCHOR_EVERY_MS	(60 * 1000)
#define IDLE_S	(180 * 24 * 3600)	/* a policy unused for so long is no longer refreshed */
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
	int64_t step;

	switch (sts_clock_watch(&cache->clock, &step)) {
	case STS_STEP_NONE:
		alarm_end(ALARM_CLOCK, "", "the system clock is back where it was");
		break;
	case STS_STEP_SET:
		alarm_end(ALARM_CLOCK, "", "the system clock has been set");
		break;
	case STS_STEP_KEPT:
		alarm_end(ALARM_CLOCK, "",
		    "the system clock has kept its time for a day and is "
		    "accepted as correct from now on");
		break;
	case STS_STEP_BEHIND:
		(void)alarm_begin(ALARM_CLOCK, "",
		    "the system clock is %" PRId64 " seconds "
		    "behind the time before this machine was started: check its time server or "
		    "battery. No MTA-STS policy ends early because of that",
		    -step);
		break;
	case STS_STEP_MADE:
		(void)alarm_begin(ALARM_CLOCK, "",
		    "the system clock was set %s by %" PRId64
		    " seconds, while stsgated ran or since: check its time server. No MTA-STS "
		    "policy ends earlier or later because of that; certificates and reports use "
		    "the new time",
		    step > 0 ? "forward" : "back", step > 0 ? step : -step);
		break;
	}
	metrics_set(METRIC_CLOCK_STEP, step);
	if (cache->clock.now.stepped_ms != cache->stepped_ms) {
		cache->stepped_ms = cache->clock.now.stepped_ms;
		resolver_forget(cache->resolver);
	}
}

void
sts_cache_anchor(struct sts_cache *cache)
{
	int64_t step;

	(void)sts_clock_watch(&cache->clock, &step);
	sts_clock_save(&cache->clock, cache->store);
}

/* Often, so that little is unknown after a crash of the machine. */
static void
anchor_clock(struct sts_cache *cache)
{
	int64_t now = clock_monotonic_ms();

	if (cache->anchored_ms != 0 && now - cache->anchored_ms < ANCHOR_EVERY_MS)
		return;
	cache->anchored_ms = now;
	sts_clock_save(&cache->clock, cache->store);
}

size_t
sts_cache_flush(struct sts_cache *cache)
{
	return sts_store_flush(cache->policies);
}

/* How long until the next time, at most. */
static int64_t
flush(struct sts_cache *cache)
{
	int64_t now = clock_monotonic_ms();

	if (now - cache->flushed_ms >= FLUSH_EVERY_MS) {
		cache->flushed_ms = now;
		cache->unwritten = sts_cache_flush(cache) > 0;
	}
	return cache->unwritten ? cache->flushed_ms + FLUSH_EVERY_MS - now : IDLE_MS;
}

static enum sts_store_change
retire(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	const int64_t *at = context;

	(void)arena;
	if (!found || entry->refresh != *at)
		return STS_STORE_LEAVE;
	entry->refresh = 0;
	return STS_STORE_WRITE;
}

/* Is this still the time at which the policy is to be refreshed, and is it worth it? */
static bool
is_wanted(struct sts_cache *cache, struct arena *arena, const char *domain, int64_t at)
{
	struct sts_entry entry;
	bool idle, over;

	if (sts_store_get(cache->policies, arena, domain, &entry) != STORE_OK ||
	    entry.refresh != at) {
		sts_store_undue(cache->policies, domain, at);
		return false;
	}
	idle = sts_clock_now(&cache->clock) - entry.used > IDLE_S;
	over = sts_cache_is_over(cache, &entry);
	if (!over && !idle)
		return true;
	/* One that is shorter than the time between two tries is fetched when it is needed. */
	if (over && !idle &&
	    (entry.last_error[0] != '\0' ||
		entry.policy.max_age >= cache->rules.retry_interval / 1000))
		sts_cache_ran_out(&entry);
	sts_store_update(cache->policies, domain, STORE_LAZY, retire, &at);
	return false;
}

static bool
refresh_one(void *context, const char *domain, int64_t at)
{
	struct round *round = context;
	struct sts_cache *cache = round->cache;
	struct arena *arena;

	if (round->stale >= STALE_MAX || deadline_passed(round->deadline) ||
	    sts_fetches_background(cache->fetches) >= PARALLEL_MAX) {
		round->more = true;
		return false;
	}
	if (sts_fetches_has(cache->fetches, domain)) {	/* it will set the next time itself */
		round->more = true;
		return true;
	}
	arena = arena_new();
	if (!is_wanted(cache, arena, domain, at))
		round->stale++;
	else if (sts_backoff_once(cache->backoff, domain, STS_ACTION_REFRESH,
		     sts_clock_now(&cache->clock) * 1000, cache->rules.retry_interval))
		sts_fetches_send(cache->fetches, domain);
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
sts_cache_maintain(struct sts_cache *cache, struct deadline deadline)
{
	struct round round = { .cache = cache, .deadline = deadline };
	int64_t sleep = longest_sleep(cache), due, now, next;

	watch_clock(cache);
	anchor_clock(cache);
	due = flush(cache);
	if (due < sleep)
		sleep = due;
	now = sts_clock_now(&cache->clock);
	if (sts_store_due(cache->policies, now, &next, refresh_one, &round) == STORE_FAILED)
		return sleep;
	if (round.more || sts_fetches_background(cache->fetches) > 0)
		return BUSY_MS;
	if (next != 0 && (next - now) * 1000 < sleep)
		return (next - now) * 1000;
	return sleep;
}

/* Policies and related entries use the cache's clock; reports use days of the wall clock. */
void
sts_cache_purge(struct sts_cache *cache)
{
	static const enum store_table own[] = { STORE_POLICIES, STORE_DUE, STORE_COLD_FAILURES };
	static const enum store_table others[] = { STORE_TALLY, STORE_OUTBOX };

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		(void)store_purge(cache->store, own[i], sts_clock_certain(&cache->clock));
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		(void)store_purge(cache->store, others[i], sts_clock_certain_wall(&cache->clock));
}
