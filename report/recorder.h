/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Counts sessions for the domains that want TLS reports (RFC 8460): looks up the _smtp._tls record
 * at session time, passes the outcomes to the tally and to another collector on this host, and logs
 * failures at once. A delivery never waits for it, and no failure here affects mail. Any thread may
 * call; NULL stands for tlsrpt.enable = off, and does nothing.
 */
#ifndef REPORT_RECORDER_H
#define REPORT_RECORDER_H

#include "base/arena.h"
#include "policy/dns/resolver.h"
#include "report/forward.h"
#include "report/outcomes.h"
#include "report/rua.h"
#include "report/tally.h"

struct recorder;

/* All must outlive it; forward may be NULL. NULL: no thread could be created. */
struct recorder *recorder_new(struct resolver *resolver, struct tally *tally,
    struct forward *forward);
/* Sessions that still wait for a record are lost, and counted so. No other call may be running. */
void recorder_free(struct recorder *recorder);

/* Before the first connection: asks for the record of this next-hop domain, or relay. */
void recorder_begin(struct recorder *recorder, const char *domain);
/* The content of the domain's record now, for explanations; as rua_parse(). */
bool recorder_look_up(struct resolver *resolver, struct arena *arena, const char *domain,
    struct rua_list *list);
/* Sessions that another sender tells of, RECORDER_TOLD_MAX at most; their arenas are taken over.
 * Each counts by the record that is found here for its domain, and not at all without one, whatever
 * record the sender names. Waits a second at most. */
#define RECORDER_TOLD_MAX	100
struct recorder_told {
	struct arena *arena;
	struct session_outcome session;
};
void recorder_take(struct recorder *recorder, struct recorder_told *told, size_t count);
/* After the replies are out. */
void recorder_record(struct recorder *recorder, const struct outcomes_of *of);

#endif
