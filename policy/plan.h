/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which hosts may be used, in which order, and what must TLS prove on each; and then: did it?
 * Both are pure functions. A plan lives for one transaction, in its arena.
 */
#ifndef POLICY_PLAN_H
#define POLICY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/reply.h"
#include "base/conf/conf_rules.h"
#include "policy/facts.h"
#include "policy/finding.h"
#include "policy/proof.h"

enum policy_source { SOURCE_NONE, SOURCE_STS, SOURCE_DANE, SOURCE_DESTINATION, SOURCE_SENDER };
/* "none", "sts", "dane", "destination", "sender" */
const char *policy_source_name(enum policy_source source);

enum tls_need {
	NEED_ENCRYPTION,	/* TLS with anyone */
	NEED_CERTIFICATE,	/* a trusted chain and one of the host's names */
	NEED_ANY_CERTIFICATE,	/* that, or a match with the host's usable TLSA records */
	NEED_TLSA	/* a match with the host's usable TLSA records */
};

/* The sender's demand for this message (RFC 8689). */
enum sender_wish { WISH_NONE, WISH_NO, WISH_REQUIRETLS };
/* "none", "no", "requiretls": the log's wish= */
const char *sender_wish_name(enum sender_wish wish);

/* The demand of one policy at one host. Each is judged separately. */
struct demand {
	enum policy_source source;
	enum tls_need need;
	bool enforce;	/* false: testing, audit or MTA-STS beside DANE: a failure is recorded, and
			   the message goes */
	struct finding finding;	/* RESULT_OK, or what is wrong whatever TLS shows: a host that the
				   policy does not list, TLSA records that cannot be used */
};

struct plan_host {
	const char *name;	/* "" for a literal */
	uint16_t preference;
	const char *sni;	/* NULL for a literal; the TLSA base domain where DANE decides */
	struct ip *addresses;	/* those that may be dialled, preferred family first */
	size_t address_count;
	bool use;	/* false: only kept to explain; reason says why */
	bool mx_match;	/* listed by the MTA-STS policy; true when there is none */
	const char *reason;	/* why not used, what is odd about one that is, or NULL */
	struct finding finding;	/* of a host that its policy does not list, also in testing, or of
				   one that DANE leaves out */
	enum policy_source finding_source;	/* whose finding it is */
	const char **names;	/* for the certificate; "*.example.net" is one label wild */
	size_t name_count;
	struct demand *demands;	/* none: opportunistic */
	size_t demand_count;
	enum dns_state address_state;	/* as in the facts, for explaining */

	enum tlsa_state tlsa_state;	/* NOT_ASKED too where the rules leave DANE aside */
	const char *tlsa_base;	/* TLSA base domain, or NULL */
	const struct tlsa *tlsa;	/* as answered */
	size_t tlsa_count;
	const struct tlsa *usable;	/* of them, what a certificate is matched with */
	size_t usable_count;
	const char **dane_names;	/* reference identifiers for DANE-TA (RFC 7672 3.2.2) */
	size_t dane_name_count;
};

enum plan_verdict { PLAN_USE, PLAN_DEFER, PLAN_REFUSE };
const char *plan_verdict_name(enum plan_verdict verdict);	/* "use", "defer", "refuse" */

struct plan {
	const char *domain;
	const char *destination;	/* the section that replies point to */
	enum plan_verdict verdict;
	struct reply reply;	/* DEFER and REFUSE: what every recipient gets */
	struct plan_host *hosts;	/* those with use in the order to try; then the others */
	size_t host_count;
	size_t use_count;
	enum policy_source source;	/* NONE, STS, or DANE: whose the verdict is, or what the
					   domain publishes; a host's own is plan_host_policy() */
	const char *mode;	/* of its MTA-STS policy: "enforce", "testing", "none", "audit", or
				   NULL */
	const char *published;	/* the mode that the MTA-STS policy itself says, or NULL */
	const char *policy_id;	/* MTA-STS id, or NULL */
	struct finding finding;	/* of the domain as a whole: a failed policy fetch */
	bool relay;	/* the administrator's own word: private addresses are dialled */
	bool no_tls;	/* STARTTLS is not used, offered or not */
	bool plaintext_retry;	/* opportunistic: after a failed handshake once more in plaintext */
	enum conf_tls_version min_protocol;	/* where a demand is enforced */
	enum sender_wish wish;
	struct reply untried;	/* some host is out for what may pass, so that no 5xx that speaks of
				   all hosts is the last word; code 0: none is */
};

/* The input of plan_make() besides the facts; nothing in it is looked up. */
struct plan_rules {
	enum conf_enforce sts_enforce, dane_enforce;
	enum conf_tls tls;	/* of the destination; TLS_POLICY without one */
	const char *destination;	/* its name, or NULL */
	const struct conf_strings *match;	/* of the destination, may be NULL */
	const char *hostname;	/* own name, for loops */
	const struct conf_strings *own_names;
	bool allow_private;
	bool ipv6_first;
	bool plaintext_retry;
	enum conf_tls_version min_protocol;
	enum sender_wish wish;
	uint64_t seed;	/* orders hosts of equal preference */
};

struct plan *plan_make(struct arena *arena, const struct facts *facts,
    const struct plan_rules *rules);

enum judgement_step {
	JUDGEMENT_GO_ON,	/* send on this connection as it is */
	JUDGEMENT_PLAINTEXT,	/* once more on a new connection, without TLS */
	JUDGEMENT_NEXT_HOST	/* not here: no MAIL FROM may be sent */
};

struct judgement {
	enum judgement_step step;
	bool verified;	/* a demand for a certificate stood and was met: the log's tls=verified */
	enum policy_source source;	/* whose demand decided */
	struct finding finding;	/* RESULT_OK, or the failure, also when the message is delivered */
	enum policy_source beside;	/* the policy that failed without effect; NONE: none */
	struct finding beside_finding;
	struct reply reply;	/* NEXT_HOST: what to say when no other host takes it */
};

/* Does the proof meet what the plan demands of this host? address is for the words alone. */
void plan_judge(const struct plan *plan, const struct plan_host *host, const struct proof *proof,
    const char *address, struct judgement *judgement);

/* One demand by itself, for a report: false with a finding when it is not met. */
bool plan_judge_demand(const struct plan *plan, const struct plan_host *host,
    const struct demand *demand, const struct proof *proof, struct finding *finding);

/* The demand that names the host's policy in log and replies: DANE where it decides, otherwise
 * MTA-STS. NULL: there is none. */
const struct demand *plan_host_policy(const struct plan_host *host);
/* For the log's mode=: "enforce", "testing", "audit", "none", or NULL. */
const char *plan_host_mode(const struct plan *plan, const struct plan_host *host);

/* Does this host demand anything whose failure stops the message? */
bool plan_host_enforces(const struct plan_host *host);

#endif
