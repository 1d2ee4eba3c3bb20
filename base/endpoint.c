/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/endpoint.h"

#define OUR_DIRECTORY	"/run/stsgate"	/* which tmpfiles.d makes */

static bool
copy_text(const char *from, const char *end, char *copy, size_t room)
{
	size_t length = (size_t)(end - from);

	if (length >= room)
		return false;
	memcpy(copy, from, length);
	copy[length] = '\0';
	return true;
}

static int
parse_port(const char *text, in_port_t *port)
{
	unsigned value = 0;
	const char *at;

	for (at = text; *at >= '0' && *at <= '9' && at - text < 5; at++)
		value = value * 10 + (unsigned)(*at - '0');
	if (*at != '\0' || value == 0 || value > 65535)
		return -1;
	*port = htons((in_port_t)value);
	return 0;
}

static int
parse_unix(const char *path, struct endpoint *endpoint, const char **why)
{
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	size_t length = strlen(path);

	if (path[0] != '/') {
		*why = "the path of a Unix socket must be absolute";
		return -1;
	}
	if (length >= sizeof(local.sun_path)) {
		*why = "the path of a Unix socket may be 107 octets long";
		return -1;
	}
	memcpy(local.sun_path, path, length);
	memcpy(&endpoint->address, &local, sizeof(local));
	endpoint->length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
	return 0;
}

static int
parse_inet6(const char *text, struct endpoint *endpoint, const char **why)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	char address[INET6_ADDRSTRLEN];
	const char *end = strstr(text, "]:");

	if (text[0] != '[' || end == NULL || parse_port(end + 2, &in6.sin6_port) != 0) {
		*why = "expected inet6:[ADDRESS]:PORT with a port from 1 to 65535";
		return -1;
	}
	if (!copy_text(text + 1, end, address, sizeof(address)) ||
	    inet_pton(AF_INET6, address, &in6.sin6_addr) != 1) {
		*why = "not an IPv6 address";
		return -1;
	}
	memcpy(&endpoint->address, &in6, sizeof(in6));
	endpoint->length = sizeof(in6);
	return 0;
}

static int
parse_inet(const char *text, struct endpoint *endpoint, const char **why)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	char address[INET_ADDRSTRLEN];
	const char *colon = strrchr(text, ':');

	if (text[0] == '[')
		return parse_inet6(text, endpoint, why);
	if (colon == NULL || parse_port(colon + 1, &in.sin_port) != 0) {
		*why = "expected inet:ADDRESS:PORT with a port from 1 to 65535";
		return -1;
	}
	if (!copy_text(text, colon, address, sizeof(address)) ||
	    inet_pton(AF_INET, address, &in.sin_addr) != 1) {
		*why = "not an IPv4 address";
		return -1;
	}
	memcpy(&endpoint->address, &in, sizeof(in));
	endpoint->length = sizeof(in);
	return 0;
}

int
endpoint_parse(const char *text, struct endpoint *endpoint, const char **why)
{
	struct endpoint parsed = { .length = 0 };
	int result;

	if (!copy_text(text, text + strlen(text), parsed.text, sizeof(parsed.text))) {
		*why = "too long";
		return -1;
	}
	if (text[0] == '/') {
		result = parse_unix(text, &parsed, why);
	} else if (strncmp(text, "unix:", 5) == 0) {
		result = parse_unix(text + 5, &parsed, why);
	} else if (strncmp(text, "inet6:", 6) == 0) {
		result = parse_inet6(text + 6, &parsed, why);
	} else if (strncmp(text, "inet:", 5) == 0) {
		result = parse_inet(text + 5, &parsed, why);
	} else {
		*why = "expected unix:PATH, inet:ADDRESS:PORT or inet6:[ADDRESS]:PORT";
		result = -1;
	}
	if (result == 0)
		*endpoint = parsed;
	return result;
}

bool
endpoint_is_unix(const struct endpoint *endpoint)
{
	return endpoint->address.ss_family == AF_UNIX;
}

const char *
endpoint_path(const struct endpoint *endpoint)
{
	if (!endpoint_is_unix(endpoint))
		return NULL;
	return (const char *)&endpoint->address + offsetof(struct sockaddr_un, sun_path);
}

bool
endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->length == b->length && memcmp(&a->address, &b->address, a->length) == 0;
}

bool
endpoint_is_loopback(const struct endpoint *endpoint)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	switch (endpoint->address.ss_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		memcpy(&in, &endpoint->address, sizeof(in));
		return ntohl(in.sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		memcpy(&in6, &endpoint->address, sizeof(in6));
		return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
	}
	return false;
}

static void
close_keeping_errno(int fd)
{
	int error = errno;

	close(fd);
	errno = error;
}

/* Removes a stale socket, or receives: connect() tells another kind of socket (EPROTOTYPE) from one
 * that is left over. errno is EADDRINUSE or ENOTSOCK when it must stay. */
static int
remove_stale(const struct endpoint *endpoint)
{
	const char *path = endpoint_path(endpoint);
	struct stat status;
	int fd, refused;

	if (lstat(path, &status) != 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISSOCK(status.st_mode)) {
		errno = ENOTSOCK;	/* connect() would be refused here too */
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	refused = connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length) != 0 &&
	    errno == ECONNREFUSED;
	close(fd);
	if (!refused) {
		errno = EADDRINUSE;
		return -1;
	}
	return unlink(path) == 0 || errno == ENOENT ? 0 : -1;
}

