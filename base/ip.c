/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/ip.h"

enum plan_reach {
	REACH_PRIVATE,
	REACH_PUBLIC,
	REACH_IPV4_AT_2,	/* judged by the IPv4 address at this octet */
	REACH_IPV4_AT_12
};

struct block {
	uint8_t octets[16];
	uint8_t bits;
	enum plan_reach reach;
};

/*
 * The IANA special-purpose registries (RFC 6890, 8190), multicast and reserved space. The longest
 * match decides.
 */
static const struct block ipv4_blocks[] = {
	{ { 0 }, 0, REACH_PUBLIC }, { { 0 }, 8, REACH_PRIVATE }, /* "this network", RFC 791 3.2 */
	{ { 10 }, 8, REACH_PRIVATE },	/* RFC 1918 */
	{ { 100, 64 }, 10, REACH_PRIVATE },	/* shared address space, RFC 6598 */
	{ { 127 }, 8, REACH_PRIVATE },	/* loopback */
	{ { 169, 254 }, 16, REACH_PRIVATE },	/* link-local, RFC 3927 */
	{ { 172, 16 }, 12, REACH_PRIVATE },	/* RFC 1918 */
	{ { 192, 0, 0 }, 24, REACH_PRIVATE },	/* protocol assignments, RFC 6890 2.1 */
	{ { 192, 0, 0, 9 }, 32, REACH_PUBLIC },	/* PCP anycast, RFC 7723 */
	{ { 192, 0, 0, 10 }, 32, REACH_PUBLIC },	/* TURN anycast, RFC 8155 */
	{ { 192, 0, 2 }, 24, REACH_PRIVATE },	/* documentation, RFC 5737 */
	{ { 192, 88, 99 }, 24, REACH_PRIVATE },	/* 6to4 relay anycast, deprecated, RFC 7526 */
	{ { 192, 168 }, 16, REACH_PRIVATE },	/* RFC 1918 */
	{ { 198, 18 }, 15, REACH_PRIVATE },	/* benchmarking, RFC 2544 */
	{ { 198, 51, 100 }, 24, REACH_PRIVATE },	/* documentation */
	{ { 203, 0, 113 }, 24, REACH_PRIVATE },	/* documentation */
	{ { 224 }, 4, REACH_PRIVATE },	/* multicast */
	{ { 240 }, 4, REACH_PRIVATE },	/* reserved and broadcast, RFC 1112 4 */
};

static const struct block ipv6_blocks[] = {
	{ { 0 }, 0, REACH_PRIVATE },	/* loopback and all that is unassigned */
	{ { 0x20 }, 3, REACH_PUBLIC },	/* global unicast, RFC 4291 2.4 */
	{ { [10] = 0xff, 0xff }, 96, REACH_IPV4_AT_12 },	/* IPv4-mapped */
	{ { 0x00, 0x64, 0xff, 0x9b }, 96, REACH_IPV4_AT_12 },	/* NAT64, RFC 6052 2.1 */
	{ { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, REACH_PRIVATE },	/* local NAT64, RFC 8215 */
	{ { 0x01, 0x00 }, 64, REACH_PRIVATE },	/* discard-only, RFC 6666 */
	{ { 0x20, 0x01 }, 23, REACH_PRIVATE },	/* protocol assignments, Teredo among them */
	{ { 0x20, 0x01, 0x00, 0x01, [15] = 1 }, 128, REACH_PUBLIC },	/* PCP, RFC 7723 */
	{ { 0x20, 0x01, 0x00, 0x01, [15] = 2 }, 128, REACH_PUBLIC },	/* TURN, RFC 8155 */
	{ { 0x20, 0x01, 0x00, 0x01, [15] = 3 }, 128, REACH_PUBLIC },	/* SRP, RFC 9665 */
	{ { 0x20, 0x01, 0x00, 0x03 }, 32, REACH_PUBLIC },	/* AMT, RFC 7450 */
	{ { 0x20, 0x01, 0x00, 0x04, 0x01, 0x12 }, 48, REACH_PUBLIC },	/* AS112, RFC 7535 */
	{ { 0x20, 0x01, 0x00, 0x20 }, 28, REACH_PUBLIC },	/* ORCHIDv2, RFC 7343 */
	{ { 0x20, 0x01, 0x00, 0x30 }, 28, REACH_PUBLIC },	/* drone identity, RFC 9374 */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, REACH_PRIVATE },	/* documentation, RFC 3849 */
	{ { 0x20, 0x02 }, 16, REACH_IPV4_AT_2 },	/* 6to4, RFC 3056 */
	{ { 0x3f, 0xff }, 20, REACH_PRIVATE },	/* documentation, RFC 9637 */
	{ { 0x5f, 0x00 }, 16, REACH_PRIVATE },	/* segment routing, RFC 9602 */
	{ { 0xfc }, 7, REACH_PRIVATE },	/* unique local, RFC 4193 */
	{ { 0xfe, 0x80 }, 10, REACH_PRIVATE },	/* link-local */
	{ { 0xfe, 0xc0 }, 10, REACH_PRIVATE },	/* site-local, RFC 3879 */
	{ { 0xff }, 8, REACH_PRIVATE },	/* multicast */
};

