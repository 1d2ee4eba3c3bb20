/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answer to the question why mail to a domain waits, or does not: {"domain", "state", "since",
 * "last_verified", "rule", "signs", "entries", "advice"}. From the cache and the history: nothing
 * is looked up. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_WHY_H
#define SHIM_CONTROL_CONTROL_WHY_H

#include "policy/facts/gather.h"
#include "report/history.h"
#include "shim/control/control_answer.h"

void control_why(const struct gatherer *gatherer, struct history *history, const char *domain,
    struct control_answer *answer);

#endif
