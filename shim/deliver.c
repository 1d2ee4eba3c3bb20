/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "shim/deliver.h"
#include "shim/deliver_log.h"
#include "shim/deliver_report.h"
#include "shim/visit.h"

/* A walk over the addresses of a plan. */
struct walk {
	const struct delivery *delivery;
	struct deliver_report *report;
	size_t left;	/* addresses not tried yet */
	struct visit failed;	/* where the reply of those left over comes from */
};

/* What must be left of the transaction's time for an address to be begun with: enough to wait out
 * the answer to its final dot. Where the administrator gave transactions less than two such waits,
 * half of their time must do, or nothing would ever be tried. */
static int64_t
reserve_ms(const struct conf *conf)
{
	int64_t half = conf->lmtp.transaction_time / 2;

	return conf->smtp.final_timeout < half ? conf->smtp.final_timeout : half;
}

static size_t
count_addresses(const struct plan *plan)
{
	size_t i, count = 0;

	for (i = 0; i < plan->host_count; i++)
		if (plan->hosts[i].use)
			count += plan->hosts[i].address_count;
	return count < LIMIT_ADDRESSES_PER_DOMAIN ? count : LIMIT_ADDRESSES_PER_DOMAIN;
}

/* Sets the visit's deadlines: an equal share for this address and each that would come after it;
 * the last one has all that is left. false: there is no time to begin. */
static bool
allot_time(const struct walk *walk, struct visit *visit)
{
	const struct deadline *deadline = &walk->delivery->txn->deadline;
	int64_t reserve = reserve_ms(walk->delivery->context->conf);
	int64_t time = deadline->at_ms - clock_monotonic_ms() - reserve;

	if (time <= 0)
		return false;
	visit->slot_deadline = (struct deadline){ .at_ms = deadline->at_ms - reserve };
	visit->deadline = *deadline;
	if (walk->left > 1)
		visit->deadline = deadline_in(time / (int64_t)walk->left);
	visit->slot_deadline = deadline_earlier(visit->slot_deadline, visit->deadline);
	return true;
}

/* Which failure do recipients hear of, when no host takes the message? The weightiest, and among
 * equals the last. */
static void
remember(struct walk *walk, const struct visit *visit)
{
	if (visit->weight >= walk->failed.weight)
		walk->failed = *visit;
}

/* false: the walk is over. */
static bool
try_address(struct walk *walk, const struct plan_host *host, const struct ip *ip)
{
	struct visit visit = { .host = host, .ip = ip };
	enum visit_end end = VISIT_AGAIN;

	while (end == VISIT_AGAIN || end == VISIT_PLAINTEXT || end == VISIT_FRESH ||
	    end == VISIT_OMIT) {
		if (txn_is_abandoned(walk->delivery->txn) || !allot_time(walk, &visit))
			return false;
		visit.plaintext = visit.plaintext || end == VISIT_PLAINTEXT;
		visit.fresh = visit.fresh || end == VISIT_FRESH;
		end = visit_run(walk->delivery, &visit);
		deliver_report_visit(walk->report, &visit);
	}
	walk->left--;
	walk->report->exhausted = end == VISIT_NEXT && walk->left == 0;
	if (end == VISIT_DONE)
		return false;
	remember(walk, &visit);
	return end == VISIT_NEXT && walk->left > 0;
}

static void
walk_hosts(struct walk *walk)
{
	const struct plan *plan = walk->delivery->plan;
	size_t i, j;

	walk->left = count_addresses(plan);
	for (i = 0; i < plan->host_count; i++) {
		if (!plan->hosts[i].use)
			continue;
		for (j = 0; j < plan->hosts[i].address_count; j++)
			if (!try_address(walk, &plan->hosts[i], &plan->hosts[i].addresses[j]))
				return;
	}
}

/* All that are not settled yet. */
static void
settle_rest(const struct delivery *delivery, struct visit *visit, const struct reply *reply)
{
	size_t i;

	for (i = 0; i < delivery->group->count; i++)
		if (!txn_is_settled(delivery->txn, delivery->group->rcpts[i]))
			visit_settle(delivery, visit, delivery->group->rcpts[i], reply);
}

