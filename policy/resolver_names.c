/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/resolver.h"

const char *
dns_state_name(enum dns_state state)
{
	static const char *const names[] = {
		[DNS_SECURE] = "secure", [DNS_INSECURE] = "insecure", [DNS_BOGUS] = "bogus",
		[DNS_FAILED] = "failed"
	};

	return names[state];
}

const char *
resolver_health_name(enum resolver_health health)
{
	static const char *const names[] = {
		[RESOLVER_UNTESTED] = "untested", [RESOLVER_VALIDATES] = "validates",
		[RESOLVER_RECURSES] = "recurses", [RESOLVER_BROKEN] = "broken",
		[RESOLVER_UNANCHORED] = "unanchored"
	};

	return names[health];
}
