/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is a certificate worth? The one place that says which chains and names are accepted: SAN
 * dNSName only, never the CN; a wildcard is the whole left-most label and matches one label (RFC
 * 8461 4.1, RFC 6125 6.4). Any thread may call any function; what is passed belongs to the
 * caller.
 */
#ifndef BASE_X509_H
#define BASE_X509_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/types.h>

#include "base/x509_error.h"

/* Does an X509 hold a SAN dNSName that is this host's, or with "*.example.net" that of any one
 * label below it? Only names are compared: chain and dates say whether it is valid. */
bool x509_has_name(const X509 *certificate, const char *name);
/* notAfter, wall clock; 0 where it is no time. */
int64_t x509_expires_s(const X509 *certificate);
/* Makes an X509_VERIFY_PARAM take host, of length octets, as one more name; what else counts beside
 * SANs, its host flags say. 0 or -1. */
int x509_add_name(X509_VERIFY_PARAM *param, const char *host, size_t length);
/* Makes an X509_VERIFY_PARAM demand host as above. 0, or -1: no host name (empty, an address, a
 * leading dot, an asterisk), since OpenSSL would take it as no demand or as a wider one. */
int x509_restrict_names(X509_VERIFY_PARAM *param, const char *host);
/* Makes a client SSL_CTX demand a chain and host as above. 0 or -1.
 */
int x509_require_host(SSL_CTX *ssl_ctx, const char *host);

/* The trusted roots of one PEM file, read once and shared by many SSL_CTX and threads. */
struct x509_trust;

/* NULL with the reason in why: the file cannot be read or holds no certificate. */
struct x509_trust *x509_trust_load(const char *ca_file, char *why, size_t why_room);
void x509_trust_free(struct x509_trust *trust);	/* NULL is allowed; each SSL_CTX keeps its share */
/* These roots and no others from now on, whatever x509_trust_adopt() may bring. 0 or -1. */
int x509_trust_use(struct x509_trust *trust, SSL_CTX *ssl_ctx);
/* The roots of another, from now on. */
void x509_trust_adopt(struct x509_trust *trust, struct x509_trust *other);
/* The roots of this moment, given back with x509_trust_give(). */
X509_STORE *x509_trust_take(struct x509_trust *trust);
void x509_trust_give(X509_STORE *store);

/* No handshake of a client SSL_CTX computes in a group over LIMIT_TLS_DH_BITS. One that would have
 * to fails, with X509_DH_TOO_LARGE as the reason of the first error, in ERR_LIB_USER. */
#define X509_DH_TOO_LARGE	1
void x509_bound_effort(SSL_CTX *ssl_ctx);

/* After the handshake of a client SSL: 0, or the X509_V_ERR_ number of a resumed session's chain.
 * OpenSSL repeats the verdict of the first handshake, so it is verified again here: at today's
 * time, against the trust and names of this SSL's SSL_CTX. */
int x509_verify_resumed(SSL *ssl);

/* What a connection shows that is made from a client SSL_CTX. */
struct x509_seen {
	bool begun;	/* the handshake */
	bool offered;	/* an earlier session was offered for resumption */
	bool ended;	/* the peer said in TLS that it has ended; without that word (close_notify)
			   anyone may have cut the connection */
};

/* Holds ssl_ctx and writes to *seen until x509_unwatch(). One thread at a time. */
void x509_watch(SSL_CTX *ssl_ctx, struct x509_seen *seen);
void x509_unwatch(SSL_CTX *ssl_ctx);	/* NULL is allowed */

#endif
