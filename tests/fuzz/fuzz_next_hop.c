/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The domain of an accepted next hop is a valid one, and parses to itself; a key that is said to
 * have no policy is not one that an MTA would look up as a domain.
 */
#include "config.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "integration/policymap/plan_map.h"
#include "tests/fuzz/fuzz.h"

static bool
is_name(const char *name)
{
	struct ip ip;

	return ip_parse(name, &ip) != 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	const char *text = (const char *)input;
	struct domain domain, again;

	switch (plan_map_next_hop(text, length, &domain)) {
	case MAP_KEY_BAD:
		break;
	case MAP_KEY_WITHOUT_POLICY:
		if (length > 0 && text[0] != '.' && text[0] != '[' &&
		    domain_parse(text, length, &domain) == 0 && is_name(domain.name))
			abort();
		break;
	case MAP_KEY_DOMAIN:
		if (!domain_is_host(domain.name) ||
		    plan_map_next_hop(domain.name, strlen(domain.name), &again) != MAP_KEY_DOMAIN ||
		    strcmp(domain.name, again.name) != 0)
			abort();
		break;
	}
	return 0;
}
