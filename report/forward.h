/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Hands sessions to a tlsrpt-collectd on a Unix datagram socket, without ever waiting for it: what
 * it cannot take at once is counted as lost. Any thread.
 */
#ifndef REPORT_FORWARD_H
#define REPORT_FORWARD_H

#include "base/endpoint.h"
#include "report/outcome.h"

struct forward;

/* The collector may be away, now and at any time. NULL: no descriptor is to be had. */
struct forward *forward_new(const struct endpoint *to);
void forward_free(struct forward *forward);	/* NULL is allowed */

void forward_send(struct forward *forward, const struct session_outcome *session);

#endif
