/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/thread.h"
#include "base/wait.h"
#include "base/worker.h"
#include "shim/message/txn.h"

#define GROUP_STACK	(512 * 1024)	/* a TLS handshake is the deepest that happens on it */

struct txn_state {
	pthread_mutex_t lock;	/* for all below, rcpt.settled, and rcpt.reply until settled */
	pthread_cond_t changed;	/* a recipient was settled or a group has ended */
	bool abandoned;
	size_t groups_begun, groups_ended;
	struct listener *alone;	/* the session, on whose own thread the groups run; or NULL */
};

struct work {
	struct txn *txn;
	void (*deliver)(void *context, struct txn *txn, struct group *group);
	void *context;
};

struct listener {
	bool (*answered)(void *session, const struct rcpt *rcpt);
	void *session;
	const struct watch *mta;	/* has it hung up? */
	size_t told;	/* recipients */
	bool gave_up;	/* the MTA can no longer be reached */
	struct deadline next_look;	/* whether it is still there */
};

static int
compare_by_domain(const void *a, const void *b)
{
	const struct rcpt *const *left = a, *const *right = b;
	int order = strcmp((*left)->address.next_hop, (*right)->address.next_hop);

	if (order != 0)
		return order;
	return *left < *right ? -1 : *left > *right;
}

static int
compare_by_first_rcpt(const void *a, const void *b)
{
	const struct group *left = a, *right = b;

	return left->rcpts[0] < right->rcpts[0] ? -1 : left->rcpts[0] > right->rcpts[0];
}

/* Groups are slices of one sorted list. They start in the order in which the MTA waits for them. */
static void
make_groups(struct txn *txn, struct arena *arena)
{
	struct rcpt **sorted = arena_array(arena, txn->rcpt_count, sizeof(struct rcpt *));
	struct group *group = NULL;
	size_t i;

	for (i = 0; i < txn->rcpt_count; i++)
		sorted[i] = &txn->rcpts[i];
	qsort(sorted, txn->rcpt_count, sizeof(struct rcpt *), compare_by_domain);
	txn->groups = arena_array(arena, txn->rcpt_count, sizeof(struct group));
	for (i = 0; i < txn->rcpt_count; i++) {
		const char *domain = sorted[i]->address.next_hop;

		if (group == NULL || strcmp(group->domain, domain) != 0) {
			group = &txn->groups[txn->group_count++];
			group->domain = domain;
			group->rcpts = sorted + i;
		}
		group->count++;
	}
	qsort(txn->groups, txn->group_count, sizeof(struct group), compare_by_first_rcpt);
}

static struct txn_state *
state_new(struct arena *arena)
{
	struct txn_state *state = arena_alloc(arena, sizeof(*state));

	pthread_mutex_init(&state->lock, NULL);
	thread_condition(&state->changed);
	return state;
}

struct txn *
txn_new(struct arena *arena, const char *id, const struct address *sender, struct rcpt *rcpts,
    size_t rcpt_count, const struct body *body, struct deadline deadline)
{
	struct txn *txn = arena_alloc(arena, sizeof(*txn));

	txn->id = id;
	txn->sender = *sender;
	txn->body = body;
	txn->rcpts = rcpts;
	txn->rcpt_count = rcpt_count;
	txn->deadline = deadline;
	txn->state = state_new(arena);
	make_groups(txn, arena);
	return txn;
}

void
txn_free(struct txn *txn)
{
	if (txn == NULL)
		return;
	pthread_cond_destroy(&txn->state->changed);
	pthread_mutex_destroy(&txn->state->lock);
}

/* Called with the lock held. */
static void
settle(struct txn *txn, struct rcpt *rcpt, const struct reply *reply)
{
	int class = reply->code / 100;

	if (rcpt->settled)
		abort();
	rcpt->reply = *reply;
	if (reply->code == 421 || (class != 2 && class != 4 && class != 5))
		rcpt->reply.code = 451;
	if (class != 2 && class != 4 && class != 5)
		strcpy(rcpt->reply.enhanced, "4.5.0");
	rcpt->settled = true;
	pthread_cond_broadcast(&txn->state->changed);
}

void
txn_settle(struct txn *txn, struct rcpt *rcpt, const struct reply *reply)
{
	pthread_mutex_lock(&txn->state->lock);
	settle(txn, rcpt, reply);
	pthread_mutex_unlock(&txn->state->lock);
}

bool
txn_is_settled(struct txn *txn, const struct rcpt *rcpt)
{
	bool settled;

	pthread_mutex_lock(&txn->state->lock);
	settled = rcpt->settled;
	pthread_mutex_unlock(&txn->state->lock);
	return settled;
}

void
txn_abandon(struct txn *txn)
{
	pthread_mutex_lock(&txn->state->lock);
	txn->state->abandoned = true;
	pthread_mutex_unlock(&txn->state->lock);
}

/* Called with the lock held, which is given up while the session writes. */
static void
tell_settled(struct txn *txn, struct listener *listener)
{
	const struct rcpt *rcpt;

	while (!listener->gave_up && listener->told < txn->rcpt_count &&
	    txn->rcpts[listener->told].settled) {
		rcpt = &txn->rcpts[listener->told++];
		pthread_mutex_unlock(&txn->state->lock);
		listener->gave_up = !listener->answered(listener->session, rcpt);
		if (listener->gave_up)
			txn_abandon(txn);
		pthread_mutex_lock(&txn->state->lock);
	}
}

