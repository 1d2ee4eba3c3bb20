/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The sockets of stsgated: which section of the configuration has which, opened together and before
 * privileges are dropped, then handed to the engines that serve them. For the main thread.
 *
 * A section with a socket is one row of the table in listeners.c. Where the service manager passes
 * sockets that bear the section's name, these are the section's, and its listen is not looked at.
 */
#ifndef CMD_LISTENERS_H
#define CMD_LISTENERS_H

#include <stdbool.h>

#include "base/conf/conf.h"

struct listeners;

/* A Unix socket whose directory does not exist; NULL: there is none. */
const struct endpoint *listeners_without_directory(const struct conf *conf);

/* They queue connections from here on, and are served once everything is ready. NULL: it has been
 * said why. */
struct listeners *listeners_open(const struct conf *conf);

/*
 * Hands the sockets of a section ("lmtp"), now and whenever listeners_reload() finds more, to
 * serve, which owns fd from then on, also when it fails with errno. tcp: not a Unix socket.
 * unserve(context, fd) ends that: it closes fd. 0, or -1: it has been said why.
 */
int listeners_serve(struct listeners *listeners, const char *section,
    int (*serve)(void *context, int fd, bool tcp), void (*unserve)(void *context, int fd),
    void *context);

/* Opens what conf has more, closes what it no longer has, and leaves the rest alone. A section of
 * which something cannot be opened keeps what it has; it is logged why. */
void listeners_reload(struct listeners *listeners, const struct conf *conf);

/* Removes the Unix sockets: they would take connections that are never accepted. NULL is
 * allowed. */
void listeners_close(struct listeners *listeners);

#endif
