/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * After a handshake that failed: which parts of our ClientHello may be the reason, and should be
 * left out on one more connection before the failure has any consequence? Some hosts, and devices
 * in front of them, close the connection at a session to be resumed or at a server name, and do
 * TLS well without. Each reason is one row. Pure; any thread.
 */
#ifndef SHIM_SMTP_TLS_OMIT_H
#define SHIM_SMTP_TLS_OMIT_H

#include "policy/proof.h"

struct tls_wish;

enum tls_omit {
	TLS_OMIT_SESSION = 1 << 0,	/* the session to be resumed */
	TLS_OMIT_SNI = 1 << 1,	/* server_name */
	TLS_OMIT_DHE = 1 << 2	/* cipher suites with Diffie-Hellman that is not on a curve */
};

/* The set to leave out in addition to that of wish; 0: another connection would show the same. */
unsigned tls_omit_after(const struct proof *proof, const struct tls_wish *wish);
#define TLS_OMIT_TEXT	100
/* In words: "the offered TLS session and the server name (SNI)". */
void tls_omit_text(unsigned omit, char text[TLS_OMIT_TEXT]);

#endif
