/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Certificates made on the spot, good and bad, for tests. Any failure is an abort. */
#ifndef TESTS_UNIT_MX_CERTS_H
#define TESTS_UNIT_MX_CERTS_H

#include <stdbool.h>

#define CERT_NAMES	4

struct cert;	/* with its key */

struct cert_wish {
	const char *cn;	/* "Test" when NULL */
	const char *names[CERT_NAMES];	/* SAN dNSName */
	long from_days, to_days;	/* from today; both 0: yesterday to in a month */
	const struct cert *issuer;	/* NULL: self-signed */
	bool ca;
	unsigned rsa_bits;	/* 0: an EC key on P-256 */
	bool sha1;
	const char *usage;	/* extended key usage, "serverAuth" when NULL */
};

struct cert *cert_make(const struct cert_wish *wish);
void cert_free(struct cert *cert);
void cert_write(const struct cert *cert, const char *path);	/* PEM, without the key */
/* As X509 and EVP_PKEY. */
void *cert_x509(const struct cert *cert);
void *cert_key(const struct cert *cert);

#endif
