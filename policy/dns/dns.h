/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A question to the DNS and its answer, as values. Pure.
 */
#ifndef POLICY_DNS_DNS_H
#define POLICY_DNS_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/domain.h"

#define DNS_WHY_MAX	96

enum dns_type {
	DNS_A = 1,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_TLSA = 52
};

enum dns_state {
	DNS_SECURE,	/* validated up to a trust anchor, denials included */
	DNS_INSECURE,	/* provably unsigned, or below an `insecure` name */
	DNS_BOGUS,	/* signed, and the signatures do not hold: an attack or a broken zone */
	DNS_FAILED	/* SERVFAIL, time-out, CNAME loop: nothing is known */
};
/* "secure", "insecure", "bogus", "failed" */
const char *dns_state_name(enum dns_state state);

struct dns_record {
	const uint8_t *data;
	size_t length;
};

struct dns_answer {
	enum dns_state state;
	bool exists;	/* false: NXDOMAIN; means nothing when state is bogus or failed */
	struct dns_record *records;	/* none: NODATA */
	size_t count;
	uint32_t ttl;	/* seconds */
	char canonical[DOMAIN_MAX];	/* after CNAMEs; the question's name without any */
	char why[DNS_WHY_MAX];	/* bogus and failed: a short reason, one line */
	bool not_asked;	/* failed by our own doing (no descriptor, memory or turn, or this program
			   ends), so that it says nothing about the name */
};

struct dns_question {
	const char *name;	/* A-labels, no trailing dot needed */
	enum dns_type type;
	struct dns_answer answer;	/* filled by resolver_ask(), in the arena */
};

#endif
