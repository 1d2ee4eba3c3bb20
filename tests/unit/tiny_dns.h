/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A DNS server for unit tests: UDP on 127.0.0.1, answers made up from the question's first label.
 *
 *	silent...	no answer at all
 *	slow...	the answer 300 ms late
 *	servfail...	SERVFAIL
 *	nx...	NXDOMAIN
 *	nodata...	NODATA
 *	alias...	a CNAME to target.REST
 *	loop...	a CNAME to itself
 *
 * and for everything else A 192.0.2.1, AAAA 2001:db8::1, MX 10 mx.NAME, TXT "v=STSv1; id=tiny;",
 * SOA; all with a TTL of 60. Names in "signed.example" are signed.
 */
#ifndef TESTS_UNIT_TINY_DNS_H
#define TESTS_UNIT_TINY_DNS_H

#include <stdbool.h>
#include <stdint.h>

struct tiny_dns;

struct tiny_dns *tiny_dns_start(void);
void tiny_dns_stop(struct tiny_dns *server);
uint16_t tiny_dns_port(const struct tiny_dns *server);
const char *tiny_dns_anchor(const struct tiny_dns *server);	/* a trust anchor file */
void tiny_dns_strip(struct tiny_dns *server, bool strip);	/* signatures are left out */
unsigned tiny_dns_queries(struct tiny_dns *server);	/* so far */

#endif
