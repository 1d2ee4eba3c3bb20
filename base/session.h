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

/* serve runs once a connection, on its own thread, and owns fd. full is called on the accepting
 * thread for a connection beyond max; it must not block, and owns fd as well. */
struct session_pool *session_pool_new(size_t max, size_t stack_octets,
    void (*serve)(void *context, int fd), void (*full)(void *context, int fd), void *context);
/* Starts accepting on a listening socket, which the pool then owns. 0, or -1 with errno. */
int session_pool_listen(struct session_pool *pool, int listener);
size_t session_pool_running(const struct session_pool *pool);
bool session_pool_draining(const struct session_pool *pool);	/* sessions between transactions end themselves */
/* Stops accepting, wakes idle sessions by shutting their sockets down for reading, and waits.
 * false: some are still running at the deadline; ask again or leave. */
bool session_pool_drain(struct session_pool *pool, struct deadline deadline);
void session_pool_free(struct session_pool *pool);	/* after a complete drain */

/* A detached-in-spirit helper for groups of one transaction: start and join. 0, or an errno. */
struct worker;
struct worker *worker_start(size_t stack_octets, void (*run)(void *context), void *context);	/* NULL: no thread to be had */
void worker_join(struct worker *worker);

#endif
