/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/log.h"
#include "base/metrics.h"
#include "policy/facts/sts_cache_inside.h"

#define FUTURE_S	(24 * 3600)	/* as for a policy in the cache */

struct importing {
	struct sts_cache *cache;
	const struct sts_entry *entry;
	enum sts_import result;
	bool fell;	/* from enforce */
};

static enum sts_store_change
take(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	struct importing *importing = context;
	const struct sts_entry *import = importing->entry;
	struct sts_cache *cache = importing->cache;
	int64_t now = sts_clock_now(&cache->clock);

	(void)arena;
	importing->result = STS_IMPORT_DONE;
	if (found && entry->fetched == import->fetched)
		return STS_STORE_WRITE;	/* it may be in memory alone */
	if (found && entry->fetched > import->fetched) {
		importing->result = STS_IMPORT_OLDER;
		return STS_STORE_LEAVE;
	}
	importing->fell = found && !sts_cache_is_over(cache, entry) &&
	    entry->policy.mode == STS_MODE_ENFORCE && import->policy.mode != STS_MODE_ENFORCE;
	*entry = *import;
	entry->used = now;
	entry->refresh = sts_cache_next_refresh(cache, (uint32_t)(import->expires - now));
	return STS_STORE_WRITE;
}

/* After the store could not take it. */
static bool
is_kept(struct sts_cache *cache, const struct sts_entry *import)
{
	struct arena *arena = arena_new();
	struct sts_entry entry;
	bool kept = sts_store_get(cache->policies, arena, import->domain, &entry) == STORE_OK &&
	    entry.fetched == import->fetched && strcmp(entry.policy.id, import->policy.id) == 0;

	arena_free(arena);
	return kept;
}

enum sts_import
sts_cache_import(struct sts_cache *cache, const struct sts_entry *import)
{
	static const struct finding none = { .type = RESULT_OK };
	struct sts_entry own = *import, *entry = &own;
	struct importing importing = { .cache = cache, .entry = entry };

	own.fetched = sts_clock_life(&cache->clock, import->fetched);
	own.expires = sts_clock_life(&cache->clock, import->expires);
	if (entry->policy.body_length > cache->rules.max_policy_size)
		return STS_IMPORT_TOO_LARGE;
	if (entry->fetched > sts_clock_now(&cache->clock) + FUTURE_S)
		return STS_IMPORT_FUTURE;
	if (sts_cache_is_over(cache, entry))
		return STS_IMPORT_EXPIRED;
	if (sts_store_update(cache->policies, entry->domain, STORE_LAZY, take, &importing) !=
	    STORE_OK)
		importing.result = is_kept(cache, entry) ? STS_IMPORT_UNWRITTEN : STS_IMPORT_FAILED;
	if (importing.result == STS_IMPORT_FAILED)
		return STS_IMPORT_FAILED;
	if (importing.result == STS_IMPORT_DONE || importing.result == STS_IMPORT_UNWRITTEN)
		sts_cache_ran_out_ends(entry->domain, "a policy was imported");
	if (importing.fell) {
		metrics_count(METRIC_POLICY_ALARMS, "fell", NULL);
		sts_cache_say(LOG_LEVEL_WARNING, entry->domain, &entry->policy, &none,
		    "imported: mail to the domain is no longer protected");
	}
	return importing.result;
}

enum store_result
sts_cache_imported(struct sts_cache *cache)
{
	return store_checkpoint(cache->store);
}
