/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which parts of a delivery are sessions of RFC 8460, and are they reported? Belongs to the
 * delivery's thread.
 */
#ifndef SHIM_SMTP_DELIVER_REPORT_H
#define SHIM_SMTP_DELIVER_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/proof.h"
#include "shim/smtp/attempt.h"

struct deliver_report {
	struct arena *arena;
	bool wanted;
	int64_t began_s;	/* wall clock */
	struct reported_session *attempts;
	size_t count, room;
	bool reused;	/* a kept connection was used */
	bool exhausted;	/* all hosts were tried, or the plan has none */
};

/* Before the plan is made, so that the record is there when it is needed. */
void deliver_report_begin(struct deliver_report *report, struct arena *arena,
    const struct delivery *delivery);
void deliver_report_attempt(struct deliver_report *report, const struct attempt *attempt);
/* When every recipient has heard. */
void deliver_report_end(const struct deliver_report *report, const struct delivery *delivery,
    const struct facts *facts);

#endif
