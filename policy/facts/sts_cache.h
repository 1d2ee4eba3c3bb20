/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which MTA-STS policy is in force for a domain? The anti-downgrade memory: a policy stays until
 * its max_age ends, counted from the fetch, through restarts, vanished TXT records and failed
 * fetches, and is replaced only by one fetched over verified HTTPS (RFC 8461 3.3, 5.1).
 * Any thread; one fetch per domain at a time, whoever waits shares its result.
 */
#ifndef POLICY_FACTS_STS_CACHE_H
#define POLICY_FACTS_STS_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/http.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "base/store/store.h"
#include "policy/dns/resolver.h"
#include "policy/facts.h"

struct sts_cache;

/* Everything passed must outlive the cache. */
struct sts_cache *sts_cache_new(const struct conf *conf, struct resolver *resolver,
    struct http *http, struct store *store);
/* Before any other use: fetches go by the configuration in force. */
void sts_cache_follow(struct sts_cache *cache, struct conf_now *now);
/* Intervals and limits are those of conf from now on. */
void sts_cache_reload(struct sts_cache *cache, const struct conf *conf);
/* At the end of the process, before resolver_cancel() and http_cancel(): a fetch that fails from
 * now on counts as failed by this program, which is not remembered. */
void sts_cache_cancel(struct sts_cache *cache);
/* Writes policies that are only in memory. Returns how many still are. */
size_t sts_cache_flush(struct sts_cache *cache);
void sts_cache_free(struct sts_cache *cache);	/* cancels, and waits for fetches that run */

/* The policy in force for domain (A-labels), asking TXT and fetching as needed. Fills every field
 * of sts; what it points to is in the arena. */
void sts_cache_get(struct sts_cache *cache, struct arena *arena, const char *domain,
    struct deadline deadline, struct sts_facts *sts);
/*
 * The same in steps, for a caller that has other DNS questions at the same time: begin, ask the
 * question (NULL: there is none) with others, then answered(), which sends for the policy where one
 * is needed and does not wait, and finish(), which does. Every inquiry that was answered is
 * finished.
 */
struct sts_inquiry;
struct sts_inquiry *sts_cache_begin(struct sts_cache *cache, struct arena *arena,
    const char *domain);
struct dns_question *sts_inquiry_question(struct sts_inquiry *inquiry);
void sts_cache_answered(struct sts_cache *cache, struct sts_inquiry *inquiry);
void sts_cache_finish(struct sts_cache *cache, struct sts_inquiry *inquiry,
    struct deadline deadline, struct sts_facts *sts);
/* Waits for what was sent for, before it is finished; where a policy is in force, two seconds at
 * most, and the fetch goes on. false: it is still on its way, and to be waited for. */
bool sts_cache_await(struct sts_cache *cache, const struct sts_inquiry *inquiry,
    struct deadline deadline);

/* Before a refusal: asks TXT past the resolver's cache, at most once per sts.retry-interval for a
 * domain, and sends for what it announces. NULL: nothing is new compared with sts; else await and
 * finish the inquiry, and judge once more. */
struct sts_inquiry *sts_cache_recheck(struct sts_cache *cache, struct arena *arena,
    const char *domain, struct deadline deadline, const struct sts_facts *sts);

/* Holds another number whenever the policy of domain was replaced, imported or forgotten, and at
 * times without: a caller then drops what it has derived from the policy. Lasts as long as
 * cache. */
const _Atomic uint64_t *sts_cache_changes(const struct sts_cache *cache, const char *domain);
/* Other input of the answers has changed. */
void sts_cache_change_all(struct sts_cache *cache);

/* Fetches now, whatever the TXT record's id and the back-off say: begin, await as often as is
 * wished, and end, which waits too. 0, or -1: sts says why not. */
struct sts_inquiry *sts_cache_refresh_begin(struct sts_cache *cache, struct arena *arena,
    const char *domain);
int sts_cache_refresh_end(struct sts_cache *cache, struct sts_inquiry *inquiry,
    struct deadline deadline, struct sts_facts *sts);
enum store_result sts_cache_forget(struct sts_cache *cache, const char *domain);

struct sts_entry {
	const char *domain;
	struct sts_policy policy;
	int64_t fetched, expires;	/* wall clock, seconds */
	int64_t refresh;	/* next background fetch, 0 when none */
	int64_t used;	/* last delivery that asked, to the hour */
	const char *last_error;	/* of the last fetch, "" when it succeeded */
};
/* Entries that have not expired, by name, after a domain ("" for all), until each returns false. */
enum store_result sts_cache_list(struct sts_cache *cache, const char *after,
    bool (*each)(void *context, const struct sts_entry *entry), void *context);
/* One entry, in the arena. STORE_ABSENT when there is none or it has expired. */
enum store_result sts_cache_peek(struct sts_cache *cache, struct arena *arena, const char *domain,
    struct sts_entry *entry);

/* An entry that was exported elsewhere, or here and before. It never takes the place of a policy
 * that was fetched later; the one that is there already is done. */
enum sts_import {
	STS_IMPORT_DONE,
	STS_IMPORT_OLDER,	/* than the one in the cache */
	STS_IMPORT_EXPIRED,
	STS_IMPORT_FUTURE,	/* fetched at a time that has not come */
	STS_IMPORT_TOO_LARGE,	/* for sts.max-policy-size */
	STS_IMPORT_UNWRITTEN,	/* kept in memory, until the store can be written */
	STS_IMPORT_FAILED	/* neither the store nor memory could take it */
};
enum sts_import sts_cache_import(struct sts_cache *cache, const struct sts_entry *entry);
/* After the last of many: until then a power loss may take them. */
enum store_result sts_cache_imported(struct sts_cache *cache);

/* Work of the timer thread: fetches what is due for refresh, at most a few at a time. Returns the
 * milliseconds until it wants to be called again. */
int64_t sts_cache_maintain(struct sts_cache *cache, struct deadline deadline);

/* Drops from every table of the store what is long over, by no clock that may have stepped. */
void sts_cache_purge(struct sts_cache *cache);

#endif
