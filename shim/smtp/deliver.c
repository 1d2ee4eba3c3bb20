/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "shim/smtp/attempt.h"
#include "shim/smtp/deliver.h"
#include "shim/smtp/deliver_history.h"
#include "shim/smtp/deliver_log.h"
#include "shim/smtp/deliver_report.h"

/* A walk over the addresses of a plan. */
struct walk {
	const struct delivery *delivery;
	struct deliver_report *report;
	size_t left;	/* addresses not tried yet */
	size_t tries_left;	/* and how many of them may be */
	size_t hosts_left;	/* of which no address was tried */
	unsigned *sessions;	/* of this message with this next hop, smtp.sessions-per-message */
	struct attempt failed;	/* where the reply of those left over comes from */
	enum attempt_weight failed_last;	/* of the last address */
};

/* The time of the transaction that must be left to start with an address: enough to wait for the
 * reply to its final dot. Where the administrator gave transactions less than two such waits, half
 * of their time is enough, or nothing would ever be tried. */
static int64_t
reserve_ms(const struct conf *conf)
{
	int64_t half = conf->lmtp.transaction_time / 2;

	return conf->smtp.final_timeout < half ? conf->smtp.final_timeout : half;
}

static size_t
addresses_of(const struct plan_host *host)
{
	return host->use ? host->address_count : 0;
}

static void
begin(struct walk *walk)
{
	const struct plan *plan = walk->delivery->plan;
	size_t i;

	walk->tries_left = LIMIT_ADDRESSES_PER_DOMAIN;
	for (i = 0; i < plan->host_count; i++) {
		walk->left += addresses_of(&plan->hosts[i]);
		walk->hosts_left += addresses_of(&plan->hosts[i]) > 0;
	}
}

/* Sets the attempt's deadlines: an equal share for this address and each that would come after it;
 * the last one has all that is left, and one that answers EHLO its whole smtp.command-timeout.
 * false: there is no time to begin. */
static bool
allot_time(const struct walk *walk, struct attempt *attempt)
{
	const struct deadline *deadline = &walk->delivery->txn->deadline;
	int64_t reserve = reserve_ms(walk->delivery->context->conf);
	int64_t time = deadline->at_ms - clock_monotonic_ms() - reserve;
	size_t shares = walk->left < walk->tries_left ? walk->left : walk->tries_left;

	if (time <= 0)
		return false;
	attempt->limit = (struct deadline){ .at_ms = deadline->at_ms - reserve };
	attempt->deadline = *deadline;
	if (shares > 1)
		attempt->deadline = deadline_in(time / (int64_t)shares);
	attempt->slot_deadline = deadline_earlier(attempt->limit, attempt->deadline);
	return true;
}

/* Which failure do recipients hear of, when no host takes the message? The weightiest, and among
 * equals the last. */
static void
remember(struct walk *walk, const struct attempt *attempt)
{
	walk->failed_last = attempt->weight;
	if (attempt->weight >= walk->failed.weight)
		walk->failed = *attempt;
}

/* The number of sessions of one message with one domain is limited, to spare its hosts; but hosts
 * without the required TLS do not count. */
static void
count_session(struct walk *walk, const struct attempt *attempt)
{
	switch (attempt->weight) {
	case ATTEMPT_WEIGHT_UNPROTECTED:
	case ATTEMPT_WEIGHT_UNREQUIRED:
	case ATTEMPT_WEIGHT_POLICY:
		return;
	case ATTEMPT_WEIGHT_NONE:
	case ATTEMPT_WEIGHT_UNFIT:
	case ATTEMPT_WEIGHT_PASSED:
	case ATTEMPT_WEIGHT_TROUBLE:
		*walk->sessions += attempt->greeted;
		return;
	}
}

static bool
has_sessions_left(const struct walk *walk)
{
	unsigned most = walk->delivery->context->conf->smtp.sessions_per_message;

	return most == 0 || *walk->sessions < most;
}

/* May one more address be tried? */
static bool
may_knock(const struct walk *walk)
{
	return walk->left > 0 && walk->tries_left > 0 && has_sessions_left(walk);
}

/* false: the walk is over. */
static bool
try_address(struct walk *walk, const struct plan_host *host, const struct ip *ip)
{
	struct attempt attempt = { .host = host, .ip = ip };
	enum attempt_end end = ATTEMPT_AGAIN;

	while (end == ATTEMPT_AGAIN || end == ATTEMPT_PLAINTEXT || end == ATTEMPT_FRESH ||
	    end == ATTEMPT_OMIT || end == ATTEMPT_CROWDED) {
		if (txn_is_abandoned(walk->delivery->txn) || !allot_time(walk, &attempt))
			return false;
		attempt.plaintext = attempt.plaintext || end == ATTEMPT_PLAINTEXT;
		attempt.fresh = attempt.fresh || end == ATTEMPT_FRESH;
		end = attempt_run(walk->delivery, &attempt);
		deliver_report_attempt(walk->report, &attempt);
	}
	walk->left--;
	walk->tries_left--;
	count_session(walk, &attempt);
	walk->report->exhausted = end == ATTEMPT_NEXT && walk->left == 0;
	if (end == ATTEMPT_DONE)
		return false;
	remember(walk, &attempt);
	return end == ATTEMPT_NEXT && may_knock(walk);
}

