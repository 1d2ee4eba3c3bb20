/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What was refused by policy, what was let pass although enforcement would have refused it, and
 * which alarms began? Equal events of one UTC hour are one entry with a count. Kept in the store
 * within history.keep and history.max-size; the oldest hours are dropped first. No mail address is
 * kept. An event is written within about two seconds, and survives a power loss from then on. Any
 * thread may call; NULL notes nothing and has nothing.
 *
 * The store's table, in key order:
 *
 *	c.CHAIN			the day of its last use, and a certificate chain as PEM
 *	e.HOUR.ENTRY		figures, kind, domain and chain on a line; then the rest as JSON
 *
 * where HOUR is the number of the hour since 1970 and CHAIN and ENTRY are digests.
 */
#ifndef REPORT_HISTORY_H
#define REPORT_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/store/store.h"

enum history_kind { HISTORY_REFUSED, HISTORY_WOULD, HISTORY_ALARM };
/* "refused", "would", "alarm" */
const char *history_kind_name(enum history_kind kind);
bool history_kind_of(const char *name, enum history_kind *kind);

/* Texts may be NULL: not known, or none. */
struct history_entry {
	enum history_kind kind;
	const char *domain;	/* next hop; "" for an alarm that concerns no single one */
	int64_t first_s, last_s;	/* wall clock */
	uint64_t count, recipients;	/* messages, one a transaction and next hop; and theirs */
	const char *policy, *mode, *policy_id, *host, *address;
	const char *result;	/* a result type of RFC 8460, or the name of the alarm */
	const char *reason;
	const char *reply;	/* local parts are masked by history_note() */
	const char *chain;	/* PEM, in the order served */
};

struct history;

/* keep_s 0: notes nothing. max_size in octets, of what the store's files take for it. NULL: no
 * thread could be created. */
struct history *history_new(struct store *store, int64_t keep_s, uint64_t max_size);
void history_set_limits(struct history *history, int64_t keep_s, uint64_t max_size);
/* Writes what is not written yet. No other call may be running. */
void history_free(struct history *history);

/* Counts one event, with last_s as its time; first_s is ignored. Only memory is touched. */
void history_note(struct history *history, const struct history_entry *event);

#define HISTORY_KEY_MAX	48

struct history_query {
	bool of_kind;
	enum history_kind kind;
	const char *domain;	/* NULL: all */
	int64_t since_s;	/* entries that were last seen then or later */
	const char *after;	/* key of the last entry seen; NULL or "": from the start */
	bool chains;	/* are they wanted? */
};

/* Is it a key as history_scan() hands out? */
bool history_is_key(const char *text);
/* Calls each for the entries, the oldest hour first, until it returns false. An entry lives as long
 * as that call. What was noted before is included. */
enum store_result history_scan(struct history *history, const struct history_query *query,
    bool (*each)(void *context, const char *key, const struct history_entry *entry), void *context);

/* The text with "*" in place of local parts of mail addresses. The caller frees it. */
char *history_mask(const char *text);

/* How did the last message to a domain fare? The worst of its recipients. */
enum history_end { HISTORY_END_NONE, HISTORY_END_SENT, HISTORY_END_WOULD, HISTORY_END_REFUSED };

/* What is known since the start of the process of deliveries to a domain: of the last thousands of
 * domains. Seconds of the wall clock; 0: never. */
struct history_last {
	enum history_end end;
	int64_t sent_since_s;	/* the first one that was sent, or since the last refusal */
	int64_t verified_s;	/* the last one with a verified certificate */
	char host[256];	/* that it went to */
};

/* verified_by: the host that proved itself, or NULL. */
void history_note_end(struct history *history, const char *domain, enum history_end end,
    const char *verified_by, int64_t at_s);
bool history_last(struct history *history, const char *domain, struct history_last *last);

/* Was this host tried out for this domain within the last hour? Then passes says whether it meets
 * what enforcement would demand. */
bool history_trial(struct history *history, const char *domain, const char *host, bool *passes);
void history_note_trial(struct history *history, const char *domain, const char *host, bool passes);

#endif
