/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answer about the policy in force for a domain. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_POLICY_H
#define SHIM_CONTROL_CONTROL_POLICY_H

#include "policy/facts/gather.h"
#include "shim/control/control_answer.h"

void control_show_policy(const struct gatherer *gatherer, const char *domain,
    struct control_answer *answer);

#endif
