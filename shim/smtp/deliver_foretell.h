/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Would enforcement have found another host? Under audit, where a host does not meet what is
 * demanded, the other hosts of the plan are tried out: a connection that is judged, without a
 * message, once an hour a host. Belongs to its delivery's thread.
 */
#ifndef SHIM_SMTP_DELIVER_FORETELL_H
#define SHIM_SMTP_DELIVER_FORETELL_H

#include "shim/smtp/attempt.h"

/* Before the message is sent on an attempt that was judged: sets attempt->otherwise. */
void deliver_foretell(const struct delivery *delivery, struct attempt *attempt);

#endif
