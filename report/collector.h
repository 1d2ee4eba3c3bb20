/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What have others to tell of their sessions? Takes libtlsrpt's datagrams from a Unix socket, so
 * that a Postfix beside us counts in our reports. The kernel holds back a dozen of them and then
 * sends them nowhere: one thread does nothing but empty the socket, another reads and counts.
 */
#ifndef REPORT_COLLECTOR_H
#define REPORT_COLLECTOR_H

#include "report/forward.h"
#include "report/tally.h"

struct collector;

/* Takes the descriptor over, also when it fails: NULL, no thread or descriptor is to be had. tally
 * and forward, which may be NULL, must outlive it. */
struct collector *collector_new(int fd, struct tally *tally, struct forward *forward);
/* What came in so far is counted first. NULL is allowed. */
void collector_free(struct collector *collector);

#endif
