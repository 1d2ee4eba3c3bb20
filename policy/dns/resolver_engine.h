/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One libunbound context with its thread: the only place that knows libunbound. A resolver holds
 * one engine, and a new one after a change of resolv.conf or of the path by which it asks.
 */
#ifndef POLICY_DNS_RESOLVER_ENGINE_H
#define POLICY_DNS_RESOLVER_ENGINE_H

#include <stdbool.h>

#include "base/deadline.h"
#include "base/conf/conf.h"
#include "policy/dns/resolver.h"
#include "policy/dns/resolver_setup.h"

struct resolver_engine;

/* conf gives trust anchors, insecure names and zones; all other names are resolved by that path.
 * NULL with why: a file or setting that cannot be used. */
struct resolver_engine *resolver_engine_new(const struct conf *conf,
    const struct resolver_servers *servers, enum resolver_path path, bool small, char *why,
    size_t why_room);
/* Ends all waiting, now and from now on: what has no answer yet is DNS_FAILED. */
void resolver_engine_stop(struct resolver_engine *engine);
/* No question may be running. A context that no longer answers is left in memory, so that this ends
 * within seconds. */
void resolver_engine_free(struct resolver_engine *engine);
/* libunbound has stopped: every question fails at once from now on. Any thread. */
bool resolver_engine_is_dead(const struct resolver_engine *engine);

/* Asks all questions side by side; what has no answer at the deadline is DNS_FAILED. Any thread. */
void resolver_engine_ask(struct resolver_engine *engine, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline);

/* Sends a question without a waiting caller: the answer fills the cache. Any thread. */
void resolver_engine_want(struct resolver_engine *engine, const char *name, enum dns_type type);

#endif
