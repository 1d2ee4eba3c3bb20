/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answers about the policy cache, and what changes it. uid is the peer's, -1 when it is not
 * known; what changes the cache is logged with it. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_CACHE_H
#define SHIM_CONTROL_CONTROL_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "policy/facts/gather.h"
#include "shim/control/control_answer.h"

/* The page of cached policies after a domain ("" from the start), at most limit. */
void control_list_cache(const struct gatherer *gatherer, const char *after, unsigned limit,
    struct control_answer *answer);
void control_show_entry(const struct gatherer *gatherer, const char *domain,
    struct control_answer *answer);
void control_refresh(const struct gatherer *gatherer, const char *domain, int64_t uid,
    struct control_answer *answer);
void control_forget(const struct gatherer *gatherer, const char *domain, int64_t uid,
    struct control_answer *answer);
/* Exported policies, one JSON object a line: {"imported", "rejected", "reasons": [{"line",
 * "domain", "reason"}]}, with the reasons of the first so many. */
void control_import(const struct gatherer *gatherer, const char *lines, size_t length, int64_t uid,
    struct control_answer *answer);

#endif
