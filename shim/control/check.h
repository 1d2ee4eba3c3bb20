/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Would a delivery to this domain be verified, and if not, why? Queries DNS, fetches the policy,
 * and tries every address of every host that a delivery could use: all of an attempt up
 * to MAIL, which is never sent. Any thread.
 */
#ifndef SHIM_CONTROL_CHECK_H
#define SHIM_CONTROL_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/wait.h"
#include "shim/smtp/deliver.h"

struct check_step {
	/* "dns", "policy", "tls-rpt", "plan", "connect", "greeting", "ehlo", "starttls",
	 * "handshake", "certificate", "ehlo-tls" */
	const char *step;
	const char *host, *address;	/* NULL: about the domain, or about the host as a whole */
	bool ok;
	const char *detail;
	int64_t ms;	/* that it took */
};

struct check_caller {
	void (*told)(void *context, const struct check_step *step);
	/* The operation that the check waits for, until the next row or the next of these: the
	 * words of policy/facts/gather.h's watch, "connect", "greeting", "ehlo", "starttls" (with
	 * the handshake) or "ehlo-tls". host and address are NULL where it is about the domain. */
	void (*doing)(void *context, const char *what, const char *host, const char *address);
	/* Asked now and then: true breaks off all but the DNS question and the fetch of the policy
	 * that are under way, which others may wait for as well. */
	struct watch watch;
	/* At the end, for each address, in the order of a delivery: what its TLS showed, or why it
	 * did not come to that. NULL: not wanted. */
	void (*tried)(void *context, const struct plan_host *host, const struct proof *proof,
	    const struct reply *reply);
	void *context;	/* of the functions above */
};

/* Calls the caller on the calling thread, and tells host by host in the order of a delivery. true:
 * the first host that a delivery would use proves what a policy demands. */
bool check_run(const struct deliver_context *deliver, const char *domain, struct deadline deadline,
    const struct check_caller *caller);

#endif
