/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The connections to the control socket, and which to close when there are too many. Idle
 * connections give way to new ones, the longest idle first: those of the same user at
 * LIMIT_CONTROL_OF_ONE, those of any user at LIMIT_CONTROL_VISITORS. So no user, with or without
 * intent, can lock the administrator out. One that does nothing for longer than its state allows is
 * closed too: libmicrohttpd 1.0 cannot change the time-out of one connection. Descriptors stay
 * their owner's, and are only shut down. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_CLIENTS_H
#define SHIM_CONTROL_CONTROL_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

struct visitors;
struct visitor;

/* How long a connection may be idle without a request, and during an answer. NULL: no thread could
 * be started. */
struct visitors *visitors_new(int64_t idle_ms, int64_t answer_ms);
void visitors_free(struct visitors *visitors);	/* all have left */

/* uid -1: not known; all of those are one. Makes room, or shuts fd itself down where every
 * connection that could go has its question being answered. */
struct visitor *visitors_enter(struct visitors *visitors, int fd, int64_t uid);
/* Its question is whole and is being answered; or that is over. */
void visitors_set_busy(struct visitors *visitors, struct visitor *visitor, bool busy);
/* Octets of its request arrived, or of its answer were sent. */
void visitors_move(struct visitors *visitors, struct visitor *visitor);
void visitors_leave(struct visitors *visitors, struct visitor *visitor);	/* before close() */

#endif
