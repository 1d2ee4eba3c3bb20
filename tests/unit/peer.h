/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A scripted SMTP server on loopback, for tests. Each connection runs the next script, an array of
 * steps that ends with NULL; the last script serves all further connections:
 *
 *	"S text"	sends a line
 *	"B octets"	sends octets
 *	"L text"	sends a line again and again
 *	"W octets"	sends octets again and again
 *	"C prefix"	takes a line that must begin so
 *	"A"		takes any line
 *	"U n"		n times: takes RCPT and answers 250
 *	"D"		takes content up to its dot
 *	"K n"		takes n octets of content
 *	"Q"		requires that the client waits for an answer
 *	"T"		does its side of a TLS handshake
 *	"H"		takes a ClientHello
 *	"G n"		sends the fatal TLS alert n
 *	"N"		sends TLS records of zeros again and again
 *	"E"		sends TLS session tickets again and again
 *	"P ms"		pauses
 *	"O"		pauses until the test is over: until peer_heard() or peer_free()
 *	"Z"		says nothing until the client leaves
 *	"R"		resets the connection
 *	"X"		closes it
 *
 * At the end of a script the connection is closed. Nothing waits longer than ten seconds.
 */
#ifndef TESTS_UNIT_PEER_H
#define TESTS_UNIT_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "tests/unit/mx_certs.h"

#define PEER_SCRIPTS	8

struct peer_tls {
	const struct cert *cert, *intermediate;	/* intermediate may be NULL */
	int max_version;	/* 0x0301 for TLS 1.0; 0: any */
	bool wants_client_cert;	/* which no client of ours has */
	const char *dh_group;	/* "ffdhe8192": chosen up to TLS 1.2, by a host with an RSA key;
				   NULL: never */
	const char *sigalgs;	/* the only ones it signs with, "ECDSA+SHA1"; NULL: any */
};

struct peer;

struct peer *peer_start(const struct peer_tls *tls, const char *const *const *scripts);
/* Waits for the connections to end, then says what came in: a line each, "1p EHLO x" for the first
 * connection in plaintext, "2t MAIL ..." for the second in TLS; content as "1t >line". A step that
 * the client did not follow is a line with "!". Stays valid until peer_free(). */
const char *peer_heard(struct peer *peer);
/* Waits until some guest has said a line with text; false: none does. Not after peer_heard(). */
bool peer_await(struct peer *peer, const char *text);
unsigned peer_connections(const struct peer *peer);	/* after peer_heard() */
const char *peer_sni(const struct peer *peer);	/* of the last handshake, "" without */
void peer_free(struct peer *peer);
struct ip peer_ip(void);
uint16_t peer_port(const struct peer *peer);

#endif
