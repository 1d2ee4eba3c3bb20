/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Do a host's TLSA records match the chain that it showed (RFC 7671 5, RFC 7672 3)? Measured by
 * OpenSSL's own DANE code, independent of the public authorities, and again each time. For
 * tls_client alone. Any thread.
 */
#ifndef SHIM_SMTP_TLS_DANE_H
#define SHIM_SMTP_TLS_DANE_H

#include "policy/proof.h"
#include "shim/smtp/tls_client.h"

struct tls_dane;

struct tls_dane *tls_dane_new(void);	/* NULL: OpenSSL lacks memory */
void tls_dane_free(struct tls_dane *dane);	/* NULL is allowed */

/* leaf is an X509 or NULL, chain a STACK_OF(X509) as the peer sent it; both stay the caller's.
 * Fills the dane_ fields, sets local_fault where it must. Without records in the wish nothing
 * matches. */
void tls_dane_measure(const struct tls_dane *dane, void *leaf, void *chain,
    const struct tls_wish *wish, struct proof *proof);

#endif
