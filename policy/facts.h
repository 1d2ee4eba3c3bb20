/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Everything known about one next-hop domain, each part with how far it is proven. Plain values in
 * one arena, filled by policy/facts/gather.h or by a test; plan_make() reads nothing else.
 */
#ifndef POLICY_FACTS_H
#define POLICY_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "policy/dns/dns.h"
#include "policy/dns/resolver_health.h"
#include "policy/finding.h"
#include "policy/sts.h"
#include "policy/tlsa.h"

enum mx_kind {
	MX_LISTED,
	MX_IMPLICIT,	/* no MX record: the domain is its own host (RFC 5321 5.1) */
	MX_NULL,	/* RFC 7505 */
	MX_NO_DOMAIN,	/* NXDOMAIN */
	MX_UNKNOWN,	/* the look-up failed or was bogus: mx_state says which */
	MX_RELAY,	/* a destination's relay: one host, no MX asked */
	MX_LITERAL	/* an address literal, or a relay that is one: a host without a name */
};

enum tlsa_state {
	TLSA_NOT_ASKED,	/* dane.enforce = off, a literal, or addresses that are not secure */
	TLSA_NONE,	/* securely absent, or insecure: DANE says nothing about this host */
	TLSA_UNKNOWN,	/* the look-up failed or was bogus: the host is out for now */
	TLSA_UNUSABLE,	/* present, and nothing in it that could be matched: TLS with anyone */
	TLSA_USABLE
};

struct host_facts {
	const char *name;	/* lower case, no trailing dot; "" for a literal */
	uint16_t preference;
	enum dns_state address_state;	/* the worse of A and AAAA; secure for a literal */
	struct ip *addresses;	/* public and private; families that are not in use are left out */
	size_t address_count;
	enum dns_state dane_state;	/* of those of A and AAAA that are known, the worse; FAILED:
					   neither is. One family withheld must not hide the
					   other's TLSA records */
	const char *canonical;	/* name after the CNAMEs of the addresses; NULL: there are none */
	char why[96];	/* of a bogus or failed look-up */

	enum tlsa_state tlsa_state;
	enum dns_state tlsa_answer;	/* of the answer that tlsa_state follows from */
	const char *tlsa_base;	/* TLSA base domain (RFC 7672 2.2.2, 2.2.3); NULL: not asked */
	struct tlsa *tlsa;	/* as answered, unusable ones too; at most LIMIT_TLSA_RECORDS */
	size_t tlsa_count;
	char tlsa_why[96];	/* UNKNOWN: in short */
};

enum sts_state {
	STS_NOT_ASKED,	/* destination, literal, or sts.enforce = off */
	STS_NONE,	/* proven absent, or a TXT record that counts as none */
	STS_VALID,	/* policy holds it, fetched now or cached and unexpired */
	/* Nothing is cached, and: */
	STS_FETCH_FAILED,	/* announced, and not fetched by the domain's fault, or after the
				   grace: as none (RFC 8461 3.3), with a finding */
	STS_TXT_FAILED,	/* TXT unanswered, within cold-failure-grace */
	STS_TXT_GIVEN_UP,	/* the same after the grace: as without a policy, with a warning */
	STS_TXT_BOGUS,	/* the answer is forged or broken */
	STS_HOST_FAILED,	/* announced, its policy host's addresses are unanswered, within
				   cold-failure-grace */
	STS_HOST_BOGUS,	/* announced, and they are forged or broken */
	STS_UNKNOWN,	/* not known, by a local failure or for lack of time */
	STS_STORE_FAILED	/* whether a policy is cached cannot be read */
};

struct sts_facts {
	enum sts_state state;
	const struct sts_policy *policy;	/* STS_VALID */
	bool from_cache;
	int64_t fetched, expires;	/* wall clock, seconds; STS_VALID */
	struct finding finding;	/* RESULT_OK, or why a fetch failed: also with a cached policy */
	const char *served;	/* what was fetched and is no policy: its first LIMIT_STS_SERVED
				   octets, or NULL */
	bool fetch_tried;	/* a fetch was made for this message, or is in back-off */
	char why[200];	/* in words, for log and administrator */
};

struct facts {
	const char *next_hop;	/* domain or literal of the recipients: whose section of the
				   configuration holds, also with a relay */
	const char *domain;	/* policy domain: next_hop, relay's name, or "[192.0.2.1]" */
	enum mx_kind mx;
	enum dns_state mx_state;
	char mx_why[96];
	const char *mx_canonical;	/* where the CNAMEs of a secure MX answer end, or NULL */
	struct host_facts *hosts;	/* in the order of the answer; at most LIMIT_MX_RECORDS */
	size_t host_count;
	size_t bad_names;	/* MX records dropped because their name is no host name */
	bool relay_address;	/* MX_LITERAL that is a relay: private is allowed */
	struct sts_facts sts;
	enum resolver_health resolver;
	char resolver_fault[RESOLVER_FAULT_MAX];	/* of this site's own; "": none is known */
	char not_asked[DNS_WHY_MAX];	/* why a question could not be asked, or "" */
	uint32_t ttl;	/* seconds for which the DNS would say the same: the least of all answers */
};

#endif
