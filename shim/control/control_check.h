/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answer about how a delivery would go, tried live. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_CHECK_H
#define SHIM_CONTROL_CONTROL_CHECK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/wait.h"
#include "shim/smtp/deliver.h"
#include "shim/control/control_answer.h"

/* watch: has the client left? See shim/control/check.h. {"domain", "steps": [{"step",
 * "host", "address", "ok", "detail", "ms"}], "verified"} */
void control_check(const struct deliver_context *deliver, const char *domain,
    const struct watch *watch, struct control_answer *answer);
/* {"domain", "steps": [{"step", "host", "state", "detail"}]}: see shim/control/check_inbound.h. */
void control_check_inbound(const struct deliver_context *deliver, const char *domain,
    const struct watch *watch, struct control_answer *answer);
/* A line a step as they come, the whole object last. doing: between them {"doing", "host",
 * "address"}, as shim/control/check.h has it. stopping is looked at until it ends. */
void control_check_stream(const struct deliver_context *deliver, const char *domain, bool doing,
    const atomic_bool *stopping, struct control_answer *answer);

#endif
