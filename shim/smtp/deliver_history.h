/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What of a delivery belongs into the history: what a policy refused, and what was let pass
 * although enforcement would have refused it. Belongs to its delivery's thread.
 */
#ifndef SHIM_SMTP_DELIVER_HISTORY_H
#define SHIM_SMTP_DELIVER_HISTORY_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/reply.h"
#include "policy/finding.h"
#include "report/history.h"
#include "shim/smtp/attempt.h"

struct deliver_history_row {
	struct deliver_history_row *next;
	struct history_entry entry;
};

/* The recipients of one transaction and next hop; zero but for the arena. */
struct deliver_history {
	struct arena *arena;
	struct deliver_history_row *rows;
	enum history_end end;
	const char *verified_by;	/* the host that proved itself, or NULL */
};

/* A message was delivered on this attempt. Is there a demand that it did not meet, and that would
 * have stopped it if it were enforced? Then finding says which. */
bool deliver_history_would(const struct delivery *delivery, const struct attempt *attempt,
    struct finding *finding);
/* A recipient is settled; attempt NULL: by the plan. */
void deliver_history_note(const struct delivery *delivery, const struct attempt *attempt,
    const struct reply *reply);
/* After the replies are out. */
void deliver_history_end(const struct delivery *delivery);

#endif
