/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answers of the control socket: what each path shows or does, as a status and JSON text.
 * Knows nothing of HTTP's wire. Any thread.
 */
#ifndef SHIM_CONTROL_POLICY_H
#define SHIM_CONTROL_POLICY_H

#include <stdint.h>

#include "policy/gather.h"
#include "shim/control_answer.h"

void control_show_policy(const struct gatherer *gatherer, const char *domain,
    struct control_answer *answer);
/* The page of cached policies after a domain ("" from the start), at most limit. */
void control_list_cache(const struct gatherer *gatherer, const char *after, unsigned limit,
    struct control_answer *answer);
void control_show_entry(const struct gatherer *gatherer, const char *domain,
    struct control_answer *answer);
void control_refresh(const struct gatherer *gatherer, const char *domain, int64_t uid,
    struct control_answer *answer);
void control_forget(const struct gatherer *gatherer, const char *domain, int64_t uid,
    struct control_answer *answer);

#endif
