/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Whose fault is it that a domain's policy is not known? Every failure between a domain without a
 * cached policy and a delivery without one has a row in one table, and only what the table calls
 * the peer's fault is "no policy". Pure; any thread.
 */
#ifndef POLICY_FACTS_STS_FAULT_H
#define POLICY_FACTS_STS_FAULT_H

#include "base/http.h"
#include "policy/dns/resolver.h"

enum sts_blame {
	STS_BLAME_PEER,	/* the domain's or its policy host's: as no policy (RFC 8461 3.3) */
	STS_BLAME_WAY,	/* of what lies between: 451 for sts.cold-failure-grace */
	STS_BLAME_OURS,	/* not known: 451, and nothing is stored */
	STS_BLAME_FORGED	/* a signed answer was tampered with, or its zone is broken: 451 */
};

enum sts_fault {
	STS_FAULT_NONE,

	STS_FAULT_TXT_UNANSWERED,
	STS_FAULT_TXT_BOGUS,
	STS_FAULT_TXT_NOT_ASKED,

	STS_FAULT_HOST_ABSENT,	/* the policy host has no address, or no name that could exist */
	STS_FAULT_HOST_UNANSWERED,	/* look-up of its addresses */
	STS_FAULT_HOST_BOGUS,
	STS_FAULT_HOST_NOT_ASKED,

	STS_FAULT_UNREACHABLE,
	STS_FAULT_TIMEOUT,
	STS_FAULT_TLS,
	STS_FAULT_CERTIFICATE,
	STS_FAULT_TOO_LARGE,
	STS_FAULT_PRIVATE,
	STS_FAULT_GARBLED,
	STS_FAULT_STATUS,	/* not 200 */
	STS_FAULT_TYPE,	/* not text/plain */
	STS_FAULT_INVALID,	/* not a policy */
	STS_FAULT_LOCAL,	/* no descriptor, memory or turn; the proxy; this program ends */

	STS_FAULT_NO_THREAD,	/* for the fetch */
	STS_FAULT_STOPPED,
	STS_FAULT_UNFINISHED,	/* the fetch goes on, or waits for its turn */
	STS_FAULTS	/* how many */
};

enum sts_blame sts_fault_blame(enum sts_fault fault);
/* The failure-reason-code of a report (RFC 8460 4.4); "" where the finding has words of its own. */
const char *sts_fault_token(enum sts_fault fault);

/* What an HTTP exchange without a status means. */
enum sts_fault sts_fault_of_http(enum http_outcome outcome, int x509_error);
/* The fault when no answer for a policy host's addresses has an address. */
enum sts_fault sts_fault_of_host(const struct dns_question *questions, size_t count);
/* The fault of a failed TXT look-up; STS_FAULT_NONE for an answer. */
enum sts_fault sts_fault_of_txt(const struct dns_answer *answer);

#endif
