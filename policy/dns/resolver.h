/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does the DNS say, and is it proven? Validating look-ups by libunbound in this process; no
 * resolver's AD bit is trusted. Any thread may ask; each waits under its own deadline, and a dead
 * zone slows no other.
 */
#ifndef POLICY_DNS_RESOLVER_H
#define POLICY_DNS_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/conf/conf.h"
#include "policy/dns/dns.h"
#include "policy/dns/resolver_health.h"

struct resolver;

/* conf must outlive it. NULL with why: a trust anchor or resolv.conf that cannot be used. The
 * self-test runs in the background, and again each hour, soon after a bad result, and when answers
 * give reason for it; resolver_health() tells its result, and a bad one is logged as an error. */
struct resolver *resolver_new(const struct conf *conf, char *why, size_t why_room);
/* The same with another file for /etc/resolv.conf, which must outlive it: for tests. */
struct resolver *resolver_new_with(const struct conf *conf, const char *resolv_conf, char *why,
    size_t why_room);
/* conf replaces the earlier one. When the servers or the trust anchors differ, all cached answers
 * are dropped. -1 with why: nothing has changed. One thread at a time. */
int resolver_reload(struct resolver *resolver, const struct conf *conf, char *why, size_t why_room);
/* The wall clock was set, and cached answers live by it: later questions get no earlier answers.
 * Any thread. */
void resolver_forget(struct resolver *resolver);
/* Before the process ends: all waiting callers get DNS_FAILED at once. */
void resolver_cancel(struct resolver *resolver);
void resolver_free(struct resolver *resolver);	/* no resolver_ask() may be running */

/* Asks all questions side by side and returns when the last is answered, at the deadline or after
 * dns.timeout, whichever is first; what is unanswered then is DNS_FAILED. A bogus answer is
 * returned once the self-test has found which side is at fault. While names are resolved from the
 * root instead, a name that only the root reports as absent is DNS_FAILED. */
void resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline);

/* Sends a question without waiting for the answer, which is in the cache, or on its way, when the
 * same is asked with resolver_ask(). */
void resolver_want(struct resolver *resolver, const char *name, enum dns_type type);

/* One question past the cache of earlier answers: nothing older than interval_ms answers it. */
void resolver_ask_afresh(struct resolver *resolver, struct arena *arena,
    struct dns_question *question, int64_t interval_ms, struct deadline deadline);

enum resolver_health resolver_health(struct resolver *resolver);
/* Milliseconds since the last self-test, -1 before the first. */
int64_t resolver_tested_ms_ago(struct resolver *resolver);
/* The same, with words for a fault that is this site's own: what it is and what to do, "" for
 * none. */
enum resolver_health resolver_fault(struct resolver *resolver, char words[RESOLVER_FAULT_MAX]);
/* Waits for the self-test: for stsgated -t. */
enum resolver_health resolver_wait_health(struct resolver *resolver, struct deadline deadline);

#endif
