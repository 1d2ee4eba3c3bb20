/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What stsgated tells and takes from the service manager that started it, if one did: sd_notify(3)
 * and sd_listen_fds(3), which are a datagram and three variables. For the main thread.
 */
#ifndef CMD_SERVICE_MANAGER_H
#define CMD_SERVICE_MANAGER_H

#include <stddef.h>
#include <stdint.h>

/* Nothing happens where nobody asked for it (NOTIFY_SOCKET). */
void service_manager_ready(const char *status);
void service_manager_reloading(void);
void service_manager_stopping(void);
void service_manager_alive(void);
/* How often service_manager_alive() is wanted, in milliseconds: half of what the manager waits.
 * 0: never. */
int64_t service_manager_alive_every_ms(void);

struct inherited_socket {
	int fd;	/* close-on-exec and non-blocking */
	char name[64];	/* of LISTEN_FDNAMES, "" without */
};

/* The descriptors that are meant for this process, room at most, and never again. */
size_t service_manager_sockets(struct inherited_socket *sockets, size_t room);

#endif
