/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/limits.h"
#include "base/x509.h"
#include "shim/smtp/tls_proof.h"

#define AUTH_LEVEL	2	/* 112 bits: RSA of 2048, no SHA-1 */

struct nearest {
	int error;	/* X509_V_OK: nothing has failed */
	int depth;
};

/* Goes on whatever fails, and keeps what failed first among what is nearest to the leaf. */
static int
keep_nearest(int ok, X509_STORE_CTX *verifier)
{
	struct nearest *nearest = X509_STORE_CTX_get_app_data(verifier);
	int depth = X509_STORE_CTX_get_error_depth(verifier);

	if (!ok && (nearest->error == X509_V_OK || depth < nearest->depth)) {
		nearest->error = X509_STORE_CTX_get_error(verifier);
		nearest->depth = depth;
	}
	return 1;
}

static bool
is_local(int x509_error)
{
	return x509_error == X509_V_ERR_OUT_OF_MEM || x509_error == X509_V_ERR_STORE_LOOKUP ||
	    x509_error == X509_V_ERR_INVALID_CALL;
}

/* 1, or what X509_verify_cert() says when it could not do its work. */
static int
verify(X509_STORE_CTX *verifier, X509_STORE *store, X509 *leaf, STACK_OF(X509) * chain,
    struct nearest *nearest)
{
	X509_VERIFY_PARAM *param;

	if (X509_STORE_CTX_init(verifier, store, leaf, chain) != 1 ||
	    X509_STORE_CTX_set_default(verifier, "ssl_server") != 1 ||
	    X509_STORE_CTX_set_app_data(verifier, nearest) != 1)
		return -1;
	param = X509_STORE_CTX_get0_param(verifier);
	X509_VERIFY_PARAM_set_depth(param, LIMIT_TLS_CHAIN);
	X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
	X509_STORE_CTX_set_verify_cb(verifier, keep_nearest);
	return X509_verify_cert(verifier);
}

/* false: it is no chain to be remembered. */
static bool
key_of(X509 *leaf, STACK_OF(X509) * chain, struct tls_chain_key *key)
{
	uint8_t digests[LIMIT_TLS_CHAIN + 2][SHA256_DIGEST_LENGTH];
	int i, count = chain != NULL ? sk_X509_num(chain) : 0;

	if (count > LIMIT_TLS_CHAIN + 1 || X509_digest(leaf, EVP_sha256(), digests[0], NULL) != 1)
		return false;
	for (i = 0; i < count; i++)
		if (X509_digest(sk_X509_value(chain, i), EVP_sha256(), digests[i + 1], NULL) != 1)
			return false;
	return SHA256(digests[0], ((size_t)count + 1) * sizeof(digests[0]), key->octets) != NULL;
}

static bool
seconds_of(const ASN1_TIME *time, int64_t *seconds)
{
	struct tm parts;

	if (ASN1_TIME_to_tm(time, &parts) != 1)
		return false;
	*seconds = timegm(&parts);
	return true;
}

/* The time that all certificates of a verified chain, root included, have in common. */
static bool
common_time(STACK_OF(X509) * chain, int64_t *from_s, int64_t *until_s)
{
	int64_t from, until;
	int i;

	*from_s = INT64_MIN;
	*until_s = INT64_MAX;
	for (i = 0; i < sk_X509_num(chain); i++) {
		const X509 *certificate = sk_X509_value(chain, i);

		if (!seconds_of(X509_get0_notBefore(certificate), &from) ||
		    !seconds_of(X509_get0_notAfter(certificate), &until))
			return false;
		if (from > *from_s)
			*from_s = from;
		if (until < *until_s)
			*until_s = until;
	}
	return i > 0;
}

static void
remember(const struct tls_roots *roots, const struct tls_chain_key *key, X509_STORE_CTX *verifier)
{
	int64_t from_s, until_s;

	if (common_time(X509_STORE_CTX_get0_chain(verifier), &from_s, &until_s))
		tls_chains_note(roots->chains, roots->number, key, from_s, until_s);
}

static void
measure_chain(const struct tls_roots *roots, X509 *leaf, STACK_OF(X509) * chain,
    struct proof *proof)
{
	struct nearest nearest = { .error = X509_V_OK };
	X509_STORE_CTX *verifier = NULL;
	struct tls_chain_key key;
	bool keyed = key_of(leaf, chain, &key);
	int result = -1;

	if (keyed && tls_chains_hold(roots->chains, &key, time(NULL))) {
		proof->chain_ok = true;
		return;
	}
	verifier = X509_STORE_CTX_new();
	if (verifier != NULL)
		result = verify(verifier, roots->store, leaf, chain, &nearest);
	if (result != 1 && nearest.error == X509_V_OK)
		nearest.error = X509_V_ERR_OUT_OF_MEM;
	proof->chain_ok = nearest.error == X509_V_OK;
	if (keyed && proof->chain_ok)
		remember(roots, &key, verifier);
	X509_STORE_CTX_free(verifier);
	proof->x509_error = nearest.error;
	proof->x509_depth = nearest.depth;
	if (is_local(nearest.error))
		proof->local_fault = true;
}

static void
measure_names(X509 *leaf, const char *const *names, size_t name_count, struct proof *proof)
{
	size_t i;

	for (i = 0; i < name_count && !proof->name_ok; i++)
		proof->name_ok = x509_has_name(leaf, names[i]);	/* RFC 8461 4.1 */
	if (!proof->name_ok && proof->x509_error == X509_V_OK)
		proof->x509_error = X509_V_ERR_HOSTNAME_MISMATCH;
}

void
tls_proof_measure(const struct tls_roots *roots, void *leaf, void *chain, const char *const *names,
    size_t name_count, struct proof *proof)
{
	proof->chain_ok = proof->name_ok = proof->local_fault = false;
	proof->x509_error = X509_V_OK;
	proof->x509_depth = 0;
	proof->expires_s = leaf != NULL ? x509_expires_s(leaf) : 0;
	if (leaf == NULL) {
		proof->x509_error = X509_V_ERR_CERT_UNTRUSTED;
		return;
	}
	measure_chain(roots, leaf, chain, proof);
	measure_names(leaf, names, name_count, proof);
	ERR_clear_error();
}

void
tls_proof_name_failure(struct proof *proof, const char *reason)
{
	char *token = proof->failure;
	size_t i;

	snprintf(token, sizeof(proof->failure), "%s",
	    reason != NULL ? reason : "tls-handshake-failure");
	for (i = 0; token[i] != '\0'; i++)
		token[i] = isalnum((unsigned char)token[i]) ? (char)tolower((unsigned char)token[i])
							    : '-';
}
