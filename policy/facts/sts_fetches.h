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

enum flight_outcome {
	FLIGHT_BROKEN,	/* by our own doing: nothing is known; fault and why */
	FLIGHT_FETCHED,	/* entry holds the new policy, which is kept already */
	FLIGHT_FAILED,	/* by another's: fault, finding and why */
	FLIGHT_UNANNOUNCED	/* a refresh: nothing cached, and no TXT record to go by; why */
};

struct flight {
	/* From the start. */
	char domain[DOMAIN_MAX];
	bool refresh;	/* not for a message: fly() asks for the id by itself */
	bool background;	/* nobody waits */
	int64_t began_ms;	/* monotonic */
	/* For whoever has waited for it; filled by fly(). */
	char id[LIMIT_STS_ID + 1];	/* of the TXT record; known from the start unless refresh */
	enum flight_outcome outcome;
	struct arena *arena;	/* the entry's */
	struct sts_entry entry;
	enum sts_fault fault;
	struct finding finding;
	char why[200];
	const char *served;	/* what came instead of a policy, or NULL */
	/* Of sts_fetches.c alone. */
	struct flight_state *state;
};

struct sts_flights;

/* fly() fills a flight, on a thread of its own, at most max at a time. */
struct sts_flights *sts_flights_new(size_t max, void (*fly)(void *context, struct flight *flight),
    void *context);
/* Waiting flights are cancelled, and none begins. A flight that fails from now on is
 * FLIGHT_BROKEN. */
void sts_flights_stop(struct sts_flights *flights);
/* Stops, and waits for those under way. Nobody may wait in here any more. */
void sts_flights_free(struct sts_flights *flights);

/* The flight for domain that is under way, or a new one. Given back with sts_flights_leave(). */
struct flight *sts_flights_join(struct sts_flights *flights, const char *domain, const char *id,
    bool refresh);
/* true: it has ended. false: the deadline came first. */
bool sts_flights_wait(struct sts_flights *flights, struct flight *flight, struct deadline deadline);
/* NULL is allowed. */
void sts_flights_leave(struct sts_flights *flights, struct flight *flight);

/* A background refresh, unless there is a flight for domain already. */
void sts_flights_send(struct sts_flights *flights, const char *domain);
bool sts_flights_has(struct sts_flights *flights, const char *domain);
size_t sts_flights_background(struct sts_flights *flights);	/* without a caller */
bool sts_flights_stopping(struct sts_flights *flights);

#endif
