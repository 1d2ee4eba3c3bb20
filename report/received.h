/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The reports that other senders send about this site's domains (RFC 8460 4.4), summed into rows.
 * Their content is untrusted: texts are bounded and hold no control characters. Pure; one thread
 * at a time.
 */
#ifndef REPORT_RECEIVED_H
#define REPORT_RECEIVED_H

#include <jansson.h>
#include <stddef.h>

struct received;

struct received *received_new(void);
void received_free(struct received *received);	/* NULL is allowed */

/* Adds one report; a report that was added before is counted once. 0, or -1 with why: it is no
 * report, and nothing was added. */
int received_add(struct received *received, const char *octets, size_t length, const char **why);

/* {"reports": N, "rows": [{"organization", "domain", "policy", "result", "host", "count", "first",
 * "last"}]}: a row for each sender, policy domain, policy type, result and host; count is sessions,
 * first and last are days. "ok" is the result of a success, "not-detailed" that of a failure
 * without a detail. Failures come first, then the larger count. What is not known is left out. The
 * caller releases it. */
json_t *received_rows(const struct received *received);

#endif
