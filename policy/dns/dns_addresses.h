/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The addresses of one host: A and AAAA, asked side by side.
 */
#ifndef POLICY_DNS_DNS_ADDRESSES_H
#define POLICY_DNS_DNS_ADDRESSES_H

#include <stddef.h>

#include "base/ip.h"
#include "base/limits.h"
#include "base/conf/conf.h"
#include "policy/dns/dns.h"

#define DNS_ADDRESSES_QUESTIONS	2

/* One for each address family in use, the preferred first. Returns how many; name stays the
 * caller's. */
size_t dns_addresses_questions(const struct conf *conf, const char *name,
    struct dns_question questions[DNS_ADDRESSES_QUESTIONS]);
/* The addresses in their answers; a bogus answer has none. The families take turns, so that the
 * limit leaves something of both. Returns how many. */
size_t dns_addresses_read(const struct dns_question *questions, size_t count,
    struct ip addresses[LIMIT_ADDRESSES_PER_HOST]);

#endif
