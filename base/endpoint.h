/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The addresses that the configuration and the command lines name: "unix:/path",
 * "inet:127.0.0.1:2424", "inet6:[::1]:2424". Uses libc alone, since stsgate-deliver does.
 */
#ifndef BASE_ENDPOINT_H
#define BASE_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/deadline.h"

#define ENDPOINT_TEXT_MAX	140

struct endpoint {
	struct sockaddr_storage address;
	socklen_t length;
	char text[ENDPOINT_TEXT_MAX];	/* as written, for messages */
};

/* 0, or -1 with *why set to a constant text. A bare "/path" is taken as "unix:/path". */
int endpoint_parse(const char *text, struct endpoint *endpoint, const char **why);
bool endpoint_is_unix(const struct endpoint *endpoint);
const char *endpoint_path(const struct endpoint *endpoint);	/* NULL unless unix */
bool endpoint_equal(const struct endpoint *a, const struct endpoint *b);
bool endpoint_is_loopback(const struct endpoint *endpoint);	/* 127/8, ::1 or unix */

/*
 * A listening, close-on-exec, non-blocking socket, or -1 with errno set. A stale Unix socket is
 * unlinked only when connect() to it is refused; one that answers is EADDRINUSE, a file that is no
 * socket ENOTSOCK. mode is set before anyone can connect; group (gid_t)-1 leaves it.
 */
int endpoint_listen(const struct endpoint *endpoint, mode_t mode, gid_t group, int backlog);
/* Whether the directory of a Unix socket does not exist. */
bool endpoint_lacks_directory(const struct endpoint *endpoint);
/* Why endpoint_listen() or endpoint_receive() failed with this errno, in words of at most
 * ENDPOINT_REASON_MAX octets; gives why. */
#define ENDPOINT_REASON_MAX	400
const char *endpoint_reason(const struct endpoint *endpoint, int error, char *why, size_t room);
/* A Unix datagram socket that receives, with the same care. */
int endpoint_receive(const struct endpoint *endpoint, mode_t mode, gid_t group);
/* A connected, non-blocking socket, or -1 with errno set (ETIMEDOUT at the deadline). */
int endpoint_connect(const struct endpoint *endpoint, struct deadline deadline);

#endif
