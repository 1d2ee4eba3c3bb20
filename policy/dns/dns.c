/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/dns/dns.h"

const char *
dns_state_name(enum dns_state state)
{
	static const char *const names[] = { [DNS_SECURE] = "secure",
		[DNS_INSECURE] = "insecure",
		[DNS_BOGUS] = "bogus",
		[DNS_FAILED] = "failed" };

	return names[state];
}
