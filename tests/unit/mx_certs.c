/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/buf.h"
#include "tests/unit/mx_certs.h"

#define DAY	(24L * 60 * 60)

struct cert {
	X509 *x509;
	EVP_PKEY *key;
};

static void
require(bool truth)
{
	if (!truth)
		abort();
}

static void
add_extension(X509 *x509, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	require(extension != NULL && X509_add_ext(x509, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

static void
add_names(X509 *x509, const char *const *names)
{
	struct buf text = { 0 };
	size_t i;

	for (i = 0; i < CERT_NAMES && names[i] != NULL; i++)
		buf_printf(&text, "%sDNS:%s", i > 0 ? "," : "", names[i]);
	if (text.length > 0)
		add_extension(x509, x509, NID_subject_alt_name, text.data);
	buf_free(&text);
}

static void
set_subject(X509 *x509, const char *cn)
{
	unsigned char octets[128];
	int length = snprintf((char *)octets, sizeof(octets), "%s", cn != NULL ? cn : "Test");

	require(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC, octets,
		    length, -1, 0) == 1);
}

struct cert *
cert_make(const struct cert_wish *wish)
{
	static long serial = 1;
	struct cert *cert = xcalloc(1, sizeof(*cert));
	const struct cert *issuer = wish->issuer != NULL ? wish->issuer : cert;
	bool days = wish->from_days != 0 || wish->to_days != 0;

	cert->x509 = X509_new();
	cert->key = wish->rsa_bits > 0 ? EVP_RSA_gen(wish->rsa_bits) : EVP_EC_gen("P-256");
	require(cert->x509 != NULL && cert->key != NULL);
	X509_set_version(cert->x509, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert->x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(cert->x509), days ? wish->from_days * DAY : -DAY);
	X509_gmtime_adj(X509_getm_notAfter(cert->x509), days ? wish->to_days * DAY : 30 * DAY);
	set_subject(cert->x509, wish->cn);
	X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer->x509));
	X509_set_pubkey(cert->x509, cert->key);
	add_extension(cert->x509, issuer->x509, NID_subject_key_identifier, "hash");
	add_extension(cert->x509, issuer->x509, NID_authority_key_identifier, "keyid");
	if (wish->ca)
		add_extension(cert->x509, issuer->x509, NID_basic_constraints, "critical,CA:TRUE");
	else
		add_extension(cert->x509, issuer->x509, NID_ext_key_usage,
		    wish->usage != NULL ? wish->usage : "serverAuth");
	add_names(cert->x509, wish->names);
	require(X509_sign(cert->x509, issuer->key, wish->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
	return cert;
}

void
cert_free(struct cert *cert)
{
	if (cert == NULL)
		return;
	X509_free(cert->x509);
	EVP_PKEY_free(cert->key);
	free(cert);
}

void
cert_write(const struct cert *cert, const char *path)
{
	FILE *file = fopen(path, "we");

	require(file != NULL && PEM_write_X509(file, cert->x509) == 1 && fclose(file) == 0);
}

void *
cert_x509(const struct cert *cert)
{
	return cert->x509;
}

void *
cert_key(const struct cert *cert)
{
	return cert->key;
}
