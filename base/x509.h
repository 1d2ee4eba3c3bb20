/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is a certificate worth? The one place that says which chains and names are accepted:
 * SAN dNSName only, never the CN; a wildcard is the whole left-most label and stands for one
 * (RFC 8461 4.1, RFC 6125 6.4). No OpenSSL type leaves through this header.
 */
#ifndef BASE_X509_H
#define BASE_X509_H

#include <stdbool.h>

/* "X509_V_ERR_CERT_HAS_EXPIRED" for 10; "X509_V_ERR_UNSPECIFIED" for what is not known. */
const char *x509_error_name(int x509_error);

/* Makes a client SSL_CTX (as void, for libcurl's hook) demand a chain and host as above. 0 or -1. */
int x509_require_host(void *ssl_ctx, const char *host);

#endif
