/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>

#include "policy/facts/gather.h"
#include "policy/facts/gather_wait.h"

void
gather_rules(const struct gatherer *gatherer, const char *next_hop, struct plan_rules *rules)
{
	const struct conf *conf = gatherer->conf;
	const struct conf_destination *destination = conf_destination_find(conf, next_hop);

	*rules = (struct plan_rules){ .sts_enforce = conf->sts.enforce,
		.dane_enforce = conf->dane.enforce,
		.tls = destination != NULL ? destination->tls : TLS_POLICY,
		.destination = destination != NULL ? destination->name : NULL,
		.match = destination != NULL ? &destination->match : NULL,
		.hostname = conf->hostname,
		.own_names = &conf->smtp.own_names,
		.allow_private = conf->dns.private_addresses,
		.ipv6_first = conf->smtp.ipv6_first,
		.plaintext_retry = conf->tls.plaintext_retry,
		.min_protocol = conf->tls.min_protocol };
	arc4random_buf(&rules->seed, sizeof(rules->seed));
}

/* By the next hop and never by facts->domain: with a relay the two have different sections, and a
 * message must not change from one to the other on its way. */
struct plan *
gather_plan_of(const struct gatherer *gatherer, struct arena *arena, enum sender_wish wish,
    const struct facts *facts)
{
	struct plan_rules rules;

	gather_rules(gatherer, facts->next_hop, &rules);
	rules.wish = wish;
	return plan_make(arena, facts, &rules);
}

struct plan *
gather_plan_again(const struct gatherer *gatherer, struct arena *arena, enum sender_wish wish,
    struct deadline deadline, struct facts *facts)
{
	struct sts_inquiry *inquiry = sts_cache_recheck(gatherer->sts_cache, arena, facts->domain,
	    deadline, &facts->sts);

	if (inquiry == NULL)
		return NULL;
	deadline = gather_wait_policy(gatherer, inquiry, deadline);
	sts_cache_finish(gatherer->sts_cache, inquiry, deadline, &facts->sts);
	return gather_plan_of(gatherer, arena, wish, facts);
}
