/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/routes.h"

#define PORT	53

/* Any address that is far from everywhere; these belong to public resolvers. */
static const char *const far[] = { "9.9.9.9", "2620:fe::fe" };

/* connect() of a datagram socket looks for a route and does no more. */
static bool
has_route(const struct ip *ip)
{
	int fd = socket(ip->v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage address;
	socklen_t length = ip_to_sockaddr(ip, PORT, &address);
	bool found;

	if (fd < 0)
		return false;
	found = connect(fd, (const struct sockaddr *)&address, length) == 0;
	(void)close(fd);
	return found;
}

bool
routes_lead_out(void)
{
	struct ip ip;
	bool found = false;

	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]) && !found; i++)
		found = ip_parse(far[i], &ip) == 0 && has_route(&ip);
	return found;
}
