/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What one TLS handshake showed, as plain values. The TLS code fills a proof and never decides.
 */
#ifndef POLICY_PROOF_H
#define POLICY_PROOF_H

#include <stdbool.h>
#include <stdint.h>

enum proof_tls {
	PROOF_NOT_TRIED,	/* plaintext by choice: the retry after a failed handshake */
	PROOF_NOT_OFFERED,	/* EHLO lists no STARTTLS */
	PROOF_REFUSED,	/* STARTTLS was answered other than 220 */
	PROOF_HANDSHAKE_FAILED,	/* or anything else after the 220, injection included */
	PROOF_TIMEOUT,	/* the same, by running out of time */
	PROOF_ESTABLISHED
};

/* proof.failure of a connection that ended in the midst of it */
#define PROOF_FAILURE_CLOSED	"connection-closed-during-handshake"

struct proof {
	enum proof_tls tls;
	int starttls_code;	/* PROOF_REFUSED: the reply's code, 0 when it made no sense */
	char failure[96];	/* HANDSHAKE_FAILED and TIMEOUT: one token, "tls-remote-alert-70" */
	int alert;	/* HANDSHAKE_FAILED: the peer's alert, 0 without one */
	bool dh_too_large;	/* HANDSHAKE_FAILED: the peer chose a group over our bound */
	bool bulky;	/* it showed more certificates than any chain needs */
	bool offered;	/* an earlier session was offered for resumption */
	bool chain_ok;	/* today, to a root of today's trust store */
	bool name_ok;	/* a SAN dNSName matches one of the host's names (RFC 8461 4.1) */
	int64_t expires_s;	/* the leaf's notAfter, wall clock; 0: there is no leaf */
	int x509_error;	/* X509_V_ERR_ nearest the leaf; 0 with chain_ok and name_ok */
	int x509_depth;	/* 0 is the leaf */
	bool dane_ok;	/* the host's usable TLSA records match the chain, with the names of RFC
			   7672 3.2 for DANE-TA; computed apart from chain_ok and name_ok */
	int dane_error;	/* X509_V_ERR_ of the DANE verification nearest the leaf; 0 with dane_ok */
	int dane_depth;
	char dane_match[12];	/* with dane_ok: the record, "3 1 1" */
	bool local_fault;	/* our own trouble (memory, trust store), nothing the peer did */
	int version;	/* 0x0304 for TLS 1.3 */
	bool resumed;
	char protocol[16];	/* "TLSv1.3" */
	char cipher[64];
};

#endif
