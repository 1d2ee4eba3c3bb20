/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * TLS to an MX host: the only place that holds an SSL. Handshakes are never aborted by
 * verification, so that enforce, testing, audit and opportunistic share one path; the proof is
 * computed here after every handshake from the chain, with today's trust store and time, and
 * SSL_get_verify_result() is never read: on a resumed session it repeats an old answer.
 * A session is offered for resumption only when its chain proves what is wished now (the names, or
 * the match with TLSA records), at today's time and against today's trust store; else the host has
 * to show what it has today.
 * A tls_client is shared and any thread may use it. It must outlive the streams that it upgraded.
 */
#ifndef SHIM_SMTP_TLS_CLIENT_H
#define SHIM_SMTP_TLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/stream.h"
#include "base/conf/conf.h"
#include "policy/proof.h"
#include "policy/tlsa.h"

struct tls_client;
struct x509_trust;

/* NULL with why: a ca_file that cannot be read. */
struct tls_client *tls_client_new(const char *ca_file, char *why, size_t why_room);
void tls_client_free(struct tls_client *tls);
/* From now on these roots apply, to open connections as well, and no earlier session is resumed. */
void tls_client_trust(struct tls_client *tls, struct x509_trust *trust);

struct tls_wish {
	const char *sni;	/* NULL: none */
	const char **names;	/* reference identifiers; "*.example.net" is one label wild */
	size_t name_count;
	const struct tlsa *tlsa;	/* usable records to match the chain with; none: no DANE */
	size_t tlsa_count;
	const char **tlsa_names;	/* reference identifiers for DANE-TA; with records at least
					   one */
	size_t tlsa_name_count;
	bool by_tlsa;	/* the match decides, whatever names and public authorities say */
	bool strict;	/* a demand is enforced: min_protocol and security level 2 hold;
			   else TLS 1.0 and weak parameters rather than plaintext */
	enum conf_tls_version min_protocol;
	/* The scope of resumption; it separates strict from not strict. NULL: nothing is resumed,
	 * and no session is kept. */
	const char *session_key;
	unsigned omit;	/* of enum tls_omit: what an earlier handshake may have failed for */
};

/*
 * After the 220 to STARTTLS: handshake on the stream's descriptor, then proof in full and the
 * stream upgraded. proof->tls is ESTABLISHED, HANDSHAKE_FAILED or TIMEOUT, which is also what a
 * watch (or NULL) that breaks it off makes of it. The certificate is always measured by the strict
 * rules; only the judgement makes exceptions. A host that is offered a session has 20 s to say its
 * first word; and where a handshake succeeds with TLS_OMIT_SESSION, no session of that key is
 * offered for an hour. For as long DHE is not offered to a host that chose too large a group.
 *
 * With TLS 1.3 a client is done before the server has said yes: until the first octet comes in
 * under TLS, a loss turns *proof into HANDSHAKE_FAILED. So it must live as long as the stream.
 */
void tls_client_start(struct tls_client *tls, struct stream *stream, const struct tls_wish *wish,
    struct deadline deadline, const struct watch *watch, struct proof *proof);

/* On a stream that tls_client_start() upgraded: measures its certificate again in *proof, which
 * came with it, at today's time, against today's trust store and the names now wished. */
void tls_client_measure(struct tls_client *tls, struct stream *stream, const struct tls_wish *wish,
    struct proof *proof);

/* The chain that the peer of such a stream showed, as PEM, in the order served; NULL: none, or
 * longer than TLS_CHAIN_PEM octets. */
#define TLS_CHAIN_PEM	(32 * 1024)
char *tls_client_chain(struct stream *stream, struct arena *arena);

#endif
