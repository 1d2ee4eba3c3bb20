/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The connections to the control socket, and which to close when there are too many. Idle
 * connections give way to new ones, the longest idle first: those of the same user at
 * LIMIT_CONTROL_OF_ONE, those of any user at LIMIT_CONTROL_CLIENTS. So no user, with or without
 * intent, can lock the administrator out. One that does nothing for longer than its state allows is
 * closed too: libmicrohttpd 1.0 cannot change the time-out of one connection. Descriptors stay
 * their owner's, and are only shut down. Any thread.
 */
#ifndef SHIM_CONTROL_CONTROL_CLIENTS_H
#define SHIM_CONTROL_CONTROL_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

struct control_clients;
struct control_client;

/* How long a connection may be idle without a request, and during an answer. NULL: no thread could
 * be started. */
struct control_clients *control_clients_new(int64_t idle_ms, int64_t answer_ms);
void control_clients_free(struct control_clients *clients);	/* all have left */

/* uid -1: not known; all of those are one. Makes room, or shuts fd itself down where every
 * connection that could go has its question being answered. */
struct control_client *control_clients_enter(struct control_clients *clients, int fd, int64_t uid);
/* Its question is whole and is being answered; or that is over. */
void control_clients_set_busy(struct control_clients *clients, struct control_client *client,
    bool busy);
/* Octets of its request arrived, or of its answer were sent. */
void control_clients_move(struct control_clients *clients, struct control_client *client);
void control_clients_leave(struct control_clients *clients,
    struct control_client *client);	/* before close() */

#endif