/* May one more address of this host be tried? Not if it has greeted and other hosts would then
 * never be tried. */
static bool
may_stay(const struct walk *walk, unsigned sessions_before)
{
	unsigned most = walk->delivery->context->conf->smtp.sessions_per_message;

	return walk->tries_left > walk->hosts_left &&
	    (most == 0 || *walk->sessions == sessions_before ||
		*walk->sessions + walk->hosts_left < most);
}

/* The addresses of a host from number *next on, while it does not turn out to be unfit for the
 * message. false: the walk is over. */
static bool
walk_addresses(struct walk *walk, const struct plan_host *host, size_t *next)
{
	unsigned sessions_before = *walk->sessions;

	walk->failed_last = ATTEMPT_WEIGHT_NONE;
	while (*next < addresses_of(host) && walk->failed_last != ATTEMPT_WEIGHT_UNFIT &&
	    (*next == 0 || may_stay(walk, sessions_before)))
		if (!try_address(walk, host, &host->addresses[(*next)++]))
			return false;
	return true;
}

/* The next host of which no address was tried. The last session of a message is for any of them, so
 * that each is tried in time, however many before it refuse. */
static size_t
pick_untried(const struct walk *walk, const size_t *next)
{
	const struct plan *plan = walk->delivery->plan;
	unsigned most = walk->delivery->context->conf->smtp.sessions_per_message;
	uint32_t skipped = 0;
	size_t i;

	if (most > 0 && *walk->sessions > 0 && *walk->sessions + 1 >= most)
		skipped = arc4random_uniform((uint32_t)walk->hosts_left);
	for (i = 0; i < plan->host_count; i++)
		if (next[i] == 0 && addresses_of(&plan->hosts[i]) > 0 && skipped-- == 0)
			break;
	return i;
}

/* One host after the other, and no host is left out for the sake of another's further addresses,
 * of which less is to be expected: these come last. */
static void
walk_hosts(struct walk *walk)
{
	const struct plan *plan = walk->delivery->plan;
	size_t next[LIMIT_MX_RECORDS] = { 0 }, i;

	begin(walk);
	while (may_knock(walk) && walk->hosts_left > 0) {
		i = pick_untried(walk, next);
		walk->hosts_left--;
		if (!walk_addresses(walk, &plan->hosts[i], &next[i]))
			return;
	}
	while (may_knock(walk))
		for (i = 0; i < plan->host_count; i++)
			if (!walk_addresses(walk, &plan->hosts[i], &next[i]))
				return;
}

/* All that are not settled yet. */
static void
settle_rest(const struct delivery *delivery, struct attempt *attempt, const struct reply *reply)
{
	size_t i;

	for (i = 0; i < delivery->group->count; i++)
		if (!txn_is_settled(delivery->txn, delivery->group->rcpts[i]))
			attempt_settle(delivery, attempt, delivery->group->rcpts[i], reply);
}

/* Were addresses left untried, and not for want of time? */
static bool
is_cut_short(const struct walk *walk)
{
	return walk->failed.weight != ATTEMPT_WEIGHT_NONE && walk->left > 0 && !may_knock(walk);
}

/* A no for good takes every address to have been tried, or every host where that is the bound. */
static bool
is_final(const struct walk *walk)
{
	return walk->failed.weight != ATTEMPT_WEIGHT_NONE &&
	    (walk->left == 0 || !reply_is_permanent(&walk->failed.reply) ||
		(walk->hosts_left == 0 && is_cut_short(walk)));
}

/* Is it REQUIRETLS that the hosts which were tried did not meet? */
static bool
is_unmet(const struct attempt *attempt)
{
	return attempt->weight == ATTEMPT_WEIGHT_UNPROTECTED ||
	    attempt->weight == ATTEMPT_WEIGHT_UNREQUIRED;
}

static void
settle_failed(struct walk *walk)
{
	const struct delivery *delivery = walk->delivery;
	const struct reply *untried = &delivery->plan->untried;
	struct reply reply;

	if (is_final(walk)) {
		if (untried->code != 0 &&
		    (is_unmet(&walk->failed) || reply_is_permanent(&walk->failed.reply)))
			settle_rest(delivery, NULL, untried);
		else
			settle_rest(delivery, &walk->failed, &walk->failed.reply);
		return;
	}
	if (is_cut_short(walk)) {
		/* A property of all tried hosts may not apply to the others. */
		reply = walk->failed.reply;
		reply.code = 451;
		reply.enhanced[0] = '4';
		settle_rest(delivery, &walk->failed, &reply);
		return;
	}
	reply_set(&reply, 451, "4.4.2",
	    "no host of %s accepted the message before the MTA hung "
	    "up or lmtp.transaction-time was over",
	    delivery->group->domain);
	settle_rest(delivery, NULL, &reply);
}

