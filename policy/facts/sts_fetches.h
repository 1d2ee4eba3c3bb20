/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Policy fetches on their way: one for a domain at a time, each on a thread of its own and under
 * its own deadline, so that a waiting caller may leave without effect on the others. Any thread.
 */
#ifndef POLICY_FACTS_STS_FETCHES_H
#define POLICY_FACTS_STS_FETCHES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/domain.h"
#include "base/limits.h"
#include "policy/finding.h"
#include "policy/facts/sts_cache.h"
#include "policy/facts/sts_fault.h"

enum sts_fetch_outcome {
	STS_FETCHES_BROKEN,	/* by our own doing: nothing is known; fault and why */
	STS_FETCHES_FETCHED,	/* entry holds the new policy, which is kept already */
	STS_FETCHES_FAILED,	/* by another's: fault, finding and why */
	STS_FETCHES_UNANNOUNCED	/* a refresh: nothing cached, and no TXT record to go by; why */
};

struct sts_fetch {
	/* From the start. */
	char domain[DOMAIN_MAX];
	bool refresh;	/* not for a message: run() asks for the id by itself */
	bool background;	/* no caller waits for it */
	int64_t began_ms;	/* monotonic */
	/* Its result for the callers that wait; filled by run(). */
	char id[LIMIT_STS_ID + 1];	/* of the TXT record; known from the start unless refresh */
	enum sts_fetch_outcome outcome;
	struct arena *arena;	/* the entry's */
	struct sts_entry entry;
	enum sts_fault fault;
	struct finding finding;
	char why[200];
	const char *served;	/* what came instead of a policy, or NULL */
	/* Of sts_fetches.c alone. */
	struct sts_fetch_state *state;
};

struct sts_fetches;

/* run() fills a fetch, on a thread of its own, at most max at a time. */
struct sts_fetches *sts_fetches_new(size_t max, void (*run)(void *context, struct sts_fetch *fetch),
    void *context);
/* Waiting fetches are cancelled, and none begins. A fetch that fails from now on is
 * STS_FETCHES_BROKEN. */
void sts_fetches_cancel(struct sts_fetches *fetches);
/* Stops, and waits for the running fetches. No caller may wait here any more. */
void sts_fetches_free(struct sts_fetches *fetches);

/* The fetch for domain that is under way, or a new one. Given back with sts_fetches_leave(). */
struct sts_fetch *sts_fetches_join(struct sts_fetches *fetches, const char *domain, const char *id,
    bool refresh);
/* true: it has ended. false: the deadline came first. */
bool sts_fetches_wait(struct sts_fetches *fetches, struct sts_fetch *fetch,
    struct deadline deadline);
/* NULL is allowed. */
void sts_fetches_leave(struct sts_fetches *fetches, struct sts_fetch *fetch);

/* A background refresh, unless there is a fetch for domain already. */
void sts_fetches_send(struct sts_fetches *fetches, const char *domain);
bool sts_fetches_has(struct sts_fetches *fetches, const char *domain);
size_t sts_fetches_background(struct sts_fetches *fetches);	/* without a caller */
bool sts_fetches_stopping(struct sts_fetches *fetches);

#endif
