/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf/conf.h"
#include "base/conf/conf_value.h"

static int
compare_name(const void *name, const void *destination)
{
	return strcmp(name, ((const struct conf_destination *)destination)->name);
}

static const struct conf_destination *
find_exactly(const struct conf *conf, const char *name)
{
	return bsearch(name, conf->destinations, conf->destination_count,
	    sizeof(*conf->destinations), compare_name);
}

const struct conf_destination *
conf_destination_find(const struct conf *conf, const char *domain)
{
	const struct conf_destination *found = find_exactly(conf, domain);
	char pattern[CONF_PATTERN_MAX];
	const char *dot;

	/* From the longest pattern to the shortest. */
	for (dot = strchr(domain, '.'); found == NULL && dot != NULL; dot = strchr(dot + 1, '.')) {
		(void)snprintf(pattern, sizeof(pattern), "*%s", dot);
		found = find_exactly(conf, pattern);
	}
	return found != NULL ? found : find_exactly(conf, ".");
}

static bool
block_holds(const struct conf_block *block, const struct ip *peer)
{
	int bit, different = 0;

	if (block->ip.v6 != peer->v6)
		return false;
	for (bit = 0; bit < block->bits; bit++)
		different |= (block->ip.octets[bit / 8] ^ peer->octets[bit / 8]) &
		    (0x80 >> (bit % 8));
	return different == 0;
}

/* A client of IPv4 on a socket of both families has ::ffff:192.0.2.1 for its address. */
static bool
unmap(const struct ip *peer, struct ip *inner)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };

	if (!peer->v6 || memcmp(peer->octets, prefix, sizeof(prefix)) != 0)
		return false;
	*inner = (struct ip){ .v6 = false };
	memcpy(inner->octets, peer->octets + sizeof(prefix), 4);
	return true;
}

bool
conf_allows(const struct conf_block *blocks, size_t count, const struct ip *peer)
{
	struct ip inner;
	bool mapped = unmap(peer, &inner);
	size_t i;

	for (i = 0; i < count; i++)
		if (block_holds(&blocks[i], peer) || (mapped && block_holds(&blocks[i], &inner)))
			return true;
	return false;
}
