/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The milter as libmilter runs it: a socket, a thread for each SMTP session, and what every
 * callback answers. libmilter has room for one milter in a process, and gives its callbacks no
 * context of their own.
 */
#ifndef INTEGRATION_MILTER_MILTER_H
#define INTEGRATION_MILTER_MILTER_H

#include <stddef.h>

#include "base/deadline.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"

/* Binds milter.listen. A stale Unix socket is unlinked, one that answers is not. 0, or -1 with
 * why. With the rights that binding and socket-group need; before milter_run(). */
int milter_open(const struct conf *conf, char *why, size_t why_room);
/* Serves until libmilter ends; for a thread that blocks SIGHUP, SIGTERM and SIGINT, and with the
 * thread that starts the process doing nothing else than taking them: libmilter has a thread that
 * would end at any of the three. 0, or -1 when it could not serve. */
int milter_run(struct conf_now *now);
/* Waits until no recipient is being asked about, and unlinks the socket. */
void milter_stop(const struct conf *conf, struct deadline deadline);

#endif