/* Would recipients hear that a host did not prove what an MTA-STS policy demands? */
static bool
is_refused_by_sts(const struct walk *walk)
{
	const struct attempt *failed = &walk->failed;

	return failed->weight == ATTEMPT_WEIGHT_POLICY && failed->judged &&
	    failed->judgement.source == SOURCE_STS && !txn_is_abandoned(walk->delivery->txn);
}

static void
settle_by_plan(struct delivery *delivery, struct deliver_report *report)
{
	settle_rest(delivery, NULL, &delivery->plan->reply);
	report->exhausted = true;
}

/* The plan after another look-up of the policy, with its facts. NULL: there is none, or the MTA
 * hung up meanwhile, or no session is left for its hosts. */
static struct plan *
plan_again(const struct walk *walk, struct arena *arena, struct facts *facts, struct facts *before)
{
	const struct delivery *delivery = walk->delivery;
	struct plan *again;

	if (facts == NULL || !is_refused_by_sts(walk))
		return NULL;
	*before = *facts;
	again = gather_plan_again(&delivery->context->gatherer, arena, delivery->txn->wish,
	    delivery->txn->deadline, facts);
	if (again != NULL && has_sessions_left(walk) && !txn_is_abandoned(delivery->txn))
		return again;
	*facts = *before;
	return NULL;
}

/* facts NULL: the policy is not looked up again. */
static void
deliver(struct delivery *delivery, struct deliver_report *report, struct facts *facts,
    unsigned *sessions)
{
	struct walk walk = { .delivery = delivery, .report = report, .sessions = sessions };
	struct plan *again;
	struct facts before;

	walk_hosts(&walk);
	again = plan_again(&walk, report->arena, facts, &before);
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
		deliver(delivery, report, NULL, sessions);
	else
		settle_by_plan(delivery, report);
}

/* Has the MTA stopped waiting for the look-up? A cancelled one says nothing about the domain. */
static bool
is_unawaited(void *context, const char *what)
{
	struct txn *txn = context;

	(void)what;
	return txn_is_abandoned(txn);
}

/* The MTA will ask again: nothing is looked up, and nothing counted. */
static void
settle_unheard(struct delivery *delivery)
{
	static const struct plan none = { .verdict = PLAN_DEFER };
	struct reply reply;

	delivery->plan = &none;
	reply_set(&reply, 451, "4.4.2",
	    "the MTA hung up, or lmtp.transaction-time was over, "
	    "before the delivery to %s began",
	    delivery->group->domain);
	settle_rest(delivery, NULL, &reply);
}

static void
deliver_by_plan(struct delivery *delivery, struct arena *arena, struct deliver_context *deliverer)
{
	const struct address *address = &delivery->group->rcpts[0]->address;
	struct txn *txn = delivery->txn;
	struct deliver_report report;
	struct facts *facts = NULL;
	unsigned sessions = 0;

	deliver_report_begin(&report, arena, delivery);
	delivery->plan = gather_plan_for(&deliverer->gatherer, arena, delivery->group->domain,
	    address->literal ? &address->ip : NULL, txn->wish, txn->deadline, &facts);
	/* Facts of a cancelled gathering say nothing. */
	if (txn_is_abandoned(txn) && !deadline_passed(txn->deadline)) {
		settle_unheard(delivery);
		return;
	}
	deliver_log_unlisted(delivery);
	switch (delivery->plan->verdict) {
	case PLAN_USE:
		deliver(delivery, &report, facts, &sessions);
		break;
	case PLAN_DEFER:
	case PLAN_REFUSE:
		settle_by_plan(delivery, &report);
		break;
	}
	txn_tell(txn);
	deliver_history_end(delivery);
	deliver_report_end(&report, delivery, facts);
}

void
deliver_group(void *context, struct txn *txn, struct group *group)
{
	struct deliver_context deliverer = *(const struct deliver_context *)context;
	const struct gather_watch watch = { is_unawaited, txn };
	struct arena *arena = arena_new();
	struct deliver_history history = { .arena = arena };
	struct delivery delivery = {
		.context = &deliverer,
		.txn = txn,
		.group = group,
		.began_ms = clock_monotonic_ms(),
	};

	if (deliverer.history != NULL)
		delivery.history = &history;
	if (txn->conf != NULL)
		deliverer.conf = deliverer.gatherer.conf = txn->conf;
	deliverer.gatherer.watch = &watch;
	delivery.destination = conf_destination_find(deliverer.conf, group->domain);
	if (txn_is_abandoned(txn))
		settle_unheard(&delivery);
	else
		deliver_by_plan(&delivery, arena, &deliverer);
	arena_free(arena);
}
