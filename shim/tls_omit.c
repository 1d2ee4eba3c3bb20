/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>

#include "shim/tls_client.h"
#include "shim/tls_omit.h"

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

static const struct {
	enum tls_omit omit;
	bool (*may_be)(const struct proof *proof, const struct tls_wish *wish);
} reasons[] = {
	{ TLS_OMIT_SESSION, may_be_session },
	{ TLS_OMIT_SNI, may_be_sni },
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

const char *
tls_omit_text(unsigned omit)
{
	switch (omit) {
	case TLS_OMIT_SESSION:
		return "the offered TLS session";
	case TLS_OMIT_SNI:
		return "the server name (SNI)";
	default:
		return "the offered TLS session and the server name (SNI)";
	}
}
