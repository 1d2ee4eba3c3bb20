/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A thread for each accepted connection, up to a cap, with a drain at the end.
 * Threads get small explicit stacks. Any thread may call session_pool_drain().
 */
#ifndef BASE_SESSION_H
#define BASE_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"

struct session_pool;

/* serve runs once a connection, on its own thread, and owns fd, a non-blocking socket; it returns
 * soon after it has closed fd. full is called on the accepting thread for a connection beyond max,
 * or when no thread can be created; it must not block, and owns fd as well. NULL with errno. */
struct session_pool *session_pool_new(size_t max, size_t stack_octets,
    void (*serve)(void *context, int fd), void (*full)(void *context, int fd), void *context);
/* Starts accepting on a listening socket, which the pool then owns. -1 with errno: it does not. */
int session_pool_listen(struct session_pool *pool, int listener);
void session_pool_set_max(struct session_pool *pool, size_t max);	/* for those to come */
/* Stops accepting on a socket that session_pool_listen() took, and closes it soon; sessions go
 * on. */
void session_pool_unlisten(struct session_pool *pool, int listener);
size_t session_pool_running(const struct session_pool *pool);
bool session_pool_draining(const struct session_pool *pool);	/* idle sessions are to end */
/* For serve, about its own session. Draining leaves a busy one, in a transaction, alone until it
 * says that it is no longer busy; a session is idle until it calls this. An idle one may find
 * itself shut down for reading, which stream_peer_gone() cannot tell from a peer that left. */
void session_pool_busy(struct session_pool *pool, bool busy);
/* Stops accepting, wakes idle sessions by shutting their sockets down for reading, and waits.
 * false: some are still running at the deadline; ask again or leave. */
bool session_pool_drain(struct session_pool *pool, struct deadline deadline);
void session_pool_free(struct session_pool *pool);	/* after a complete drain */

#endif
