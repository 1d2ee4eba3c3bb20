/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which certificate chains were verified recently? Signatures do not age: a chain that these roots
 * have verified stays valid while each of its certificates is. Only valid chains are remembered;
 * names are checked elsewhere. For tls_proof and tls_client alone. Any thread.
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

/* Counts the changes of roots. To be read before the roots for a verification are taken. */
uint64_t tls_chains_roots(struct tls_chains *chains);
/* After other roots are in force: nothing holds until they have verified it. */
void tls_chains_clear(struct tls_chains *chains);

bool tls_chains_hold(struct tls_chains *chains, const struct tls_chain_key *key, int64_t now_s);
/* From from_s to the second before until_s, if the roots are still those. */
void tls_chains_note(struct tls_chains *chains, uint64_t roots, const struct tls_chain_key *key,
    int64_t from_s, int64_t until_s);

#endif