static int
bind_unix(int fd, const struct endpoint *endpoint, mode_t mode, gid_t group)
{
	const struct sockaddr *address = (const struct sockaddr *)&endpoint->address;
	const char *path = endpoint_path(endpoint);
	int error;

	if (bind(fd, address, endpoint->length) != 0) {
		if (errno != EADDRINUSE || remove_stale(endpoint) != 0)
			return -1;
		if (bind(fd, address, endpoint->length) != 0)
			return -1;
	}
	/* Until listen() every connect() is refused, so no client can connect under the umask's
	 * mode. */
	if ((group != (gid_t)-1 && chown(path, (uid_t)-1, group) != 0) || chmod(path, mode) != 0) {
		error = errno;
		unlink(path);
		errno = error;
		return -1;
	}
	return 0;
}

static int
bind_inet(int fd, const struct endpoint *endpoint)
{
	const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
		return -1;
	if (endpoint->address.ss_family == AF_INET6 &&
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
		return -1;
	return bind(fd, (const struct sockaddr *)&endpoint->address, endpoint->length);
}

int
endpoint_listen(const struct endpoint *endpoint, mode_t mode, gid_t group, int backlog)
{
	int fd, result;

	fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (endpoint_is_unix(endpoint))
		result = bind_unix(fd, endpoint, mode, group);
	else
		result = bind_inet(fd, endpoint);
	if (result != 0 || listen(fd, backlog) != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}

int
endpoint_receive(const struct endpoint *endpoint, mode_t mode, gid_t group)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	if (bind_unix(fd, endpoint, mode, group) == 0)
		return fd;
	close_keeping_errno(fd);
	return -1;
}

static void
directory_of(const struct endpoint *endpoint, struct sockaddr_un *directory)
{
	char *end;

	memcpy(directory, &endpoint->address, sizeof(*directory));
	end = strrchr(directory->sun_path, '/');
	end[end == directory->sun_path ? 1 : 0] = '\0';
}

bool
endpoint_lacks_directory(const struct endpoint *endpoint)
{
	struct sockaddr_un directory;

	if (!endpoint_is_unix(endpoint))
		return false;
	directory_of(endpoint, &directory);
	return access(directory.sun_path, F_OK) != 0 && errno == ENOENT;
}

const char *
endpoint_reason(const struct endpoint *endpoint, int error, char *why, size_t room)
{
	struct sockaddr_un directory;

	if (endpoint_lacks_directory(endpoint)) {
		directory_of(endpoint, &directory);
		(void)snprintf(why, room,
		    "there is no directory %s: make it by %s"
		    "install -d -m 0755 %s",
		    directory.sun_path,
		    strcmp(directory.sun_path, OUR_DIRECTORY) == 0
			? "systemd-tmpfiles --create, as the system does when it starts, or by "
			: "",
		    directory.sun_path);
	} else {
		(void)snprintf(why, room, "%s",
		    error == EADDRINUSE ? "another process is listening there already"
					: strerror(error));
	}
	return why;
}

/*
 * A non-blocking connect() to a full Unix backlog is EAGAIN with nothing to poll for, so this one
 * blocks, with the socket's own time-out.
 */
static int
connect_unix(int fd, const struct endpoint *endpoint, struct deadline deadline)
{
	struct timeval left;
	int result, ms, flags;

	do {
		ms = deadline_left_ms(deadline);
		if (ms == 0) {
			errno = ETIMEDOUT;
			return -1;
		}
		left = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
		if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) != 0)
			return -1;
		result = connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length);
	} while (result != 0 && (errno == EINTR || errno == EAGAIN));
	flags = result == 0 ? fcntl(fd, F_GETFL) : -1;
	return flags < 0 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

static int
await_connected(int fd, struct deadline deadline)
{
	struct pollfd ready = { .fd = fd, .events = POLLOUT };
	int error = 0, count;
	socklen_t length = sizeof(error);

	do {
		count = poll(&ready, 1, deadline_left_ms(deadline));
	} while ((count < 0 && errno == EINTR) || (count == 0 && !deadline_passed(deadline)));
	if (count < 0)
		return -1;
	if (count == 0) {
		errno = ETIMEDOUT;
		return -1;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
		return -1;
	errno = error;
	return error == 0 ? 0 : -1;
}

static int
connect_inet(int fd, const struct endpoint *endpoint, struct deadline deadline)
{
	const int on = 1;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return -1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->length) == 0)
		return 0;
	if (errno != EINPROGRESS && errno != EINTR)
		return -1;
	return await_connected(fd, deadline);
}

int
endpoint_connect(const struct endpoint *endpoint, struct deadline deadline)
{
	int fd, result;

	fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (endpoint_is_unix(endpoint))
		result = connect_unix(fd, endpoint, deadline);
	else
		result = connect_inet(fd, endpoint, deadline);
	if (result != 0) {
		close_keeping_errno(fd);
		return -1;
	}
	return fd;
}
