/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What have others to tell of their sessions? Takes libtlsrpt's datagrams from a Unix socket, so
 * that a Postfix beside us counts in our reports. The kernel holds back a dozen of them and then
 * sends them nowhere: one thread does nothing but empty the socket, another reads them and hands
 * them on to be counted, where their domains want reports: what the sender says about that, any
 * local user could say.
 */
#ifndef REPORT_COLLECTOR_H
#define REPORT_COLLECTOR_H

#include "report/recorder.h"

struct collector;

/* Takes the descriptor over, also when it fails: NULL, there is no thread or descriptor left.
 * recorder must outlive it. */
struct collector *collector_new(int fd, struct recorder *recorder);
/* What came in so far is counted first. NULL is allowed. */
void collector_free(struct collector *collector);

#endif
