/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Where policies are kept: in the store, and in memory those that it could not take, until it can.
 * Beside each lies when it is due for its next refresh. Any thread; changes to one domain happen
 * one after the other, so that none is lost.
 */
#ifndef POLICY_FACTS_STS_STORE_H
#define POLICY_FACTS_STS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/store/store.h"
#include "policy/facts/sts_cache.h"

struct sts_store;

struct sts_store *sts_store_new(struct store *store);	/* store must outlive it */
void sts_store_free(struct sts_store *policies); /* tries once more to write what is in memory */

/* In the arena. STORE_FAILED also for a record that is damaged: there was a policy, and what it
 * said is not known. */
enum store_result sts_store_get(struct sts_store *policies, struct arena *arena, const char *domain,
    struct sts_entry *entry);

/* The effect of update() on an entry. */
enum sts_store_change { STS_STORE_LEAVE, STS_STORE_WRITE };
/* Reads domain's entry, lets update() change it, and writes it back. found is false, and the
 * entry empty but for its domain, when there is none or it is damaged. update() runs under the
 * domain's lock and must not call these functions. STORE_FAILED: not in the store; found again from
 * memory, unless memory is full and the policy does not enforce anything. */
enum store_result sts_store_update(struct sts_store *policies, const char *domain,
    enum store_sync sync,
    enum sts_store_change (*update)(void *context, struct arena *arena, struct sts_entry *entry,
	bool found),
    void *context);
enum store_result sts_store_forget(struct sts_store *policies, const char *domain);

/* Every entry after a domain in order, until each returns false. */
enum store_result sts_store_list(struct sts_store *policies, const char *after,
    bool (*each)(void *context, const struct sts_entry *entry), void *context);

/* Domains whose refresh is due at now or before, longest due first, until each returns false.
 * *next is the first due time after now, 0 for none known. at is as in the entry, unless that has
 * moved on: then sts_store_undue() drops the mark. */
enum store_result sts_store_due(struct sts_store *policies, int64_t now, int64_t *next,
    bool (*each)(void *context, const char *domain, int64_t at), void *context);
void sts_store_undue(struct sts_store *policies, const char *domain, int64_t at);

/* Holds another number whenever domain's policy was replaced, imported or forgotten; others that
 * share it count as well. */
const _Atomic uint64_t *sts_store_changes(const struct sts_store *policies, const char *domain);
void sts_store_change_all(struct sts_store *policies);	/* makes every such number another */

/* Writes what is only in memory. Returns how many entries still are. */
size_t sts_store_flush(struct sts_store *policies);

#endif
