/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Takes one group of recipients to their hosts: gathers facts, makes the plan, walks its hosts and
 * addresses, lets the plan judge each connection, and settles every recipient. Runs on a group's
 * own thread; the shared parts lock themselves.
 */
#ifndef SHIM_SMTP_DELIVER_H
#define SHIM_SMTP_DELIVER_H

#include "base/conf/conf.h"
#include "policy/facts/gather.h"
#include "shim/message/txn.h"
#include "report/history.h"
#include "report/recorder.h"
#include "shim/smtp/conn_cache.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/host_backoff.h"
#include "shim/smtp/tls_client.h"

struct deliver_context {
	const struct conf *conf;
	struct gatherer gatherer;
	struct tls_client *tls;
	struct conn_limit *conn_limit;
	struct conn_cache *conn_cache;	/* NULL: no connection is kept */
	struct host_backoff *host_backoff;	/* NULL: nothing is remembered */
	struct recorder *recorder;	/* NULL: nothing is reported */
	struct history *history;	/* NULL: none is kept */
};

/* context is a struct deliver_context; the shape txn_run() calls. */
void deliver_group(void *context, struct txn *txn, struct group *group);

#endif
