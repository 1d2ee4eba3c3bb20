/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Fetches https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461 3.3): names through our
 * resolver, verified WebPKI, no redirect, bounded in size and time. Any thread.
 */
#ifndef POLICY_FACTS_STS_HTTPS_H
#define POLICY_FACTS_STS_HTTPS_H

#include "base/arena.h"
#include "base/deadline.h"
#include "base/http.h"
#include "base/conf/conf.h"
#include "policy/dns/resolver.h"
#include "policy/finding.h"
#include "policy/sts.h"
#include "policy/facts/sts_fault.h"

struct sts_https_failure {
	enum sts_fault fault;	/* STS_FAULT_NONE: it did not fail */
	struct finding finding;
	char why[200];	/* in words */
};

/* 0 with the policy in the arena (its id left empty), or -1 with failure. A file that breaks the
 * grammar leaves its first LIMIT_STS_SERVED octets as policy->body, else NULL. */
int sts_https_get(const struct conf *conf, struct resolver *resolver, struct http *http,
    struct arena *arena, const char *domain, struct deadline deadline, struct sts_policy *policy,
    struct sts_https_failure *failure);

#endif
