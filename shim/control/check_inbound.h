/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is one's own domain in order for the senders that enforce MTA-STS and DANE: the record, the
 * policy, each MX host with its certificate, and the address for reports? Asks and connects as a
 * sender would, whatever rules and overrides are configured here. Any thread.
 */
#ifndef SHIM_CONTROL_CHECK_INBOUND_H
#define SHIM_CONTROL_CHECK_INBOUND_H

#include <stdbool.h>

#include "base/deadline.h"
#include "base/wait.h"
#include "shim/smtp/deliver.h"

enum check_state { CHECK_OK, CHECK_WARN, CHECK_FAIL };
const char *check_state_name(enum check_state state);	/* "ok", "warn", "fail" */

struct inbound_caller {
	/* step: "txt", "policy", "policy-host", "max_age", "mx", "starttls", "certificate",
	 * "tls-rpt", "tlsa". host is NULL where it is about the domain. */
	void (*told)(void *context, const char *step, const char *host, enum check_state state,
	    const char *detail);
	struct watch watch;	/* breaks off what can be */
	void *context;	/* of told */
};

void check_inbound_run(const struct deliver_context *deliver, const char *domain,
    struct deadline deadline, const struct inbound_caller *caller);

#endif
