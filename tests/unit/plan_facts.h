/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Facts and rules for the tests of plans, written down shortly. */
#ifndef TESTS_PLAN_FACTS_H
#define TESTS_PLAN_FACTS_H

#include "policy/plan.h"

#define TEST_HOSTS_MAX	8

struct test_host {
	const char *name;	/* NULL ends the list */
	uint16_t preference;
	const char *addresses;	/* joined by a space; NULL: none */
	enum dns_state state;
};

struct test_tlsa {
	enum tlsa_state state;
	const char *records;	/* "3 1 1, 2 0 1": digests are all zero; NULL: "3 1 1" of USABLE */
	const char *base;	/* NULL: the host's name */
	enum dns_state answer;	/* FAILED or BOGUS of UNKNOWN */
};

struct test_facts {
	enum mx_kind mx;
	enum dns_state mx_state;
	struct test_host hosts[TEST_HOSTS_MAX];
	struct test_tlsa tlsa[TEST_HOSTS_MAX];	/* of the hosts, in their order */
	const char *mx_canonical;
	enum conf_enforce dane;
	enum sts_state sts;
	enum sts_mode mode;	/* STS_VALID */
	const char *patterns;	/* STS_VALID, joined by a space */
	enum result_type sts_finding;
	const char *domain;	/* NULL: "example.com" */
	bool relay_address;
	enum conf_tls tls;
	enum conf_enforce enforce;
	const char *match;	/* joined by a space */
	const char *own_names;	/* the same; hostname is out.example.net */
	bool refuse_private;
	bool ipv4_first;
	bool no_plaintext_retry;
	enum conf_tls_version min_protocol;
	enum sender_wish wish;
	uint64_t seed;
	enum resolver_health resolver;
	const char *resolver_fault;	/* NULL: none */
};

/* The policy's id is always "2016Z". */
struct facts *test_facts_make(struct arena *arena, const struct test_facts *test);
/* From facts that were made already, and by the rules of test. */
struct plan *test_plan_from(struct arena *arena, const struct test_facts *test,
    const struct facts *facts);
struct plan *test_plan_make(struct arena *arena, const struct test_facts *test);
/* The names of the hosts with use, in order, joined by a space. */
const char *test_plan_used(struct arena *arena, const struct plan *plan);
const struct plan_host *test_plan_host(const struct plan *plan, const char *name);

#endif
