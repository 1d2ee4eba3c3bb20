/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A session as libtlsrpt tells of it: one JSON object in one datagram, as Postfix 3.10 and later
 * send it and tlsrpt-collectd takes it. Pure; any thread.
 */
#ifndef REPORT_DATAGRAM_H
#define REPORT_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "report/outcome.h"

/* Appends it, octet for octet as libtlsrpt 0.5 would: tlsrpt-collectd tells policies apart by their
 * text. */
void datagram_write(struct buf *text, const struct session_outcome *session);

/* 0, or -1 with *why, a constant text. Everything a stranger may get wrong is found here; what is
 * taken, a report can carry: names are A-labels, addresses are addresses, texts are UTF-8. */
int datagram_read(struct arena *arena, const char *octets, size_t length, int64_t at_s,
    struct session_outcome *session, const char **why);

#endif
