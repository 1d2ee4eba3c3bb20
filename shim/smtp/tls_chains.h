/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which certificate chains have held a moment ago? Signatures do not age: what these roots have
 * verified goes on to hold while every certificate on the way is in its time. Only what held is
 * remembered; names are not its business. For tls_proof and tls_client alone. Any thread.
 */
#ifndef SHIM_SMTP_TLS_CHAINS_H
#define SHIM_SMTP_TLS_CHAINS_H

#include <stdbool.h>
#include <stdint.h>

struct tls_chains;

/* Leaf and chain as the peer sent them: SHA-256 over the SHA-256 of each. */
struct tls_chain_key {
	uint8_t octets[32];
};

struct tls_chains *tls_chains_new(void);
void tls_chains_free(struct tls_chains *chains);	/* NULL is allowed */

/* Counts the changes of roots. To be asked before the roots are taken that verify. */
uint64_t tls_chains_roots(struct tls_chains *chains);
/* After other roots are in force: nothing holds until they have verified it. */
void tls_chains_clear(struct tls_chains *chains);

bool tls_chains_hold(struct tls_chains *chains, const struct tls_chain_key *key, int64_t now_s);
/* From from_s to the second before until_s, if the roots are still those. */
void tls_chains_note(struct tls_chains *chains, uint64_t roots, const struct tls_chain_key *key,
    int64_t from_s, int64_t until_s);

#endif