/* Called with the lock held, released meanwhile. */
static void
look_after(struct txn *txn, struct listener *listener)
{
	bool end = deadline_passed(txn->deadline);

	if (deadline_passed(listener->next_look) || (end && !txn->state->abandoned)) {
		pthread_mutex_unlock(&txn->state->lock);
		if (wait_is_over(listener->mta) || end)
			txn_abandon(txn);
		pthread_mutex_lock(&txn->state->lock);
		listener->next_look = deadline_in(WAIT_LOOK_MS);
	}
	tell_settled(txn, listener);
}

bool
txn_is_abandoned(struct txn *txn)
{
	struct txn_state *state = txn->state;
	bool abandoned;

	if (deadline_passed(txn->deadline))
		txn_abandon(txn);
	pthread_mutex_lock(&state->lock);
	if (state->alone != NULL)
		look_after(txn, state->alone);
	abandoned = state->abandoned;
	pthread_mutex_unlock(&state->lock);
	return abandoned;
}

void
txn_tell(struct txn *txn)
{
	struct txn_state *state = txn->state;

	pthread_mutex_lock(&state->lock);
	if (state->alone != NULL)
		tell_settled(txn, state->alone);
	pthread_mutex_unlock(&state->lock);
}

/* Called with the lock held. */
static void
settle_rest(struct txn *txn, const struct group *group, const char *why)
{
	struct reply reply;
	size_t i;

	reply_set(&reply, 451, "4.3.0", "%s", why);
	for (i = 0; i < group->count; i++)
		if (!group->rcpts[i]->settled)
			settle(txn, group->rcpts[i], &reply);
}

/* A worker's life: one group after the other, until none is left. */
static void
deliver_groups(void *context)
{
	struct work *work = context;
	struct txn_state *state = work->txn->state;
	struct group *group;

	pthread_mutex_lock(&state->lock);
	while (state->groups_begun < work->txn->group_count) {
		group = &work->txn->groups[state->groups_begun++];
		pthread_mutex_unlock(&state->lock);
		work->deliver(work->context, work->txn, group);
		pthread_mutex_lock(&state->lock);
		settle_rest(work->txn, group, "stsgate made no decision for this recipient");
		state->groups_ended++;
		pthread_cond_broadcast(&state->changed);
	}
	pthread_mutex_unlock(&state->lock);
}

static size_t
start_workers(struct work *work, struct worker **workers, size_t count)
{
	size_t started;

	for (started = 0; started < count; started++) {
		workers[started] = worker_start(GROUP_STACK, deliver_groups, work);
		if (workers[started] == NULL)
			break;
	}
	return started;
}

/* Nothing can be delivered: the MTA tries again later. */
static void
settle_without_threads(struct txn *txn)
{
	struct txn_state *state = txn->state;
	size_t i;

	log_message(LOG_LEVEL_ERROR, "txn",
	    "%s: cannot create a thread; all recipients are deferred", txn->id);
	pthread_mutex_lock(&state->lock);
	for (i = 0; i < txn->group_count; i++)
		settle_rest(txn, &txn->groups[i], "stsgate could not start a thread");
	state->groups_begun = state->groups_ended = txn->group_count;
	pthread_mutex_unlock(&state->lock);
}

/* Tells the session what is decided until all groups have ended. */
static void
listen_to_groups(struct txn *txn, struct listener *listener)
{
	struct txn_state *state = txn->state;
	struct timespec at;

	pthread_mutex_lock(&state->lock);
	tell_settled(txn, listener);
	while (state->groups_ended < txn->group_count) {
		at = deadline_timespec(state->abandoned
			? listener->next_look
			: deadline_earlier(listener->next_look, txn->deadline));
		pthread_cond_timedwait(&state->changed, &state->lock, &at);
		look_after(txn, listener);	/* no wait begins with something untold */
	}
	pthread_mutex_unlock(&state->lock);
}

static void
run_side_by_side(struct work *work, size_t count, struct listener *listener)
{
	struct worker **workers = xcalloc(count, sizeof(struct worker *));
	size_t started = start_workers(work, workers, count), i;

	if (started == 0)
		settle_without_threads(work->txn);
	listen_to_groups(work->txn, listener);
	for (i = 0; i < started; i++)
		worker_join(workers[i]);
	free(workers);
}

/* A thread of its own for each message is a good part of what a message costs. */
static void
run_alone(struct work *work, struct listener *listener)
{
	work->txn->state->alone = listener;
	deliver_groups(work);
	work->txn->state->alone = NULL;
	listen_to_groups(work->txn, listener);
}

void
txn_run(struct txn *txn, unsigned parallel,
    void (*deliver)(void *context, struct txn *txn, struct group *group), void *context,
    bool (*answered)(void *session, const struct rcpt *rcpt), void *session,
    const struct watch *mta)
{
	struct work work = { txn, deliver, context };
	struct listener listener = { .answered = answered,
		.session = session,
		.mta = mta,
		.next_look = deadline_in(WAIT_LOOK_MS) };
	size_t count = txn->group_count < parallel ? txn->group_count : parallel;

	if (count > 1)
		run_side_by_side(&work, count, &listener);
	else
		run_alone(&work, &listener);
}