int
ip_parse(const char *text, struct ip *ip)
{
	struct ip parsed = { .v6 = strchr(text, ':') != NULL };

	if (inet_pton(parsed.v6 ? AF_INET6 : AF_INET, text, parsed.octets) != 1)
		return -1;
	*ip = parsed;
	return 0;
}

void
ip_format(const struct ip *ip, char text[IP_TEXT_MAX])
{
	if (inet_ntop(ip->v6 ? AF_INET6 : AF_INET, ip->octets, text, IP_TEXT_MAX) == NULL)
		text[0] = '\0';
}

bool
ip_equal(const struct ip *a, const struct ip *b)
{
	return a->v6 == b->v6 && memcmp(a->octets, b->octets, a->v6 ? 16 : 4) == 0;
}

static bool
block_contains(const struct block *block, const uint8_t *octets)
{
	size_t whole = block->bits / 8;
	unsigned rest = block->bits % 8;

	if (memcmp(block->octets, octets, whole) != 0)
		return false;
	return rest == 0 || ((block->octets[whole] ^ octets[whole]) >> (8 - rest)) == 0;
}

static enum plan_reach
reach_of(const struct block *blocks, size_t count, const uint8_t *octets)
{
	const struct block *best = NULL;
	size_t i;

	for (i = 0; i < count; i++)
		if (block_contains(&blocks[i], octets) &&
		    (best == NULL || blocks[i].bits > best->bits))
			best = &blocks[i];
	return best != NULL ? best->reach : REACH_PRIVATE;
}

static bool
ipv4_is_public(const uint8_t *octets)
{
	return reach_of(ipv4_blocks, sizeof(ipv4_blocks) / sizeof(ipv4_blocks[0]), octets) ==
	    REACH_PUBLIC;
}

bool
ip_is_public(const struct ip *ip)
{
	if (!ip->v6)
		return ipv4_is_public(ip->octets);
	switch (reach_of(ipv6_blocks, sizeof(ipv6_blocks) / sizeof(ipv6_blocks[0]), ip->octets)) {
	case REACH_PRIVATE:
		return false;
	case REACH_PUBLIC:
		return true;
	case REACH_IPV4_AT_2:
		return ipv4_is_public(ip->octets + 2);
	case REACH_IPV4_AT_12:
		return ipv4_is_public(ip->octets + 12);
	}
	return false;
}

/* RFC 1122 3.2.1.3: all of 0.0.0.0/8 is "this host", and all of 127.0.0.0/8 is loopback. */
static bool
ipv4_is_self(const uint8_t *octets)
{
	return octets[0] == 0 || octets[0] == 127;
}

bool
ip_is_self(const struct ip *ip)
{
	static const uint8_t zeros[15];

	if (!ip->v6)
		return ipv4_is_self(ip->octets);
	if (memcmp(ip->octets, zeros, sizeof(zeros)) == 0 && ip->octets[15] <= 1)
		return true;
	switch (reach_of(ipv6_blocks, sizeof(ipv6_blocks) / sizeof(ipv6_blocks[0]), ip->octets)) {
	case REACH_PRIVATE:
	case REACH_PUBLIC:
		break;
	case REACH_IPV4_AT_2:
		return ipv4_is_self(ip->octets + 2);
	case REACH_IPV4_AT_12:
		return ipv4_is_self(ip->octets + 12);
	}
	return false;
}

socklen_t
ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

	memset(address, 0, sizeof(*address));
	if (ip->v6) {
		memcpy(&in6.sin6_addr, ip->octets, 16);
		memcpy(address, &in6, sizeof(in6));
		return sizeof(in6);
	}
	memcpy(&in.sin_addr, ip->octets, 4);
	memcpy(address, &in, sizeof(in));
	return sizeof(in);
}

int
ip_from_sockaddr(const struct sockaddr *address, struct ip *ip)
{
	const char *octets = (const char *)address;
	struct ip found = { .v6 = address->sa_family == AF_INET6 };

	switch (address->sa_family) {
	case AF_INET:
		memcpy(found.octets, octets + offsetof(struct sockaddr_in, sin_addr), 4);
		break;
	case AF_INET6:
		memcpy(found.octets, octets + offsetof(struct sockaddr_in6, sin6_addr), 16);
		break;
	default:
		return -1;
	}
	*ip = found;
	return 0;
}
