/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One libunbound context with its thread: the only place that knows libunbound. A resolver holds
 * one engine, and a new one after a change of resolv.conf or a fall-back to recursion.
 */
#ifndef POLICY_RESOLVER_ENGINE_H
#define POLICY_RESOLVER_ENGINE_H

#include "base/conf.h"
#include "base/deadline.h"
#include "policy/resolver.h"

struct resolver_engine;

struct resolver_engine *resolver_engine_new(const struct conf *conf, enum conf_dns_mode mode,
    char *why, size_t why_room);
void resolver_engine_free(struct resolver_engine *engine);	/* no question may be running */
void resolver_engine_ask(struct resolver_engine *engine, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline);

#endif
