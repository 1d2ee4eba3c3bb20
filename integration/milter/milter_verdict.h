/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does stsgated say about a domain, and what is the answer to the MTA? Pure: the JSON of the
 * map `json` in, an action out.
 */
#ifndef INTEGRATION_MILTER_MILTER_VERDICT_H
#define INTEGRATION_MILTER_MILTER_VERDICT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/reply.h"
#include "base/conf/conf.h"

enum milter_says { SAYS_UNKNOWN, SAYS_USE, SAYS_DEFER, SAYS_REFUSE };
const char *milter_says_name(enum milter_says says);	/* "unknown", "use", "defer", "refuse" */

struct milter_verdict {
	enum milter_says says;
	struct reply reply;	/* DEFER and REFUSE */
	/* of the hosts that would be used: "sts", "dane+sts", "none"; or "" */
	char policy[16];
	char mode[16];	/* of the MTA-STS policy, "error" when it could not be had; or "" */
	char id[LIMIT_STS_ID + 1];	/* of it; or "" */
	char why[160];	/* UNKNOWN: in words */
};

void milter_verdict_unknown(struct milter_verdict *verdict, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* One answer of the map: "OK {...}", "NOTFOUND ", "TEMP why". An unreadable answer is UNKNOWN. */
void milter_verdict_read(const char *answer, size_t length, struct milter_verdict *verdict);

enum milter_action { ACTION_CONTINUE, ACTION_TEMPFAIL, ACTION_REJECT };
const char *milter_action_name(enum milter_action action);	/* "continue", ... */

/* never: continue. tempfail: what is to be deferred is. reject: what the plan refuses for good is
 * refused, too. An unknown verdict never stops a message here. */
enum milter_action milter_decide(const struct milter_verdict *verdict,
    enum conf_milter_refuse refuse);

/* "use; domain=example.com; policy=sts; mode=enforce; id=2026": the value of X-STS-Verdict. */
void milter_verdict_header(const struct milter_verdict *verdict, const char *domain,
    struct buf *value);

#endif
