/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>
#include <stdio.h>

#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_omit.h"

#define ALERT_UNRECOGNIZED_NAME	112	/* RFC 6066 3 */

static bool
may_be_session(const struct proof *proof, const struct tls_wish *wish)
{
	(void)wish;
	return proof->offered;
}

/* Where a demand is enforced the server name is part of it (RFC 7672 8.1, RFC 8461 4.1). */
static bool
may_be_sni(const struct proof *proof, const struct tls_wish *wish)
{
	return proof->alert == ALERT_UNRECOGNIZED_NAME && wish->sni != NULL && !wish->strict;
}

/* It may do better with the suites that are left than not at all. */
static bool
may_be_dhe(const struct proof *proof, const struct tls_wish *wish)
{
	(void)wish;
	return proof->dh_too_large;
}

static const struct {
	enum tls_omit omit;
	bool (*may_be)(const struct proof *proof, const struct tls_wish *wish);
	const char *words;
} reasons[] = {
	{ TLS_OMIT_SESSION, may_be_session, "the offered TLS session" },
	{ TLS_OMIT_SNI, may_be_sni, "the server name (SNI)" },
	{ TLS_OMIT_DHE, may_be_dhe, "DHE cipher suites" },
};

unsigned
tls_omit_after(const struct proof *proof, const struct tls_wish *wish)
{
	unsigned omit = 0;
	size_t i;

	if ((proof->tls != PROOF_HANDSHAKE_FAILED && proof->tls != PROOF_TIMEOUT) ||
	    proof->local_fault)
		return 0;
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if ((wish->omit & reasons[i].omit) == 0 && reasons[i].may_be(proof, wish))
			omit |= reasons[i].omit;
	return omit;
}

void
tls_omit_text(unsigned omit, char text[TLS_OMIT_TEXT])
{
	size_t i, used = 0;

	text[0] = '\0';
	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if ((omit & reasons[i].omit) != 0)
			used += (size_t)snprintf(text + used, TLS_OMIT_TEXT - used, "%s%s",
			    used > 0 ? " and " : "", reasons[i].words);
}
