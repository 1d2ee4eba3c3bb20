/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does the certificate of a finished handshake prove? Chain and name are measured separately
 * and again each time, at today's time; a chain that these roots have verified is not verified
 * again. Only for tls_client, the only file that uses an SSL; any thread.
 */
#ifndef SHIM_SMTP_TLS_PROOF_H
#define SHIM_SMTP_TLS_PROOF_H

#include <stddef.h>

#include "policy/proof.h"
#include "shim/smtp/tls_chains.h"

/* The trusted roots. */
struct tls_roots {
	void *store;	/* an X509_STORE */
	struct tls_chains *chains;	/* what it has verified */
	uint64_t number;	/* tls_chains_roots() before the store was taken */
};

/* leaf an X509 or NULL, chain a STACK_OF(X509) as the peer sent it; all
 * stay the caller's. Fills chain_ok, name_ok, x509_error and x509_depth, sets local_fault where it
 * must. */
void tls_proof_measure(const struct tls_roots *roots, void *leaf, void *chain,
    const char *const *names, size_t name_count, struct proof *proof);

/* failure: the words of OpenSSL, or NULL when it has none, as one token. */
void tls_proof_name_failure(struct proof *proof, const char *reason);

#endif
