/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The sockets of stsgated: which section of the configuration has which, opened together and before
 * privileges are dropped, then handed to the engines that serve them. For the main thread.
 *
 * A section with a socket is one row of the table in listeners.c.
 */
#ifndef CMD_LISTENERS_H
#define CMD_LISTENERS_H

#include <stdbool.h>

#include "base/conf.h"

struct listeners;

/* They queue connections from here on, and are served once everything is ready. NULL: it has been
 * said why. conf must outlive it. */
struct listeners *listeners_open(const struct conf *conf);

/* Hands the sockets of a section ("lmtp") to serve, which owns fd, also when it fails with errno.
 * tcp: not a Unix socket. 0, or -1: it has been said why. */
int listeners_serve(struct listeners *listeners, const char *section,
    int (*serve)(void *context, int fd, bool tcp), void *context);

/* Removes the Unix sockets: they would swallow connections that nobody accepts. NULL is allowed. */
void listeners_close(struct listeners *listeners);

#endif
