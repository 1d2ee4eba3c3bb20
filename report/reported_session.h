/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A session of RFC 8460, as the delivery saw it.
 */
#ifndef REPORT_REPORTED_SESSION_H
#define REPORT_REPORTED_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/domain.h"
#include "base/ip.h"
#include "policy/plan.h"
#include "policy/proof.h"

/* One new connection that came as far as an answer to EHLO: a session of RFC 8460. A kept
 * connection that is used again, and the retry in plaintext, are none. */
struct reported_session {
	const struct plan_host *host;	/* of the plan it was made for, in the same arena */
	struct ip to, from;	/* both ends of the connection */
	bool has_from;
	char helo[DOMAIN_MAX];	/* the name in the host's first answer to EHLO; "" without one */
	struct proof proof;	/* as it stood at the end of the attempt */
	int64_t at_s;	/* wall clock, when the connection was made */
};

#endif
