/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "shim/smtp/dial.h"

static int
socket_from(const struct ip *to, const struct ip *source)
{
	struct sockaddr_storage address;
	socklen_t length;
	int fd, on = 1;

	fd = descriptors_spare(socket(to->v6 ? AF_INET6 : AF_INET,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
	if (fd < 0)
		return -1;
	/* The final dot would wait for the acknowledgement of the content before it. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (source == NULL)
		return fd;
	/* The port is chosen at connect(), so that one source serves more than 28000 at a time. */
	(void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	length = ip_to_sockaddr(source, 0, &address);
	if (bind(fd, (const struct sockaddr *)&address, length) == 0)
		return fd;
	on = errno;
	close(fd);
	errno = on;
	return -1;
}

/* 0, or an errno. */
static int
result_of(int fd)
{
	socklen_t length = sizeof(int);
	int error = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		return errno;
	return error;
}

/* 0, or an errno. */
static int
await_connection(int fd, struct deadline deadline, const struct watch *watch)
{
	switch (wait_for(fd, POLLOUT, deadline, watch)) {
	case WAIT_READY:
		return result_of(fd);
	case WAIT_TIMEOUT:
		return ETIMEDOUT;
	case WAIT_STOPPED:
		return ECANCELED;
	case WAIT_FAILED:
		break;
	}
	return errno;
}

int
dial_connect(const struct ip *to, uint16_t port, const struct ip *source, struct deadline deadline,
    const struct watch *watch)
{
	struct sockaddr_storage address;
	socklen_t length = ip_to_sockaddr(to, port, &address);
	int fd = socket_from(to, source), error = 0;

	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&address, length) != 0)
		error = errno == EINPROGRESS || errno == EINTR
		    ? await_connection(fd, deadline, watch)
		    : errno;
	if (error == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}
