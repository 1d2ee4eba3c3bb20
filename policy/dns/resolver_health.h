/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Does the resolver validate? The result of its self-test, as a value.
 */
#ifndef POLICY_DNS_RESOLVER_HEALTH_H
#define POLICY_DNS_RESOLVER_HEALTH_H

#define RESOLVER_FAULT_MAX	256	/* octets of the words for a fault */

enum resolver_health {
	RESOLVER_UNTESTED,	/* the self-test has not ended yet */
	RESOLVER_VALIDATES,
	RESOLVER_RECURSES,	/* the servers drop DNSSEC: resolves from the root */
	RESOLVER_BROKEN,	/* no path validates: every name will be bogus, unsigned ones too */
	RESOLVER_SILENT,	/* the servers give no answer, or failures alone */
	RESOLVER_UNANCHORED	/* no trust anchor is configured: nothing is validated */
};
const char *resolver_health_name(enum resolver_health health);

#endif
