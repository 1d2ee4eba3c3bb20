/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One IPv4 or IPv6 address as a plain value: parsing, printing, and whether it may be reached
 * from the open Internet (RFC 6890 and the IANA special-purpose registries).
 */
#ifndef BASE_IP_H
#define BASE_IP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define IP_TEXT_MAX	46	/* INET6_ADDRSTRLEN, with the NUL */

struct ip {
	bool v6;
	uint8_t octets[16];	/* network order; 4 used for IPv4 */
};

/* 0, or -1: not an address. Neither brackets nor scope. */
int ip_parse(const char *text, struct ip *ip);
void ip_format(const struct ip *ip, char text[IP_TEXT_MAX]);	/* IPv6 as RFC 5952 */
bool ip_equal(const struct ip *a, const struct ip *b);
bool ip_is_public(const struct ip *ip);	/* globally reachable unicast; IPv4-mapped and NAT64
					   addresses are judged by the IPv4 address inside */
/* Loopback or unspecified, also inside an IPv6 address: a host that dials it reaches itself. */
bool ip_is_self(const struct ip *ip);
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *address);
int ip_from_sockaddr(const struct sockaddr *address, struct ip *ip);	/* -1: not IP */

#endif
