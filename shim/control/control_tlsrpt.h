/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answers about TLS reports, and the order to send some. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_TLSRPT_H
#define SHIM_CONTROL_CONTROL_TLSRPT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/wait.h"
#include "base/conf/conf.h"
#include "report/reporter.h"
#include "report/tally.h"
#include "shim/control/control_answer.h"

struct control_tlsrpt {
	const struct conf *conf;	/* of the start, for what is fixed */
	struct store *store;
	struct tally *tally;	/* NULL: nothing is counted */
	struct reporter *reporter;
};

struct control_tlsrpt_query {
	const struct conf *conf;	/* in force now: contents and receivers of reports */
	const char *path;	/* DAY or DAY/DOMAIN; DAY may be today or yesterday */
	const char *domain, *after;	/* NULL: not given */
	unsigned limit;	/* domains */
	bool status;	/* what has been sent, instead of the reports */
	bool sendable;	/* only reports that have a receiver */
	bool force;	/* the running day, too */
	struct watch watch;	/* has the client hung up, or are we to stop? */
	int64_t uid;	/* of the peer, -1 when unknown */
};

/* An array of report objects, or of what became of them; 404 for none. */
void control_tlsrpt_show(const struct control_tlsrpt *tlsrpt,
    const struct control_tlsrpt_query *query, struct control_answer *answer);
/* The days that hold something. */
void control_tlsrpt_days(const struct control_tlsrpt *tlsrpt, struct control_answer *answer);
/* Sends a page of a day's reports; 404 none, 409 the running day, 403 not configured. */
void control_tlsrpt_send(const struct control_tlsrpt *tlsrpt,
    const struct control_tlsrpt_query *query, struct control_answer *answer);

#endif