/* A no for good takes every address to have been tried. */
static bool
is_final(const struct walk *walk)
{
	return walk->failed.weight != VISIT_WEIGHT_NONE &&
	    (walk->left == 0 || !reply_is_permanent(&walk->failed.reply));
}

/* Is it REQUIRETLS that the hosts which were tried did not meet? */
static bool
is_unmet(const struct visit *visit)
{
	return visit->weight == VISIT_WEIGHT_UNPROTECTED ||
	    visit->weight == VISIT_WEIGHT_UNREQUIRED;
}

static void
settle_failed(struct walk *walk)
{
	const struct delivery *delivery = walk->delivery;
	const struct reply *untried = &delivery->plan->untried;
	struct reply reply;

	if (is_final(walk)) {
		if (is_unmet(&walk->failed) && untried->code != 0)
			settle_rest(delivery, NULL, untried);
		else
			settle_rest(delivery, &walk->failed, &walk->failed.reply);
		return;
	}
	reply_set(&reply, 451, "4.4.2", "no host of %s took the message before the MTA hung up or "
	    "lmtp.transaction-time came to its end", delivery->group->domain);
	settle_rest(delivery, NULL, &reply);
}

/* Would recipients hear that a host did not prove what an MTA-STS policy demands? */
static bool
is_refused_by_sts(const struct walk *walk)
{
	const struct visit *failed = &walk->failed;

	return failed->weight == VISIT_WEIGHT_POLICY && failed->judged &&
	    failed->judgement.source == SOURCE_STS && !txn_is_abandoned(walk->delivery->txn);
}

static void
settle_by_plan(struct delivery *delivery, struct deliver_report *report)
{
	settle_rest(delivery, NULL, &delivery->plan->reply);
	report->exhausted = true;
}

/* facts NULL: the policy is not asked after once more. */
static void
deliver(struct delivery *delivery, struct deliver_report *report, struct facts *facts)
{
	struct walk walk = { .delivery = delivery, .report = report };
	struct plan *again = NULL;
	struct facts before;

	walk_hosts(&walk);
	if (facts != NULL && is_refused_by_sts(&walk)) {
		before = *facts;
		again = gather_plan_again(&delivery->context->gatherer, report->arena,
		    delivery->txn->wish, delivery->txn->deadline, facts);
	}
	if (again == NULL) {
		settle_failed(&walk);
		return;
	}
	/* Those were sessions under the old policy. */
	deliver_report_end(report, delivery, &before);
	deliver_report_begin(report, report->arena, delivery);
	delivery->plan = again;
	deliver_log_unlisted(delivery);
	if (again->verdict == PLAN_USE)
		deliver(delivery, report, NULL);
	else
		settle_by_plan(delivery, report);
}

void
deliver_group(void *context, struct txn *txn, struct group *group)
{
	struct deliver_context deliverer = *(const struct deliver_context *)context;
	const struct address *address = &group->rcpts[0]->address;
	struct arena *arena = arena_new();
	struct deliver_report report;
	struct facts *facts = NULL;
	struct delivery delivery = {
		.context = &deliverer,
		.txn = txn,
		.group = group,
		.began_ms = clock_monotonic_ms(),
	};

	if (txn->conf != NULL)
		deliverer.conf = deliverer.gatherer.conf = txn->conf;
	delivery.destination = conf_destination_find(deliverer.conf, group->domain);
	deliver_report_begin(&report, arena, &delivery);
	delivery.plan = gather_plan_for(&deliverer.gatherer, arena, group->domain,
	    address->literal ? &address->ip : NULL, txn->wish, txn->deadline, &facts);
	deliver_log_unlisted(&delivery);
	switch (delivery.plan->verdict) {
	case PLAN_USE:
		deliver(&delivery, &report, facts);
		break;
	case PLAN_DEFER:
	case PLAN_REFUSE:
		settle_by_plan(&delivery, &report);
		break;
	}
	txn_tell(txn);
	deliver_report_end(&report, &delivery, facts);
	arena_free(arena);
}
