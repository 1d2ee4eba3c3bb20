/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The dialogue with one MTA, from the greeting to QUIT, on the calling thread. Belongs to
 * lmtp_server, which says how long things may take and when it is time to stop.
 */
#ifndef SHIM_LMTP_LMTP_SESSION_H
#define SHIM_LMTP_LMTP_SESSION_H

#include <stdint.h>

#include "base/session.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "shim/message/body.h"
#include "shim/message/txn.h"

enum lmtp_stage {
	LMTP_SERVING,
	LMTP_DRAINING,	/* no new transactions */
	LMTP_ABANDONING,	/* the time to drain is over: transactions are abandoned */
	LMTP_LAST_WORD	/* what has not been decided by now is answered 451 4.3.2 */
};

/* Shared by all sessions of a server. */
struct lmtp_service {
	const struct conf *conf;	/* of the start, and of every session without now */
	struct conf_now *now;	/* a session keeps what is in force when it begins; or NULL */
	struct body_spool *spool;
	struct session_pool *pool;
	void (*deliver)(void *context, struct txn *txn, struct group *group);
	void *context;
	int64_t wait_ms;	/* for a command, more of a message, or a reply to be taken */
	int64_t message_ms;	/* for the whole content of a message */
	_Atomic enum lmtp_stage stage;
	_Atomic uint64_t transactions;	/* so far */
};

/* Closes fd. conf: for the whole session. */
void lmtp_session_serve(struct lmtp_service *service, const struct conf *conf, int fd);

#endif
