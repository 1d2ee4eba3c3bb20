/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How is it said that the DNS, or the resolver, has failed? Pure; any thread.
 */
#ifndef POLICY_DNS_RESOLVER_NAMES_H
#define POLICY_DNS_RESOLVER_NAMES_H

#include "policy/dns/resolver.h"

/* The reason that libunbound gives for a bogus answer, as a token without addresses of servers:
 * "validation failure <name TXT IN>: no signatures from 192.0.2.1" becomes "no-signatures". */
void resolver_bogus_token(const char *text, char token[DNS_WHY_MAX]);

/* The fault of the configured servers, of which server is the first (NULL: the root), and the
 * remedy; "" unless health is broken or silent. why: the result of the self-test. */
void resolver_fault_words(enum resolver_health health, const char *server, const char *why,
    char words[RESOLVER_FAULT_MAX]);

#endif
