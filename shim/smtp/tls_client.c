/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/x509.h"
#include "shim/smtp/tls_chains.h"
#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_dane.h"
#include "shim/smtp/tls_omit.h"
#include "shim/smtp/tls_proof.h"
#include "shim/smtp/tls_sessions.h"
#include "shim/smtp/tls_wire.h"

#define SESSION_OCTETS	2048
#define CERTIFICATE_OCTETS	4096	/* beside its encoding */
#define SILENCE_MS	(20 * 1000)	/* of a host that is offered a session */

struct tls_client {
	struct x509_trust *trust;
	BIO_METHOD *wire_method;
	SSL_CTX *strict, *lenient;
	struct tls_dane *dane;
	struct tls_sessions *sessions;
	/* Keys alone: to refuse too large a group costs half of what computing in it does. */
	struct tls_sessions *large_dh;
	struct tls_chains *chains;
};

/* One TLS session on a descriptor that it does not own. */
struct tls_io {
	SSL *ssl;
	struct tls_sessions *sessions;
	char *key;	/* of its sessions; NULL: they are not wanted */
	int64_t shaken_ms;	/* the full handshake, perhaps that of a resumed session */
	unsigned refusals;	/* memory_refusals() at the start */
	struct tls_wire wire;
	bool broken;	/* nothing more may be sent, not even close_notify */
	struct proof *unheard;	/* amended until the first octet under TLS; then NULL */
};

/* The proof is computed after the handshake, which continues with any certificate. */
static int
accept_for_now(X509_STORE_CTX *verifier, void *unused)
{
	(void)verifier;
	(void)unused;
	return 1;
}

static void
release_session(void *session)
{
	SSL_SESSION_free(session);
}

/* More certificates than a chain may have: no part of them makes any chain better. */
static bool
is_bulky(STACK_OF(X509) * chain)
{
	return chain != NULL && sk_X509_num(chain) > LIMIT_TLS_CHAIN + 2;	/* host and root */
}

/* What a session holds, about: OpenSSL unpacks each certificate and its key. */
static size_t
octets_of(const SSL_SESSION *session, STACK_OF(X509) * chain)
{
	const unsigned char *ticket;
	size_t octets = 0;
	int i, der;

	SSL_SESSION_get0_ticket(session, &ticket, &octets);
	octets += SESSION_OCTETS;
	for (i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
		der = i2d_X509(sk_X509_value(chain, i), NULL);
		octets += CERTIFICATE_OCTETS + (der > 0 ? (size_t)der : 0);
	}
	return octets;
}

/* A session of TLS 1.3 comes with what the host says first, and there may be several. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	const struct tls_io *io = SSL_get_app_data(ssl);

	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);

	if (io->key == NULL || SSL_SESSION_is_resumable(session) != 1 || is_bulky(chain))
		return 0;
	tls_sessions_put(io->sessions, io->key, session, octets_of(session, chain), io->shaken_ms);
	return 1;
}

/* A refusal by opportunistic TLS would lead to plaintext: weak TLS is better than none. */
static const char *
suites(bool strict, unsigned omit)
{
	if ((omit & TLS_OMIT_DHE) != 0)
		return strict ? "DEFAULT:!kDHE:@SECLEVEL=2" : "ALL:!aNULL:!eNULL:!kDHE:@SECLEVEL=0";
	return strict ? "DEFAULT:@SECLEVEL=2" : "ALL:!aNULL:!eNULL:@SECLEVEL=0";
}

