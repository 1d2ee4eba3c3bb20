/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The metrics, in the forms of monitoring and of stsgate stats. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_STATS_H
#define SHIM_CONTROL_CONTROL_STATS_H

#include "policy/facts/gather.h"
#include "shim/control/control_answer.h"

/* accept is that header's value, or NULL. */
void control_metrics(const struct gatherer *gatherer, const char *accept,
    struct control_answer *answer);
void control_stats(const struct gatherer *gatherer, struct control_answer *answer);

#endif
