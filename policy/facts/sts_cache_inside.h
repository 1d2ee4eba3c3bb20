/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What the parts of the policy cache share: sts_cache.c answers, sts_cache_txt.c reads TXT,
 * sts_cache_fetch.c fetches and replaces, sts_cache_maintain.c refreshes in the background and
 * sts_cache_list.c shows what there is. For these alone.
 */
#ifndef POLICY_FACTS_STS_CACHE_INSIDE_H
#define POLICY_FACTS_STS_CACHE_INSIDE_H

#include "base/conf/conf_now.h"
#include "policy/facts/sts_backoff.h"
#include "policy/facts/sts_cache.h"
#include "policy/facts/sts_clock.h"
#include "policy/facts/sts_fetches.h"
#include "policy/facts/sts_outage.h"
#include "policy/facts/sts_store.h"

/* The settings of the cache; they may change at any time. */
struct sts_rules {
	_Atomic int64_t refresh_interval, retry_interval, cold_failure_grace, dns_timeout;
	_Atomic size_t max_policy_size;
};

struct sts_cache {
	struct sts_rules rules;
	const struct conf *conf;	/* without now */
	struct conf_now *now;	/* for fetches, or NULL */
	struct resolver *resolver;
	struct http *http;
	struct store *store;
	struct sts_clock clock;
	struct sts_store *policies;
	struct sts_backoff *backoff;
	struct sts_fetches *fetches;
	struct sts_outage *outage;
	/* Of the timer thread alone. */
	int64_t flushed_ms, anchored_ms;
	int64_t stepped_ms;	/* the last step of the wall clock that was looked after */
	bool unwritten;	/* something is, since flushed_ms */
};

/* What a TXT answer says. */
enum txt_answer { TXT_NONE, TXT_VALID, TXT_INVALID, TXT_FAILED, TXT_BOGUS };

/* id is written for TXT_VALID, *why for INVALID, FAILED and BOGUS. */
enum txt_answer sts_cache_read_txt(struct arena *arena, const struct dns_answer *answer,
    char id[LIMIT_STS_ID + 1], const char **why);
/* Entries of sts_store.h have times of sts_clock.h; others see the wall clock's. */
bool sts_cache_is_over(const struct sts_cache *cache, const struct sts_entry *entry);
void sts_cache_to_wall(struct sts_cache *cache, struct sts_entry *entry);
struct sts_policy sts_policy_copy(struct arena *arena, const struct sts_policy *policy);

/* For sts_fetches_new(): fetches, stores what came, and remembers what failed. */
void sts_cache_fetch(void *cache, struct sts_fetch *fetch);

/* Stores the state of the clocks, for the next start. */
void sts_cache_anchor(struct sts_cache *cache);

bool sts_cache_backs_off(struct sts_cache *cache, const char *domain, const char *id, bool alive,
    struct sts_backoff_failure *failure);

/* When to refresh a policy with this max_age next, from now on; 0: never. */
int64_t sts_cache_next_refresh(const struct sts_cache *cache, uint32_t max_age);

/* An enforced policy in use has ended and was not refreshed. And how that was settled. */
void sts_cache_ran_out(const struct sts_entry *entry);
void sts_cache_ran_out_ends(const char *domain, const char *how);

/* One line about a domain's policy for the administrator. */
void sts_cache_say(enum log_level level, const char *domain, const struct sts_policy *policy,
    const struct finding *finding, const char *message);

#endif
