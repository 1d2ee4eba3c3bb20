/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * LMTP in (RFC 2033): one thread a session, one transaction after the other. The MTA keeps the
 * queue: 250 for a recipient means that its own server said 250.
 */
#ifndef SHIM_LMTP_LMTP_SERVER_H
#define SHIM_LMTP_LMTP_SERVER_H

#include <stdbool.h>

#include "base/deadline.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "shim/message/body.h"
#include "shim/message/txn.h"

struct lmtp_server;

/* deliver and its context are called for every group of every transaction; see txn_run().
 * Everything passed must outlive the server. */
struct lmtp_server *lmtp_server_new(const struct conf *conf, struct body_spool *spool,
    void (*deliver)(void *context, struct txn *txn, struct group *group), void *context);
/* Starts accepting on a bound, listening socket. 0 or -1 with errno. */
int lmtp_server_listen(struct lmtp_server *server, int listener, bool check_allow_from);
/* Stops accepting there, and closes it; sessions go on. */
void lmtp_server_unlisten(struct lmtp_server *server, int listener);
/* Before it listens: each session uses the configuration in force when it begins. */
void lmtp_server_follow(struct lmtp_server *server, struct conf_now *now);
/* Limits are those of conf from now on. */
void lmtp_server_reload(struct lmtp_server *server, const struct conf *conf);
/* No new sessions or transactions; what runs is answered. false: the deadline came first, and from
 * here on running transactions are answered 451 4.3.2 or abandoned before their dot. */
bool lmtp_server_drain(struct lmtp_server *server, struct deadline deadline);
/* After that: gives them the time for it. */
void lmtp_server_cancel(struct lmtp_server *server);
void lmtp_server_free(struct lmtp_server *server);

#endif
