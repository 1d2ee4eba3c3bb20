/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which reports are still to be sent, to which receivers, and how did the others end? Each rua of a
 * report is an entry of its own, from the hour its day is sent until the day is deleted. Any
 * thread.
 *
 * The store's table:
 *
 *	p DAY				when the day is sent, how far it has been taken up
 *	i DAY DOMAIN RECORD RUA		one entry
 *	w SECOND DAY DOMAIN RECORD RUA	that it is waiting for this second
 *	n DAY RECEIVER			how many entries a receiver has, "!" when that was told
 *	f DAY RECEIVER			the same, of what was sent of a day that was not over
 */
#ifndef REPORT_OUTBOX_H
#define REPORT_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/domain.h"
#include "base/store/store.h"
#include "report/day.h"
#include "report/rua.h"

#define OUTBOX_FIRST_GAP_S	INT64_C(300)	/* doubled after every failure */
#define OUTBOX_TIME_S	INT64_C(86400)	/* after the first try (RFC 8460 5.6) */

enum outbox_state { OUTBOX_WAITING, OUTBOX_TAKEN, OUTBOX_GIVEN_UP };
const char *outbox_state_name(enum outbox_state state);	/* "waiting", "taken", "given-up" */

struct outbox_entry {
	int64_t day;
	char domain[DOMAIN_MAX];
	char record[DIGEST_TEXT];
	enum rua_scheme scheme;
	const char *target;	/* as in struct rua; in the arena */

	enum outbox_state state;
	unsigned tries;
	int64_t first_s;	/* wall clock: the first try, 0 before */
	int64_t next_s;	/* WAITING: not before; else when it was settled */
	const char *error;	/* of the last try, "" */
};

/* How far is a day? */
struct outbox_day {
	int64_t send_at_s;	/* wall clock */
	bool done;	/* all its reports have been taken up */
	char domain[DOMAIN_MAX];	/* else: those up to this one, "" for none */
};

enum store_result outbox_day_read(struct store *store, int64_t day, struct outbox_day *state);
enum store_result outbox_day_write(struct store *store, int64_t day, const struct outbox_day *state,
    int64_t purge_at);

/* How many reports of a day one receiver may get. */
struct outbox_bound {
	const char *receiver;
	uint64_t most;
	bool beyond;	/* set: this one would be beyond */
	bool untold;	/* set: and it is the first */
};

/* Takes up a report for a rua, due at once; nothing when it has been already, or is beyond the
 * bound. bound may be NULL. */
enum store_result outbox_add(struct store *store, const struct outbox_entry *entry,
    struct outbox_bound *bound, int64_t purge_at, int64_t now);
/* The same count for what is sent of a day that is not over, and so is no entry. */
enum store_result outbox_count(struct store *store, int64_t day, struct outbox_bound *bound,
    int64_t purge_at);
/* The entry for this rua, filled from the store in the arena. */
enum store_result outbox_read(struct store *store, struct arena *arena, struct outbox_entry *entry);
/* After an attempt: accepted, waiting for the next one, or given up. */
enum store_result outbox_settle(struct store *store, struct outbox_entry *entry, bool taken,
    int64_t purge_at, int64_t now);
/* Nothing more can become of it: entry->error says why. */
enum store_result outbox_give_up(struct store *store, struct outbox_entry *entry, int64_t purge_at,
    int64_t now);

/* Calls each, in the order in which they are due, for those that are at now, until it returns
 * false. Of the entry day, domain, record and next_s are filled; key names it. */
enum store_result outbox_due(struct store *store, int64_t now,
    bool (*each)(void *context, const char *key), void *context);
/* The entry that such a key names. */
enum store_result outbox_read_key(struct store *store, struct arena *arena, const char *key,
    struct outbox_entry *entry);
/* Calls each for all entries of a day, of one domain only unless it is "", of domains greater than
 * after, until it returns false. */
enum store_result outbox_scan(struct store *store, int64_t day, const char *domain,
    const char *after,
    bool (*each)(void *context, const char *key, const struct outbox_entry *entry), void *context);

/* The name of an entry: "DAY DOMAIN RECORD RUA". */
const char *outbox_key(struct arena *arena, const struct outbox_entry *entry);

#endif
