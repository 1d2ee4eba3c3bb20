/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/limits.h"
#include "shim/smtp/tls_chains.h"

struct known {
	struct tls_chain_key key;
	int64_t from_s, until_s;	/* both 0: nothing is known */
};

/* A chain has one place. A later chain replaces an earlier one, so that a flood of chains does not
 * make it grow. */
struct tls_chains {
	pthread_mutex_t lock;
	uint64_t roots;
	struct known places[LIMIT_TLS_CHAINS];
};

struct tls_chains *
tls_chains_new(void)
{
	struct tls_chains *chains = xcalloc(1, sizeof(*chains));

	pthread_mutex_init(&chains->lock, NULL);
	return chains;
}

void
tls_chains_free(struct tls_chains *chains)
{
	if (chains == NULL)
		return;
	pthread_mutex_destroy(&chains->lock);
	free(chains);
}

uint64_t
tls_chains_roots(struct tls_chains *chains)
{
	uint64_t roots;

	pthread_mutex_lock(&chains->lock);
	roots = chains->roots;
	pthread_mutex_unlock(&chains->lock);
	return roots;
}

void
tls_chains_clear(struct tls_chains *chains)
{
	pthread_mutex_lock(&chains->lock);
	chains->roots++;
	memset(chains->places, 0, sizeof(chains->places));
	pthread_mutex_unlock(&chains->lock);
}

static struct known *
place_of(struct tls_chains *chains, const struct tls_chain_key *key)
{
	uint32_t number;

	memcpy(&number, key->octets, sizeof(number));
	return &chains->places[number % LIMIT_TLS_CHAINS];
}

bool
tls_chains_hold(struct tls_chains *chains, const struct tls_chain_key *key, int64_t now_s)
{
	const struct known *known = place_of(chains, key);
	bool hold;

	pthread_mutex_lock(&chains->lock);
	hold = now_s >= known->from_s && now_s < known->until_s &&
	    memcmp(&known->key, key, sizeof(*key)) == 0;
	pthread_mutex_unlock(&chains->lock);
	return hold;
}

void
tls_chains_note(struct tls_chains *chains, uint64_t roots, const struct tls_chain_key *key,
    int64_t from_s, int64_t until_s)
{
	pthread_mutex_lock(&chains->lock);
	if (roots == chains->roots)
		*place_of(chains, key) = (struct known){ *key, from_s, until_s };
	pthread_mutex_unlock(&chains->lock);
}
