/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The wire data of single DNS records (RFC 1035 3.3), uncompressed as libunbound hands it out.
 * Pure; every function bounds what it reads by length and answers -1 for anything malformed.
 */
#ifndef POLICY_DNS_DNS_DATA_H
#define POLICY_DNS_DNS_DATA_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/ip.h"

/* A host name of wire labels as lower-case text; "." becomes "". A dot or a control inside a label
 * is written as \DDD, so that it can never pass for a host name (domain_is_host() says no). */
int dns_name_text(const uint8_t *data, size_t length, char *text, size_t room);
int dns_mx_parse(const uint8_t *data, size_t length, uint16_t *preference, char *host, size_t room);
/* A or AAAA by length. */
int dns_address_parse(const uint8_t *data, size_t length, struct ip *ip);
/* The strings of one TXT record joined. A longer one is cut to LIMIT_TXT_RECORD + 1 octets: it is
 * no valid record, but begins like one and counts as one. */
int dns_txt_join(struct arena *arena, const uint8_t *data, size_t length, const char **octets,
    size_t *joined);

#endif
