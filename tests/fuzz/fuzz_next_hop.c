/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* What is taken for the domain of a next hop is one that may be asked for, and stands for itself. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "policy/plan_map.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *input, size_t length)
{
	struct domain domain, again;

	if (map_next_hop((const char *)input, length, &domain) != 0)
		return 0;
	if (!domain_is_host(domain.name) ||
	    map_next_hop(domain.name, strlen(domain.name), &again) != 0 ||
	    strcmp(domain.name, again.name) != 0)
		abort();
	return 0;
}
