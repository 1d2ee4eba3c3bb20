/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Receives the sessions of other programs: libtlsrpt's datagrams from a Unix socket, so that our
 * reports include those of a Postfix on this host. The kernel queues a dozen of them and then drops
 * the rest: one thread does nothing but empty the socket, another reads them and hands them on to
 * be counted, where their domains want reports: what the sender says about that, any local user
 * could say.
 */
#ifndef REPORT_COLLECTOR_H
#define REPORT_COLLECTOR_H

#include "report/recorder.h"

struct collector;

/* Takes the descriptor over, also when it fails: NULL, there is no thread or descriptor left.
 * recorder must outlive it. */
struct collector *collector_new(int fd, struct recorder *recorder);
/* Datagrams received so far are counted first. NULL is allowed. */
void collector_free(struct collector *collector);

#endif
