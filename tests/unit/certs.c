/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "tests/unit/certs.h"

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "certs: %s failed\n", what);
	abort();
}

EVP_PKEY *
certs_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	need(key != NULL, "EVP_EC_gen");
	return key;
}

static void
add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	need(extension != NULL, value);
	need(X509_add_ext(cert, extension, -1) == 1, "X509_add_ext");
	X509_EXTENSION_free(extension);
}

static void
set_names(X509 *cert, const char *cn, X509 *issuer)
{
	X509_NAME *name = X509_get_subject_name(cert);

	need(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1,
		 0) == 1,
	    "CN");
	need(X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1, "issuer");
}

X509 *
certs_make(const struct cert_wish *wish, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
	X509 *cert = X509_new();
	uint64_t serial = 1;
	bool timed = wish->from_s != 0 || wish->to_s != 0;

	need(cert != NULL, "X509_new");
	if (issuer == NULL) {
		issuer = cert;
		issuer_key = key;
	}
	need(RAND_bytes((unsigned char *)&serial, sizeof(serial)) == 1, "RAND_bytes");
	(void)ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial >> 1);
	(void)X509_set_version(cert, X509_VERSION_3);
	(void)X509_gmtime_adj(X509_getm_notBefore(cert), timed ? wish->from_s : -3600);
	(void)X509_gmtime_adj(X509_getm_notAfter(cert), timed ? wish->to_s : 3600);
	need(X509_set_pubkey(cert, key) == 1, "public key");
	set_names(cert, wish->cn, issuer);
	add_extension(cert, issuer, NID_basic_constraints,
	    wish->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (wish->san != NULL)
		add_extension(cert, issuer, NID_subject_alt_name, wish->san);
	need(X509_sign(cert, issuer_key, EVP_sha256()) > 0, "X509_sign");
	return cert;
}

void
certs_write(const char *path, X509 *cert)
{
	FILE *file = fopen(path, "we");

	need(file != NULL, path);
	need(PEM_write_X509(file, cert) == 1, "PEM_write_X509");
	need(fclose(file) == 0, path);
}
