/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does a report say about one session (RFC 8460 4.3)? Plain values: made from a plan and an
 * attempt, or read from a libtlsrpt datagram; counted by the tally, or sent on as a datagram.
 * Texts belong to the arena that the maker was given. Pure; any thread.
 */
#ifndef REPORT_OUTCOME_H
#define REPORT_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "policy/finding.h"

/* The numbers are those of libtlsrpt's datagrams. */
enum outcome_type { OUTCOME_TLSA = 1, OUTCOME_STS = 2, OUTCOME_NO_POLICY = 9 };
const char *outcome_type_name(enum outcome_type type);	/* "tlsa", "sts", "no-policy-found" */

/* A copy that any JSON can carry: what is no UTF-8 becomes '?'. Ends at a NUL. */
const char *outcome_text(struct arena *arena, const char *octets, size_t length);

/* A policy as it stood when the session was made. */
struct outcome_policy {
	enum outcome_type type;
	const char *domain;	/* policy-domain: next-hop domain, or TLSA base domain */
	const char **strings;	/* policy-string: the lines as served, or "3 1 1 HEX", sorted */
	size_t string_count;
	const char **mx;	/* mx-host: the patterns of an MTA-STS policy */
	size_t mx_count;
};

/* One of failure-details. What is not known is "", and left out of the report. */
struct outcome_failure {
	enum result_type type;	/* never RESULT_OK */
	const char *sending_ip;
	const char *mx;	/* receiving-mx-hostname */
	const char *helo;	/* receiving-mx-helo */
	const char *receiving_ip;
	const char *information;	/* additional-information, a URI */
	const char *reason;	/* failure-reason-code */
};

/* The verdict of one policy on the session, independent of any other's. */
struct outcome {
	struct outcome_policy policy;
	bool failed;	/* counts as a failed session */
	struct outcome_failure *failures;
	size_t failure_count;
};

/* One session, or a failure of a policy without any session. */
struct session_outcome {
	const char *domain;	/* next-hop domain, whose _smtp._tls record it is */
	const char *record;	/* that record, strings joined */
	int64_t at_s;	/* wall clock: the day it counts for */
	struct outcome *outcomes;	/* tlsa before sts */
	size_t count;
};

#endif
