/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Was the same question answered recently? Then the same octets are the answer again. An MTA asks
 * several times for each delivery, and a queue run for one domain again and again. Any thread.
 * Holds a limited number; those that end soonest make room.
 */
#ifndef INTEGRATION_POLICYMAP_POLICY_MAP_ANSWERS_H
#define INTEGRATION_POLICYMAP_POLICY_MAP_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "integration/policymap/plan_map.h"

struct policy_map_answers;

struct policy_map_answers *policy_map_answers_new(void);
void policy_map_answers_free(struct policy_map_answers *answers);

/* Appends the octets that were kept for question to buf. now_ms is of the monotonic
 * clock. */
bool policy_map_answers_find(struct policy_map_answers *answers, const char *question,
    size_t length, int64_t now_ms, struct buf *buf, enum plan_map_answer *kind);
/* Keeps them until then, or until watched, which lasts as long as answers, holds another number
 * than changes. A long answer is not kept. */
void policy_map_answers_keep(struct policy_map_answers *answers, const char *question,
    size_t length, int64_t until_ms, const _Atomic uint64_t *watched, uint64_t changes,
    const char *octets, size_t octet_count, enum plan_map_answer kind);

#endif
