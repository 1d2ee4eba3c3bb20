/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "integration/milter/milter_conn.h"

static void
write_inet(const struct endpoint *endpoint, char text[MILTER_CONN_MAX])
{
	char address[INET_ADDRSTRLEN] = "";
	struct sockaddr_in in;

	memcpy(&in, &endpoint->address, sizeof(in));
	inet_ntop(AF_INET, &in.sin_addr, address, sizeof(address));
	snprintf(text, MILTER_CONN_MAX, "inet:%u@[%s]", ntohs(in.sin_port), address);
}

static void
write_inet6(const struct endpoint *endpoint, char text[MILTER_CONN_MAX])
{
	char address[INET6_ADDRSTRLEN] = "";
	struct sockaddr_in6 in6;

	memcpy(&in6, &endpoint->address, sizeof(in6));
	inet_ntop(AF_INET6, &in6.sin6_addr, address, sizeof(address));
	snprintf(text, MILTER_CONN_MAX, "inet6:%u@[%s]", ntohs(in6.sin6_port), address);
}

void
milter_conn(const struct endpoint *endpoint, char text[MILTER_CONN_MAX])
{
	if (endpoint_is_unix(endpoint))
		snprintf(text, MILTER_CONN_MAX, "unix:%s", endpoint_path(endpoint));
	else if (endpoint->address.ss_family == AF_INET6)
		write_inet6(endpoint, text);
	else
		write_inet(endpoint, text);
}
