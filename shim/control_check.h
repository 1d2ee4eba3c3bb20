/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answer about how a delivery would go, tried live. Any thread.
 */
#ifndef SHIM_CONTROL_CHECK_H
#define SHIM_CONTROL_CHECK_H

#include "shim/control_answer.h"
#include "shim/deliver.h"

/* {"domain", "steps": [{"step", "host", "address", "ok", "detail", "ms"}], "verified"} */
void control_check(const struct deliver_context *deliver, const char *domain,
    struct control_answer *answer);

#endif
