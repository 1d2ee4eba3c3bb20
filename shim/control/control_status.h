/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How is stsgated? One object for people and monitoring, and the short answer for a load balancer.
 * Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_STATUS_H
#define SHIM_CONTROL_CONTROL_STATUS_H

#include "policy/facts/gather.h"
#include "shim/control/control_answer.h"

/* {"state", "reasons", "uptime", "version", "resolver", "policies", "overrides", "sessions",
 * "connections", "spool", "rates", "latency", "confine"} */
void control_status(const struct gatherer *gatherer, struct control_answer *answer);
/* 200 with {"status": "ok"}, or 503 with {"status": "degraded", "reasons": [text]} while mail is
 * deferred by a fault of this program or its machine. */
void control_health(const struct gatherer *gatherer, struct control_answer *answer);

#endif
