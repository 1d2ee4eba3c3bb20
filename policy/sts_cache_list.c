/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/sts_cache_inside.h"

enum store_result
sts_cache_forget(struct sts_cache *cache, const char *domain)
{
	sts_notes_forget(cache->notes, domain);
	return sts_shelf_forget(cache->shelf, domain);
}

const _Atomic uint64_t *
sts_cache_changes(const struct sts_cache *cache, const char *domain)
{
	return sts_shelf_changes(cache->shelf, domain);
}

void
sts_cache_change_all(struct sts_cache *cache)
{
	sts_shelf_change_all(cache->shelf);
}

enum store_result
sts_cache_peek(struct sts_cache *cache, struct arena *arena, const char *domain,
    struct sts_entry *entry)
{
	enum store_result result = sts_shelf_get(cache->shelf, arena, domain, entry);

	if (result == STORE_OK && sts_clock_now(&cache->clock).earlier >= entry->expires)
		return STORE_ABSENT;
	return result;
}

struct live_listing {
	int64_t now;
	bool (*each)(void *context, const struct sts_entry *entry);
	void *context;
};

static bool
list_live(void *context, const struct sts_entry *entry)
{
	const struct live_listing *listing = context;

	return listing->now >= entry->expires || listing->each(listing->context, entry);
}

enum store_result
sts_cache_list(struct sts_cache *cache, const char *after,
    bool (*each)(void *context, const struct sts_entry *entry), void *context)
{
	struct live_listing listing = { sts_clock_now(&cache->clock).earlier, each, context };

	return sts_shelf_list(cache->shelf, after, list_live, &listing);
}
