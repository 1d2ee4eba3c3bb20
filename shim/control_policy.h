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

struct control_answer {
	unsigned status;	/* 200, 204, 400, 404, 405, 500, 502 */
	char *json;	/* freed with free(); NULL with 204 */
};

/* {"error": "..."} */
void control_refuse(struct control_answer *answer, unsigned status, const char *error);

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
void control_health(const struct gatherer *gatherer, struct control_answer *answer);

#endif
