/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Opens a TCP connection to one address. Any thread.
 */
#ifndef SHIM_SMTP_DIAL_H
#define SHIM_SMTP_DIAL_H

#include <stdint.h>

#include "base/deadline.h"
#include "base/ip.h"
#include "base/wait.h"

/* A connected, close-on-exec, non-blocking socket, or -1 with errno: ETIMEDOUT at the deadline,
 * ECANCELED when the watch (or NULL) broke it off. source is an address of the same family to
 * dial from, or NULL. */
int dial_connect(const struct ip *to, uint16_t port, const struct ip *source,
    struct deadline deadline, const struct watch *watch);

#endif
