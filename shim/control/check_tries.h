/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How far does each address of a plan's hosts let a delivery come? All of an attempt up to MAIL, a
 * few addresses side by side. Any thread.
 */
#ifndef SHIM_CONTROL_CHECK_TRIES_H
#define SHIM_CONTROL_CHECK_TRIES_H

#include <stdbool.h>

#include "shim/smtp/attempt.h"
#include "shim/control/check.h"

/* Until the deadline, and no longer than the caller waits; hosts in back-off are tried as well.
 * Reports on the calling thread, address by address in the order of a delivery. true: the first
 * that a delivery would use meets the demands of a policy. */
bool check_tries_run(const struct deliver_context *deliver, struct arena *arena,
    const struct plan *plan, struct deadline deadline, const struct check_caller *caller);

#endif
