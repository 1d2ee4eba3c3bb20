/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does the certificate of a finished handshake prove? Chain and name are measured apart and
 * anew each time, at today's time. For tls_client alone, which alone knows an SSL; any thread.
 */
#ifndef SHIM_TLS_PROOF_H
#define SHIM_TLS_PROOF_H

#include <stddef.h>

#include "policy/attempt.h"

/* store is an X509_STORE, leaf an X509 or NULL, chain a STACK_OF(X509) as the peer sent it; all
 * stay the caller's. Fills chain_ok, name_ok, x509_error and x509_depth, sets local_fault where it
 * must. */
void tls_proof_measure(void *store, void *leaf, void *chain, const char *const *names,
    size_t name_count, struct proof *proof);

/* failure: the words of OpenSSL, or NULL when it has none, as one token. */
void tls_proof_name_failure(struct proof *proof, const char *reason);

#endif
