/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cmd/service_manager.h"

#define FIRST_FD	3

static void
tell(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	size_t length = path != NULL ? strlen(path) : 0;
	int fd;

	if (length == 0 || length >= sizeof(to.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(to.sun_path, path, length);
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&to,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
	close(fd);
}

void
service_manager_ready(const char *status)
{
	char state[300];

	snprintf(state, sizeof(state), "READY=1\nSTATUS=%s", status);
	tell(state);
}

void
service_manager_reloading(void)
{
	struct timespec now = { 0, 0 };
	char state[100];

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
	    (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	tell(state);
}

void
service_manager_stopping(void)
{
	tell("STOPPING=1\nSTATUS=no new sessions; running ones are answered");
}

void
service_manager_alive(void)
{
	tell("WATCHDOG=1");
}

/* The value of a variable as a number that is not negative, or -1. */
static int64_t
number_of(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	long long value;

	if (text == NULL || text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	value = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 ? value : -1;
}

int64_t
service_manager_alive_every_ms(void)
{
	int64_t pid = number_of("WATCHDOG_PID"), usec = number_of("WATCHDOG_USEC");

	if (usec <= 0 || (pid >= 0 && pid != getpid()))
		return 0;
	return usec / 2000 > 0 ? usec / 2000 : 1;
}

static void
copy_name(const char **names, struct inherited_socket *inherited)
{
	size_t length = strcspn(*names, ":");

	snprintf(inherited->name, sizeof(inherited->name), "%.*s", (int)length, *names);
	*names += length;
	if (**names == ':')
		(*names)++;
}

size_t
service_manager_sockets(struct inherited_socket *sockets, size_t room)
{
	int64_t pid = number_of("LISTEN_PID"), count = number_of("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	size_t i, taken = 0;

	names = names != NULL ? names : "";
	for (i = 0; pid == getpid() && count > 0 && i < (size_t)count && i < room; i++) {
		struct inherited_socket *inherited = &sockets[taken];
		int flags;

		inherited->fd = FIRST_FD + (int)i;
		copy_name(&names, inherited);
		flags = fcntl(inherited->fd, F_GETFL);
		if (flags >= 0 && fcntl(inherited->fd, F_SETFD, FD_CLOEXEC) == 0 &&
		    fcntl(inherited->fd, F_SETFL, flags | O_NONBLOCK) == 0)
			taken++;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return taken;
}
