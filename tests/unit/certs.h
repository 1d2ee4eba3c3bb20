/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Certificates made on the spot for the tests. Whoever gets a key or certificate frees it. */
#ifndef TESTS_UNIT_CERTS_H
#define TESTS_UNIT_CERTS_H

#include <stdbool.h>

#include <openssl/x509.h>

struct cert_wish {
	const char *cn;
	const char *san;	/* "DNS:a.example,DNS:*.example" or NULL */
	/* validity, relative to now; 0 and 0: an hour back to an hour ahead */
	long from_s, to_s;
	bool ca;
};

EVP_PKEY *certs_key(void);	/* ECDSA P-256 */
/* issuer NULL: self-signed. */
X509 *certs_make(const struct cert_wish *wish, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key);
void certs_write(const char *path, X509 *cert);

#endif
