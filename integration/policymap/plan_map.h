/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is the answer to an MTA that delivers by itself? A plan as an answer of the policy map:
 * socketmap for Postfix (smtp_tls_policy_maps) and Sendmail (FEATURE(sts)), a line for Exim
 * (${readsocket}), stsgated(8). Pure.
 */
#ifndef INTEGRATION_POLICYMAP_PLAN_MAP_H
#define INTEGRATION_POLICYMAP_PLAN_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/domain.h"
#include "base/conf/conf.h"
#include "policy/facts.h"
#include "policy/plan.h"

enum plan_map { MAP_POSTFIX, MAP_POSTFIX_TLSRPT, MAP_STS, MAP_JSON };
const char *plan_map_name(enum plan_map map);	/* "postfix", "postfix-tlsrpt", "sts", "json" */
int plan_map_find(const char *name, size_t length, enum plan_map *map);	/* -1: there is none */

/* What an MTA has as a next hop: "example.com", "example.com.", "[host]", "host:25", "[host]:25" */
enum plan_map_key {
	MAP_KEY_DOMAIN,	/* one that can have a policy */
	MAP_KEY_WITHOUT_POLICY,	/* an address, a parent domain (".example.com"), nothing at all */
	MAP_KEY_BAD	/* no domain name: what an MTA makes of it is not known */
};
/* domain is set for MAP_KEY_DOMAIN alone. */
enum plan_map_key plan_map_next_hop(const char *text, size_t length, struct domain *domain);

/* What MTA-STS or a destination's tls asks of the MTA at the next hop. */
enum plan_map_need {
	MAP_NEED_NOTHING,	/* its own settings hold */
	MAP_NEED_TESTING,	/* the same: a policy in mode testing, or an audit */
	MAP_NEED_ENCRYPTION,	/* a destination's tls = "encrypt" */
	MAP_NEED_NAMES,	/* a verified certificate for one of names */
	MAP_NEED_DANE_ONLY,	/* a destination's tls = "dane" */
	MAP_NEED_ANOTHER_MX,	/* the enforced policy lists none of the MX hosts; why says more */
	MAP_NEED_UNKNOWN	/* not known: the message has to wait; why gives the reason */
};

/* Which hosts have usable TLSA records, so that the MTA's own DANE proves them. */
enum plan_map_share {
	MAP_SHARE_NONE,	/* none, or DANE is not the MTA's business at this next hop */
	MAP_SHARE_SOME,
	MAP_SHARE_REACHABLE,	/* all that have an address now */
	MAP_SHARE_ALL
};

struct plan_map_policy {
	enum plan_map_need need;
	const char **names;	/* MX hosts, or names of a destination's match; never patterns */
	size_t name_count;
	const char *why;	/* of the two that let nothing go, for an MTA's log */
	const char *mode;	/* of the MTA-STS policy that speaks, or NULL */
	const struct sts_policy *policy;	/* the same, or NULL */
	const char *domain;	/* whose it is */

	bool says_dane;	/* the asking MTA does DANE: a line ends in dane= */
	const struct facts *facts;	/* whose TLSA records count for that MTA; NULL: none do */
	enum plan_map_share share;
	bool share_unknown;	/* the look-up of some host's records failed */
};

struct plan_map_rules {
	enum conf_tls tls;	/* of the destination; TLS_POLICY without one */
	enum conf_enforce sts_enforce, dane_enforce;
	bool dane_by_mta;	/* policy-map.dane: the asking MTA does DANE */
};

/* What it points to lives as long as the arena, facts and plan. */
void plan_map_weigh(struct arena *arena, const struct facts *facts, const struct plan *plan,
    const struct plan_map_rules *rules, struct plan_map_policy *policy);

/* May the host have TLSA records that are not known? */
bool plan_map_hides_tlsa(const struct host_facts *host);

/* The kind of an answer, for the metrics. */
enum plan_map_answer { MAP_ANSWER_OK, MAP_ANSWER_NOTFOUND, MAP_ANSWER_TEMP };
const char *plan_map_answer_name(enum plan_map_answer answer);	/* "ok", "notfound", "temp" */

/* Adds the payload of a socketmap answer: "OK ...", "NOTFOUND " or "TEMP ...", at most
 * LIMIT_NETSTRING_OUT octets. Not for MAP_JSON. */
enum plan_map_answer plan_map_answer(enum plan_map map, const struct plan_map_policy *policy,
    struct buf *answer);
/* "TEMP " and why, whatever octets that has. */
enum plan_map_answer plan_map_answer_temp(struct buf *answer, const char *why);

/* Adds "mode=enforce match=yes id=2016Z dane=no" without a line end; host is one that the MTA is
 * about to use, or NULL: the domain as a whole. */
enum plan_map_answer plan_map_line(const struct plan_map_policy *policy, const char *host,
    struct buf *answer);
/* The same for what has no policy. */
enum plan_map_answer plan_map_line_without_policy(bool says_dane, struct buf *answer);

#endif
