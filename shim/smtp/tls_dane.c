/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/x509.h"
#include "shim/smtp/tls_dane.h"

#define AUTH_LEVEL	2	/* 112 bits, as of tls_proof.c */

struct tls_dane {
	SSL_CTX *context;	/* of the SSLs that hold records; none of them is ever connected */
	X509_STORE *nobody;	/* the public authorities have no say */
};

/* The worst that was found. */
struct found {
	int error;	/* X509_V_OK: nothing has failed */
	int depth;
};

struct tls_dane *
tls_dane_new(void)
{
	struct tls_dane *dane = xcalloc(1, sizeof(*dane));

	dane->context = SSL_CTX_new(TLS_client_method());
	dane->nobody = X509_STORE_new();
	if (dane->context == NULL || dane->nobody == NULL ||
	    SSL_CTX_dane_enable(dane->context) != 1) {
		tls_dane_free(dane);
		return NULL;
	}
	/* RFC 7672 3.1.1: with DANE-EE names do not count, nor dates. */
	SSL_CTX_dane_set_flags(dane->context, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	return dane;
}

void
tls_dane_free(struct tls_dane *dane)
{
	if (dane == NULL)
		return;
	SSL_CTX_free(dane->context);
	X509_STORE_free(dane->nobody);
	free(dane);
}

/* Continues after any failure. If no record matches, the other failures have no meaning; otherwise
 * the one nearest to the leaf counts. */
static int
keep_worst(int ok, X509_STORE_CTX *verifier)
{
	struct found *found = X509_STORE_CTX_get_app_data(verifier);
	int error = X509_STORE_CTX_get_error(verifier);
	int depth = X509_STORE_CTX_get_error_depth(verifier);

	if (ok || found->error == X509_V_ERR_DANE_NO_MATCH)
		return 1;
	if (error == X509_V_ERR_DANE_NO_MATCH)
		depth = 0;	/* that is so of the whole chain */
	else if (found->error != X509_V_OK && depth >= found->depth)
		return 1;
	*found = (struct found){ error, depth };
	return 1;
}

/* RFC 7672 3.2.3: the CN counts where there is no dNSName; "*" is a whole label. */
static int
set_names(X509_VERIFY_PARAM *param, const struct tls_wish *wish)
{
	size_t i;

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (i = 0; i < wish->tlsa_name_count; i++)
		if (x509_add_name(param, wish->tlsa_names[i], strlen(wish->tlsa_names[i])) != 0)
			return -1;
	/* OpenSSL takes no name for any name. */
	return wish->tlsa_name_count > 0 ? 0 : -1;
}

/* 0, or -1: there is no record that OpenSSL could use, or no memory. */
static int
add_records(SSL *ssl, const struct tls_wish *wish)
{
	size_t i, added = 0;

	if (SSL_dane_enable(ssl, NULL) != 1)
		return -1;
	for (i = 0; i < wish->tlsa_count; i++) {
		const struct tlsa *tlsa = &wish->tlsa[i];

		added += SSL_dane_tlsa_add(ssl, tlsa->usage, tlsa->selector, tlsa->matching,
			     tlsa->data, tlsa->length) == 1;
	}
	return added > 0 ? 0 : -1;
}

/* 1, or what X509_verify_cert() says when it could not do its work. */
static int
verify(const struct tls_dane *dane, X509_STORE_CTX *verifier, SSL *ssl, X509 *leaf,
    STACK_OF(X509) * chain, const struct tls_wish *wish, struct found *found)
{
	X509_VERIFY_PARAM *param;

	if (X509_STORE_CTX_init(verifier, dane->nobody, leaf, chain) != 1 ||
	    X509_STORE_CTX_set_default(verifier, "ssl_server") != 1 ||
	    X509_STORE_CTX_set_app_data(verifier, found) != 1)
		return -1;
	param = X509_STORE_CTX_get0_param(verifier);
	X509_VERIFY_PARAM_set_depth(param, LIMIT_TLS_CHAIN);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	if (set_names(param, wish) != 0)
		return -1;
	X509_STORE_CTX_set0_dane(verifier, SSL_get0_dane(ssl));
	X509_STORE_CTX_set_verify_cb(verifier, keep_worst);
	return X509_verify_cert(verifier);
}

/* Which record it was, for people. */
static void
name_match(SSL *ssl, struct proof *proof)
{
	uint8_t usage, selector, matching;

	SSL_set_verify_result(ssl, X509_V_OK);	/* otherwise OpenSSL does not say */
	if (SSL_get0_dane_tlsa(ssl, &usage, &selector, &matching, NULL, NULL) >= 0)
		snprintf(proof->dane_match, sizeof(proof->dane_match), "%u %u %u", (unsigned)usage,
		    (unsigned)selector, (unsigned)matching);
}

static void
measure(const struct tls_dane *dane, SSL *ssl, X509 *leaf, STACK_OF(X509) * chain,
    const struct tls_wish *wish, struct proof *proof)
{
	X509_STORE_CTX *verifier = X509_STORE_CTX_new();
	struct found found = { .error = X509_V_OK };
	int result = -1;

	if (verifier != NULL)
		result = verify(dane, verifier, ssl, leaf, chain, wish, &found);
	if (result != 1 && found.error == X509_V_OK) {
		found.error = X509_V_ERR_OUT_OF_MEM;
		proof->local_fault = true;
	}
	X509_STORE_CTX_free(verifier);
	proof->dane_ok = found.error == X509_V_OK;
	proof->dane_error = found.error;
	proof->dane_depth = found.depth;
	if (proof->dane_ok)
		name_match(ssl, proof);
}

void
tls_dane_measure(const struct tls_dane *dane, void *leaf, void *chain, const struct tls_wish *wish,
    struct proof *proof)
{
	SSL *ssl = NULL;

	proof->dane_ok = false;
	proof->dane_error = wish->tlsa_count > 0 ? X509_V_ERR_DANE_NO_MATCH : X509_V_OK;
	proof->dane_depth = 0;
	proof->dane_match[0] = '\0';
	if (wish->tlsa_count == 0 || leaf == NULL)
		return;
	ssl = SSL_new(dane->context);
	if (ssl == NULL)
		proof->local_fault = true;
	else if (add_records(ssl, wish) == 0)
		measure(dane, ssl, leaf, chain, wish, proof);
	SSL_free(ssl);
	ERR_clear_error();
}
