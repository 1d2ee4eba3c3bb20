/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Fetches https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461 3.3): names through our
 * resolver, verified WebPKI, no redirect, bounded in size and time. Any thread.
 */
#ifndef POLICY_STS_FETCH_H
#define POLICY_STS_FETCH_H

#include "base/arena.h"
#include "base/conf.h"
#include "base/deadline.h"
#include "base/http.h"
#include "policy/finding.h"
#include "policy/resolver.h"
#include "policy/sts.h"

/* 0 with the policy in the arena (its id left empty), or -1 with finding and why (words). A file
 * that breaks the grammar leaves its first LIMIT_STS_SERVED octets as policy->body, else NULL. */
int sts_fetch(const struct conf *conf, struct resolver *resolver, struct http *http,
    struct arena *arena, const char *domain, struct deadline deadline, struct sts_policy *policy,
    struct finding *finding, char *why, size_t why_room);

#endif
