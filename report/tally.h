/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How many sessions succeeded and failed, and how (RFC 8460 4.3)? Counted in the store by UTC day
 * of the event, next-hop domain, TXT record and policy; equal failures are one detail with a count.
 * A session is counted as a whole or not at all, exact over a crash of the process. Any thread.
 *
 * The store's table, in key order, so that the entries of a domain's day are adjacent:
 *
 *	DAY DOMAIN			how many records
 *	DAY DOMAIN RECORD		how many policies, and the TXT record
 *	DAY DOMAIN RECORD POLICY	successes, failures, how many details
 *	DAY DOMAIN RECORD POLICY !	the policy as JSON
 *	DAY DOMAIN RECORD POLICY DETAIL	sessions, and the detail as JSON
 *
 * where DAY is YYYY-MM-DD and RECORD, POLICY and DETAIL are digests of what they stand for.
 */
#ifndef REPORT_TALLY_H
#define REPORT_TALLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/store/store.h"
#include "report/day.h"
#include "report/outcome.h"

struct tally;

/* A day is kept for keep_s seconds after its end; store_purge() drops it. */
struct tally *tally_new(struct store *store, int64_t keep_s);
void tally_free(struct tally *tally);	/* NULL is allowed */

/* Counts a session. Never fails as its caller sees it: what cannot be written, or would be beyond
 * the bounds on what a domain may make us keep, is counted as lost in the metrics. NULL: counts
 * nothing. */
void tally_add(struct tally *tally, const struct session_outcome *session);

struct tally_detail {
	struct outcome_failure failure;
	uint64_t sessions;
};

struct tally_policy {
	struct outcome_policy policy;
	uint64_t succeeded, failed;
	struct tally_detail *details;
	size_t detail_count;
};

/* The subject of one report. */
struct tally_report {
	int64_t day;
	const char *domain;
	const char *record;	/* the TXT record */
	bool further;	/* not the first of its domain and day */
	uint64_t records;	/* how many reports its domain and day have; 0: not known */
	char record_digest[DIGEST_TEXT];	/* tells the records of one domain and day apart */
	struct tally_policy *policies;	/* tlsa, sts, no-policy-found */
	size_t policy_count;
};

/* Calls each for the reports of a day, in order of domains, those greater than after ("" for all),
 * until it returns false. What each is handed lives as long as that call. A day past its keep_s
 * counts as empty. */
enum store_result tally_scan(struct tally *tally, int64_t day, const char *after,
    bool (*each)(void *context, const struct tally_report *report), void *context);
/* The same for one domain; its reports live as long as the arena. STORE_ABSENT: there are none. */
enum store_result tally_read(struct tally *tally, int64_t day, const char *domain,
    struct arena *arena, struct tally_report **reports, size_t *count);
/* The first day after a day that holds anything. STORE_ABSENT: there is none. */
enum store_result tally_next_day(struct tally *tally, int64_t after, int64_t *day);

/* When is a day deleted? Wall-clock second. */
int64_t tally_purge_at(const struct tally *tally, int64_t day);

#endif