static SSL_CTX *
context_new(struct x509_trust *trust, bool strict)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context == NULL)
		return NULL;
	SSL_CTX_set_security_level(context, strict ? 2 : 0);
	if (SSL_CTX_set_min_proto_version(context, strict ? TLS1_2_VERSION : TLS1_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(context, 0) != 1 ||
	    SSL_CTX_set_cipher_list(context, suites(strict, 0)) != 1 ||
	    x509_trust_use(trust, context) != 0) {
		SSL_CTX_free(context);
		return NULL;
	}
	x509_bound_effort(context);
	SSL_CTX_set_options(context,
	    SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
		(strict ? 0 : SSL_OP_LEGACY_SERVER_CONNECT));
	SSL_CTX_set_read_ahead(context, 1);	/* a record, and its header, in one read */
	SSL_CTX_set_mode(context,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(context, keep_session);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(context, accept_for_now, NULL);
	return context;
}

struct tls_client *
tls_client_new(const char *ca_file, char *why, size_t why_room)
{
	struct x509_trust *trust = x509_trust_load(ca_file, why, why_room);
	struct tls_client *tls;

	if (trust == NULL)
		return NULL;
	tls = xcalloc(1, sizeof(*tls));
	tls->trust = trust;
	tls->wire_method = tls_wire_method_new();
	tls->sessions = tls_sessions_new(release_session);
	tls->large_dh = tls_sessions_new(release_session);
	tls->chains = tls_chains_new();
	tls->dane = tls_dane_new();
	tls->strict = context_new(trust, true);
	tls->lenient = context_new(trust, false);
	if (tls->dane == NULL || tls->strict == NULL || tls->lenient == NULL) {
		snprintf(why, why_room, "OpenSSL: %s", ERR_reason_error_string(ERR_peek_error()));
		ERR_clear_error();
		tls_client_free(tls);
		return NULL;
	}
	return tls;
}

void
tls_client_free(struct tls_client *tls)
{
	if (tls == NULL)
		return;
	tls_sessions_free(tls->sessions);
	tls_sessions_free(tls->large_dh);
	tls_chains_free(tls->chains);
	SSL_CTX_free(tls->lenient);
	SSL_CTX_free(tls->strict);
	tls_dane_free(tls->dane);
	BIO_meth_free(tls->wire_method);
	x509_trust_free(tls->trust);
	free(tls);
}

void
tls_client_trust(struct tls_client *tls, struct x509_trust *trust)
{
	x509_trust_adopt(tls->trust, trust);
	tls_chains_clear(tls->chains);
	tls_sessions_clear(tls->sessions);
}

/* After a call of OpenSSL that did not succeed: a negative stream_status, with errno. */
static int
status_of(struct tls_io *io, int result)
{
	int error = SSL_get_error(io->ssl, result);

	if (error == SSL_ERROR_WANT_READ)
		return -STREAM_WANTS_IN;
	if (error == SSL_ERROR_WANT_WRITE)
		return -STREAM_WANTS_OUT;
	if (error == SSL_ERROR_ZERO_RETURN)
		return -STREAM_END;
	io->broken = true;
	if (io->wire.ended)
		return -STREAM_END;
	errno = io->wire.error != 0 ? io->wire.error : EPROTO;
	return -STREAM_LOST;
}

static bool
is_end(int status)
{
	return status == -STREAM_END || status == -STREAM_LOST;
}

static bool
is_no_record(int reason)
{
	return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST ||
	    reason == SSL_R_HTTPS_PROXY_REQUEST || reason == SSL_R_PACKET_LENGTH_TOO_LONG ||
	    reason == SSL_R_BAD_PACKET_LENGTH || reason == SSL_R_ENCRYPTED_LENGTH_TOO_LONG ||
	    reason == SSL_R_DATA_LENGTH_TOO_LONG;
}

/* Why was there no handshake? From OpenSSL's error queue and what the wire showed. */
static void
name_failure(const struct tls_io *io, struct proof *proof)
{
	unsigned long error = ERR_peek_error();
	int reason = ERR_GET_REASON(error);
	bool of_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;

	proof->dh_too_large = ERR_GET_LIB(error) == ERR_LIB_USER && reason == X509_DH_TOO_LARGE;

	proof->tls = PROOF_HANDSHAKE_FAILED;
	if (of_ssl && reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256)
		proof->alert = reason - SSL_AD_REASON_OFFSET;
	if (proof->alert != 0)
		snprintf(proof->failure, sizeof(proof->failure), "tls-remote-alert-%d",
		    proof->alert);
	else if (proof->dh_too_large)
		snprintf(proof->failure, sizeof(proof->failure), "dh-key-too-large");
	else if (io->wire.overrun)
		snprintf(proof->failure, sizeof(proof->failure), "handshake-too-long");
	else if (io->wire.ended || io->wire.error != 0 || error == 0)
		snprintf(proof->failure, sizeof(proof->failure), PROOF_FAILURE_CLOSED);
	else if (of_ssl && is_no_record(reason))
		snprintf(proof->failure, sizeof(proof->failure), "tls-record-header-error");
	else
		tls_proof_name_failure(proof, ERR_reason_error_string(error));
	if (memory_refusals() != io->refusals)
		proof->local_fault = true;
	ERR_clear_error();
}

/* A server of TLS 1.3 may still refuse when our side is done (RFC 8446 2). Keeps errno. */
static void
note_late_refusal(struct tls_io *io)
{
	int saved = errno;

	if (io->unheard != NULL) {
		name_failure(io, io->unheard);
		if (io->key != NULL)
			tls_sessions_forget(io->sessions, io->key);
	}
	io->unheard = NULL;
	errno = saved;
}

/* A host that refuses and hangs up fails our next write, with its alert still unread. */
static void
look_for_refusal(struct tls_io *io)
{
	int saved = errno;
	size_t got;
	char octet;

	ERR_clear_error();
	if (io->unheard != NULL && SSL_peek_ex(io->ssl, &octet, 1, &got) == 1)
		io->unheard = NULL;
	errno = saved;
}

static ssize_t
tls_read(void *context, void *octets, size_t room, struct deadline deadline)
{
	struct tls_io *io = context;
	size_t got;
	int status;

	io->wire.deadline = deadline;
	ERR_clear_error();
	status = SSL_read_ex(io->ssl, octets, room, &got);
	if (status == 1) {
		io->unheard = NULL;
		io->wire.budget = LIMIT_TLS_HANDSHAKE;
		return (ssize_t)got;
	}
	status = status_of(io, status);
	if (is_end(status))
		note_late_refusal(io);
	return status;
}

static ssize_t
tls_write(void *context, const void *octets, size_t length, struct deadline deadline)
{
	struct tls_io *io = context;
	size_t sent;
	int status;

	io->wire.deadline = deadline;
	ERR_clear_error();
	status = SSL_write_ex(io->ssl, octets, length, &sent);
	if (status == 1)
		return (ssize_t)sent;
	status = status_of(io, status);
	if (is_end(status)) {
		look_for_refusal(io);
		note_late_refusal(io);
	}
	return status;
}

static bool
tls_pending(void *context)
{
	struct tls_io *io = context;

	return SSL_has_pending(io->ssl) != 0;
}

static void
tls_close(void *context)
{
	struct tls_io *io = context;

	ERR_clear_error();
	if (!io->broken)
		(void)SSL_shutdown(io->ssl);
	SSL_free(io->ssl);
	ERR_clear_error();
	free(io->key);
	free(io);
}

static const struct stream_ops tls_ops = {
	.read = tls_read,
	.write = tls_write,
	.pending = tls_pending,
	.close = tls_close,
};

static bool
omits_dhe(const struct tls_client *tls, const struct tls_wish *wish)
{
	return (wish->omit & TLS_OMIT_DHE) != 0 ||
	    (wish->session_key != NULL &&
		tls_sessions_shunned(tls->large_dh, wish->session_key, clock_monotonic_ms()));
}

/* 0, or -1: OpenSSL lacks memory. */
static int
configure(struct tls_io *io, const struct tls_client *tls, const struct tls_wish *wish)
{
	BIO *wire = tls_wire_bio_new(tls->wire_method, &io->wire);
	char sni[DOMAIN_MAX];

	if (wire == NULL)
		return -1;
	SSL_set_bio(io->ssl, wire, wire);
	if (SSL_set_app_data(io->ssl, io) != 1)
		return -1;
	if (wish->strict &&
	    SSL_set_min_proto_version(io->ssl,
		wish->min_protocol == TLS_VERSION_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1)
		return -1;
	if (omits_dhe(tls, wish) &&
	    SSL_set_cipher_list(io->ssl, suites(wish->strict, TLS_OMIT_DHE)) != 1)
		return -1;
	if (wish->sni == NULL)
		return 0;
	snprintf(sni, sizeof(sni), "%s", wish->sni);
	return SSL_set_tlsext_host_name(io->ssl, sni) == 1 ? 0 : -1;
}

static struct tls_io *
io_new(const struct tls_client *tls, int fd, const struct tls_wish *wish)
{
	struct tls_io *io = xcalloc(1, sizeof(*io));

	io->refusals = memory_refusals();

	io->wire = (struct tls_wire){ .fd = fd, .budget = LIMIT_TLS_HANDSHAKE };
	io->sessions = tls->sessions;
	io->key = wish->session_key != NULL ? xstrdup(wish->session_key) : NULL;
	io->ssl = SSL_new(wish->strict ? tls->strict : tls->lenient);
	if (io->ssl == NULL || configure(io, tls, wish) != 0) {
		SSL_free(io->ssl);
		free(io->key);
		free(io);
		return NULL;
	}
	return io;
}

static void
time_out(struct proof *proof)
{
	proof->tls = PROOF_TIMEOUT;
	snprintf(proof->failure, sizeof(proof->failure), "io-timeout-during-handshake");
}

/* A host that passes over what it does not like in silence has not yet said a word. */
static struct deadline
patience(const struct tls_io *io, struct deadline deadline, struct deadline silence,
    const struct proof *proof)
{
	if (!proof->offered || io->wire.budget < LIMIT_TLS_HANDSHAKE)
		return deadline;
	return deadline_earlier(deadline, silence);
}

static void
handshake(struct tls_io *io, struct deadline deadline, const struct watch *watch,
    struct proof *proof)
{
	struct deadline silence = deadline_in(SILENCE_MS);
	int result, status;

	io->wire.deadline = deadline;
	for (;;) {
		ERR_clear_error();
		result = SSL_connect(io->ssl);
		if (result == 1)
			break;
		status = status_of(io, result);
		if (is_end(status)) {
			name_failure(io, proof);
			return;
		}
		/* A descriptor that cannot be waited on is not worth another word. */
		if (wait_for(io->wire.fd, status == -STREAM_WANTS_IN ? POLLIN : POLLOUT,
			patience(io, deadline, silence, proof), watch) != WAIT_READY) {
			io->broken = true;
			time_out(proof);
			return;
		}
	}
	proof->tls = PROOF_ESTABLISHED;
	io->wire.budget = LIMIT_TLS_HANDSHAKE;
}

static void
describe(const struct tls_io *io, struct proof *proof)
{
	proof->version = SSL_version(io->ssl);
	proof->resumed = SSL_session_reused(io->ssl) == 1;
	proof->bulky = is_bulky(SSL_get_peer_cert_chain(io->ssl));
	snprintf(proof->protocol, sizeof(proof->protocol), "%s", SSL_get_version(io->ssl));
	snprintf(proof->cipher, sizeof(proof->cipher), "%s", SSL_get_cipher_name(io->ssl));
}

static void
fail(struct proof *proof, const char *failure, bool local)
{
	proof->tls = PROOF_HANDSHAKE_FAILED;
	proof->local_fault = local;
	snprintf(proof->failure, sizeof(proof->failure), "%s", failure);
}

static void
measure(const struct tls_client *tls, const struct tls_io *io, const struct tls_wish *wish,
    struct proof *proof)
{
	X509 *leaf = SSL_get0_peer_certificate(io->ssl);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(io->ssl);
	struct tls_roots roots = { .chains = tls->chains, .number = tls_chains_roots(tls->chains) };

	roots.store = x509_trust_take(tls->trust);
	tls_proof_measure(&roots, leaf, chain, wish->names, wish->name_count, proof);
	x509_trust_give(roots.store);
	tls_dane_measure(tls->dane, leaf, chain, wish, proof);
}

static bool
proves(const struct tls_wish *wish, const struct proof *proof)
{
	return wish->by_tlsa ? proof->dane_ok : proof->chain_ok && proof->name_ok;
}

/* Chooses the session to offer, and measures its chain in *proof. A host whose certificate was
 * renewed is never held to an old one: a session that does not meet today's demands is dropped. */
static void
offer_session(const struct tls_client *tls, struct tls_io *io, const struct tls_wish *wish,
    struct proof *proof)
{
	int64_t shaken_ms;
	SSL_SESSION *session;

	io->shaken_ms = clock_monotonic_ms();
	while (io->key != NULL && (wish->omit & TLS_OMIT_SESSION) == 0 &&
	    (session = tls_sessions_take(tls->sessions, io->key, clock_monotonic_ms(),
		 &shaken_ms)) != NULL) {
		if (SSL_set_session(io->ssl, session) == 1)
			measure(tls, io, wish, proof);
		SSL_SESSION_free(session);
		if (proves(wish, proof)) {
			io->shaken_ms = shaken_ms;
			proof->offered = true;
			return;
		}
		(void)SSL_set_session(io->ssl, NULL);
	}
	memset(proof, 0, sizeof(*proof));
}

/* Up to TLS 1.2 a session can be used again, and no new one need come. */
static void
put_session_back(struct tls_io *io)
{
	SSL_SESSION *session;

	if (io->key == NULL || SSL_version(io->ssl) >= TLS1_3_VERSION)
		return;
	session = SSL_get1_session(io->ssl);
	if (session != NULL && keep_session(io->ssl, session) == 0)
		SSL_SESSION_free(session);
}

/* After a handshake with an offer, which *proof has measured. */
static void
prove(const struct tls_client *tls, struct tls_io *io, const struct tls_wish *wish,
    struct proof *proof)
{
	describe(io, proof);
	if (proof->resumed) {
		put_session_back(io);
		return;
	}
	io->shaken_ms = clock_monotonic_ms();
	measure(tls, io, wish, proof);
}

void
tls_client_measure(struct tls_client *tls, struct stream *stream, const struct tls_wish *wish,
    struct proof *proof)
{
	const struct tls_io *io = stream_io(stream, &tls_ops);

	if (io == NULL)
		abort();
	measure(tls, io, wish, proof);
}

void
tls_client_start(struct tls_client *tls, struct stream *stream, const struct tls_wish *wish,
    struct deadline deadline, const struct watch *watch, struct proof *proof)
{
	struct tls_io *io;

	memset(proof, 0, sizeof(*proof));
	/* RFC 3207 6: octets that arrived with the 220 are not from the server: an attacker
	 * injected them. */
	if (stream_has_input(stream)) {
		fail(proof, "plaintext-after-starttls", false);
		return;
	}
	io = io_new(tls, stream_fd(stream), wish);
	if (io == NULL) {
		fail(proof, "local-tls-fault", true);
		return;
	}
	offer_session(tls, io, wish, proof);
	handshake(io, deadline, watch, proof);
	if (proof->tls == PROOF_ESTABLISHED && stream_upgrade(stream, &tls_ops, io) != 0)
		abort();
	if (proof->tls != PROOF_ESTABLISHED) {
		proof->chain_ok = proof->name_ok = proof->dane_ok = false;
		if (io->key != NULL)
			tls_sessions_forget(tls->sessions, io->key);
		if (io->key != NULL && proof->dh_too_large)
			tls_sessions_shun(tls->large_dh, io->key, clock_monotonic_ms());
		tls_close(io);
		return;
	}
	if (io->key != NULL && (wish->omit & TLS_OMIT_SESSION) != 0)
		tls_sessions_shun(tls->sessions, io->key, clock_monotonic_ms());
	prove(tls, io, wish, proof);
	io->unheard = proof;
}

char *
tls_client_chain(struct stream *stream, struct arena *arena)
{
	const struct tls_io *io = stream_io(stream, &tls_ops);
	STACK_OF(X509) *chain = io != NULL ? SSL_get_peer_cert_chain(io->ssl) : NULL;
	BIO *memory = chain != NULL ? BIO_new(BIO_s_mem()) : NULL;
	char *pem = NULL, *octets;
	long length;

	if (memory == NULL)
		return NULL;
	for (int i = 0; i < sk_X509_num(chain); i++)
		(void)PEM_write_bio_X509(memory, sk_X509_value(chain, i));
	length = BIO_get_mem_data(memory, &octets);
	if (length > 0 && length <= TLS_CHAIN_PEM)
		pem = arena_strndup(arena, octets, (size_t)length);
	BIO_free(memory);
	ERR_clear_error();
	return pem;
}
