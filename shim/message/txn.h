/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One message on its way: its recipients grouped by next-hop domain, the groups delivered in
 * parallel, each recipient settled exactly once. A transaction belongs to its session; the delivery
 * of a group uses only the functions below.
 */
#ifndef SHIM_MESSAGE_TXN_H
#define SHIM_MESSAGE_TXN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/reply.h"
#include "base/wait.h"
#include "base/conf/conf.h"
#include "policy/plan.h"
#include "shim/message/address.h"
#include "shim/message/body.h"

struct rcpt {
	struct address address;
	struct reply reply;	/* valid once settled */
	bool settled;
};

/* The recipients of one next-hop domain: one plan, one or more remote transactions. */
struct group {
	const char *domain;	/* address.next_hop of all of them */
	struct rcpt **rcpts;	/* in the order of RCPT */
	size_t count;
};

struct txn {
	const struct conf *conf;	/* to deliver it by; NULL: the deliverer's own */
	const char *id;	/* for the log's id=, unique in this process's life and beyond */
	struct address sender;
	bool smtputf8;	/* asked on MAIL */
	bool body_8bitmime;	/* BODY=8BITMIME on MAIL */
	enum sender_wish wish;
	const struct body *body;
	struct rcpt *rcpts;
	size_t rcpt_count;
	struct group *groups;
	size_t group_count;
	struct deadline deadline;	/* lmtp.transaction-time from the end of data */
	struct txn_state *state;	/* lock, condition, abandoned flag */
};

/* Sender, recipients and arena are the session's. Groups are made, nothing runs yet. */
struct txn *txn_new(struct arena *arena, const char *id, const struct address *sender,
    struct rcpt *rcpts, size_t rcpt_count, const struct body *body, struct deadline deadline);
void txn_free(struct txn *txn);

/* Any thread: sets a recipient's reply and wakes the session. A final reply is never 421: it
 * becomes 451 (a 421 would make Sendmail defer all that follow, unread). The second settling of one
 * recipient is an abort. */
void txn_settle(struct txn *txn, struct rcpt *rcpt, const struct reply *reply);
bool txn_is_settled(struct txn *txn, const struct rcpt *rcpt);
/* Any thread, called now and then in all long operations, and before a remote transaction gets its
 * final dot: has the MTA hung up, or is time over? A single group also serves the session by this
 * call. */
bool txn_is_abandoned(struct txn *txn);
void txn_abandon(struct txn *txn);	/* the session: the MTA has hung up */
/* A group, before it does what its recipients need not wait for: the session is to tell what is
 * settled. */
void txn_tell(struct txn *txn);

/* Runs deliver once for each group, at most parallel at a time, on threads of their own, or, where
 * one would do, on the calling thread. Meanwhile calls answered(session, rcpt) on the calling
 * thread for each recipient in order, when it and all before it are settled: at once, or, with the
 * groups on that thread, as soon as one asks or tells by the functions above. answered returns
 * false when the MTA can no longer be told, which abandons the transaction. mta is asked now and
 * then as well: true abandons. Recipients that a group left unsettled get 451 4.3.0.
 * Returns when all groups have ended. */
void txn_run(struct txn *txn, unsigned parallel,
    void (*deliver)(void *context, struct txn *txn, struct group *group), void *context,
    bool (*answered)(void *session, const struct rcpt *rcpt), void *session,
    const struct watch *mta);

#endif
