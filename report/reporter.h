/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * When is each report sent (RFC 8460 4.1, 5.5, 5.6)? After midnight UTC and a random delay the
 * reports of the day that is over are taken up, one for each rua, and each is tried with growing
 * gaps for a day. The pending work is only in the store, so that a restart neither loses nor
 * repeats a report. Any thread.
 */
#ifndef REPORT_REPORTER_H
#define REPORT_REPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/domain.h"
#include "base/wait.h"
#include "report/reporter_plan.h"

struct reporter;

/* Sends by itself with tlsrpt.enable = "send" alone. NULL: no thread could be created. */
struct reporter *reporter_start(const struct reporter_plan *plan);
/* Running tries get a moment to end. false: an upload runs on, until http_cancel(). */
bool reporter_drain(struct reporter *reporter);
void reporter_free(struct reporter *reporter);	/* after reporter_drain(); waits */

/* The result for one rua of a report sent by hand. */
struct reporter_result {
	const char *domain;
	const char *rua;	/* as a URI */
	const char *report_id;
	bool taken;	/* now or before */
	const char *why;	/* else */
};

struct reporter_request {
	int64_t day;
	const char *domain;	/* "": all */
	const char *after;	/* domains greater than this */
	struct watch watch;	/* has the caller left? */
};

enum reporter_answer { REPORTER_DONE, REPORTER_NOTHING, REPORTER_GONE, REPORTER_FAILED };

/* Tries all that wait or were given up of the day's first few domains, now, and calls each for
 * every rua of theirs. next: where to go on, "" at the end. NOTHING: there is no rua that would get
 * a report. The running day's reports are sent as they stand, and once more as what they will be.
 */
enum reporter_answer reporter_send(struct reporter *reporter,
    const struct reporter_request *request,
    void (*each)(void *context, const struct reporter_result *result), void *context,
    struct domain *next);

#endif
