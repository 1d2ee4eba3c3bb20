/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/facts/sts_cache_inside.h"

enum store_result
sts_cache_forget(struct sts_cache *cache, const char *domain)
{
	enum store_result result = sts_store_forget(cache->policies, domain);

	sts_backoff_forget(cache->backoff, domain);
	if (result != STORE_FAILED)
		sts_cache_ran_out_ends(domain, "the policy was forgotten on request");
	return result;
}

const _Atomic uint64_t *
sts_cache_changes(const struct sts_cache *cache, const char *domain)
{
	return sts_store_changes(cache->policies, domain);
}

void
sts_cache_change_all(struct sts_cache *cache)
{
	sts_store_change_all(cache->policies);
}

enum store_result
sts_cache_peek(struct sts_cache *cache, struct arena *arena, const char *domain,
    struct sts_entry *entry)
{
	enum store_result result = sts_store_get(cache->policies, arena, domain, entry);

	if (result == STORE_OK && sts_cache_is_over(cache, entry))
		return STORE_ABSENT;
	if (result == STORE_OK)
		sts_cache_to_wall(cache, entry);
	return result;
}

struct live_listing {
	struct sts_cache *cache;
	bool (*each)(void *context, const struct sts_entry *entry);
	void *context;
};

static bool
list_live(void *context, const struct sts_entry *entry)
{
	const struct live_listing *listing = context;
	struct sts_entry shown = *entry;

	if (sts_cache_is_over(listing->cache, entry))
		return true;
	sts_cache_to_wall(listing->cache, &shown);
	return listing->each(listing->context, &shown);
}

enum store_result
sts_cache_list(struct sts_cache *cache, const char *after,
    bool (*each)(void *context, const struct sts_entry *entry), void *context)
{
	struct live_listing listing = { cache, each, context };

	return sts_store_list(cache->policies, after, list_live, &listing);
}
