/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "policy/tlsa.h"

#define HEADER	3	/* octets before the certificate association data */
#define PRIVATE	255	/* of each field; means nothing to anybody else (RFC 7218 2) */
#define SHA256_OCTETS	32
#define SHA512_OCTETS	64

void
tlsa_parse(const uint8_t *wire, size_t length, struct tlsa *tlsa)
{
	*tlsa = (struct tlsa){ .usage = PRIVATE, .selector = PRIVATE, .matching = PRIVATE };
	if (length < HEADER)
		return;
	tlsa->usage = wire[0];
	tlsa->selector = wire[1];
	tlsa->matching = wire[2];
	tlsa->data = wire + HEADER;
	tlsa->length = length - HEADER;
}

/* A certificate or key, and nothing behind it. */
static bool
holds_certificate(const struct tlsa *tlsa)
{
	const unsigned char *at = tlsa->data;
	X509 *certificate = d2i_X509(NULL, &at, (long)tlsa->length);
	bool good = certificate != NULL && at == tlsa->data + tlsa->length &&
	    X509_get0_pubkey(certificate) != NULL;

	X509_free(certificate);
	ERR_clear_error();
	return good;
}

static bool
holds_key(const struct tlsa *tlsa)
{
	const unsigned char *at = tlsa->data;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)tlsa->length);
	bool good = key != NULL && at == tlsa->data + tlsa->length;

	EVP_PKEY_free(key);
	ERR_clear_error();
	return good;
}

static bool
data_is_whole(const struct tlsa *tlsa)
{
	if (tlsa->matching == TLSA_MATCHING_SHA256)
		return tlsa->length == SHA256_OCTETS;
	if (tlsa->matching == TLSA_MATCHING_SHA512)
		return tlsa->length == SHA512_OCTETS;
	if (tlsa->matching != TLSA_MATCHING_FULL || tlsa->length == 0 || tlsa->length > LONG_MAX)
		return false;
	return tlsa->selector == TLSA_SELECTOR_KEY ? holds_key(tlsa) : holds_certificate(tlsa);
}

bool
tlsa_is_usable(const struct tlsa *tlsa)
{
	return (tlsa->usage == TLSA_USAGE_DANE_TA || tlsa->usage == TLSA_USAGE_DANE_EE) &&
	    (tlsa->selector == TLSA_SELECTOR_CERTIFICATE || tlsa->selector == TLSA_SELECTOR_KEY) &&
	    data_is_whole(tlsa);
}

/* Is there a stronger digest of the same thing? What is given in full is no digest and always
 * stays. */
static bool
is_outdone(const struct tlsa *tlsa, const struct tlsa *all, size_t count)
{
	size_t i;

	if (tlsa->matching != TLSA_MATCHING_SHA256)
		return false;
	for (i = 0; i < count; i++)
		if (all[i].usage == tlsa->usage && all[i].selector == tlsa->selector &&
		    all[i].matching == TLSA_MATCHING_SHA512)
			return true;
	return false;
}

size_t
tlsa_select(struct arena *arena, const struct tlsa *all, size_t count, struct tlsa **usable)
{
	struct tlsa *kept = arena_array(arena, count, sizeof(*kept));
	size_t i, found = 0, left = 0;

	for (i = 0; i < count; i++)
		if (tlsa_is_usable(&all[i]))
			kept[found++] = all[i];
	*usable = arena_array(arena, found, sizeof(*kept));
	for (i = 0; i < found; i++)
		if (!is_outdone(&kept[i], kept, found))
			(*usable)[left++] = kept[i];
	return left;
}

const char *
tlsa_text(struct arena *arena, const struct tlsa *tlsa)
{
	size_t room = sizeof("255 255 255 ") + 2 * tlsa->length, i;
	char *text = arena_alloc(arena, room);
	int used = snprintf(text, room, "%u %u %u ", (unsigned)tlsa->usage,
	    (unsigned)tlsa->selector, (unsigned)tlsa->matching);

	for (i = 0; i < tlsa->length; i++)
		snprintf(text + used + 2 * i, 3, "%02X", (unsigned)tlsa->data[i]);
	return text;
}
