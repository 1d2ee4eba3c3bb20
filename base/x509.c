/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/domain.h"
#include "base/ip.h"
#include "base/limits.h"
#include "base/x509.h"

struct x509_trust {
	pthread_mutex_t lock;
	X509_STORE *store;
};

int
x509_add_name(X509_VERIFY_PARAM *param, const char *host, size_t length)
{
	const char *below = memchr(host, '.', length);
	char wild[DOMAIN_MAX + 1];

	if (X509_VERIFY_PARAM_add1_host(param, host, length) != 1)
		return -1;
	if (below == NULL || length > DOMAIN_MAX)
		return 0;
	/* OpenSSL lets "*" stand for letters, digits and hyphens alone, and for nothing where what
	 * is below holds an underscore or is a single label. "*" always matches itself. */
	(void)snprintf(wild, sizeof(wild), "*%.*s", (int)(length - (size_t)(below - host)), below);
	return X509_VERIFY_PARAM_add1_host(param, wild, 0) == 1 ? 0 : -1;
}

int
x509_restrict_names(X509_VERIFY_PARAM *param, const char *host)
{
	size_t length = strlen(host);
	struct ip literal;

	if (length > 0 && host[length - 1] == '.')
		length--;
	if (length == 0 || host[0] == '.' || strchr(host, '*') != NULL ||
	    ip_parse(host, &literal) == 0)
		return -1;
	/* RFC 8461 4.1: only the SAN counts, "*" is a whole label. Without the flag for multi-label
	 * wildcards it stands for exactly one. */
	X509_VERIFY_PARAM_set_hostflags(param,
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(param, NULL, 0) == 1 ? x509_add_name(param, host, length)
								: -1;
}

static bool
equal(const char *a, size_t a_length, const char *b, size_t b_length)
{
	return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

/* "*.example.net" on either side matches one label. */
static bool
name_matches(const char *san, size_t san_length, const char *name, size_t length)
{
	const char *san_below = memchr(san, '.', san_length), *below = memchr(name, '.', length);
	size_t san_label, label;

	if (memchr(san, '\0', san_length) != NULL)
		return false;
	if (san_below == NULL || below == NULL)
		return equal(san, san_length, name, length) && memchr(san, '*', san_length) == NULL;
	san_label = (size_t)(san_below - san);
	label = (size_t)(below - name);
	if (san_label == 0 || label == 0 || length - label < 2 ||
	    !equal(san_below, san_length - san_label, below, length - label) ||
	    memchr(below, '*', length - label) != NULL)
		return false;
	if (equal(san, san_label, "*", 1))
		return equal(name, label, "*", 1) || memchr(name, '*', label) == NULL;
	return memchr(san, '*', san_label) == NULL &&
	    (equal(name, label, "*", 1) || equal(san, san_label, name, label));
}

bool
x509_has_name(const X509 *certificate, const char *name)
{
	GENERAL_NAMES *sans = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t length = strlen(name);
	bool found = false;

	if (length > 0 && name[length - 1] == '.')
		length--;
	for (int i = 0; length > 0 && !found && i < sk_GENERAL_NAME_num(sans); i++) {
		const GENERAL_NAME *san = sk_GENERAL_NAME_value(sans, i);

		found = san->type == GEN_DNS &&
		    name_matches((const char *)ASN1_STRING_get0_data(san->d.dNSName),
			(size_t)ASN1_STRING_length(san->d.dNSName), name, length);
	}
	GENERAL_NAMES_free(sans);
	return found;
}

int64_t
x509_expires_s(const X509 *certificate)
{
	struct tm time;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1)
		return 0;
	return timegm(&time);
}

int
x509_require_host(SSL_CTX *ctx, const char *host)
{

	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_verify_depth(ctx, LIMIT_TLS_CHAIN);
	return x509_restrict_names(SSL_CTX_get0_param(ctx), host);
}

struct x509_trust *
x509_trust_load(const char *ca_file, char *why, size_t why_room)
{
	struct x509_trust *trust = xcalloc(1, sizeof(*trust));
	FILE *file = fopen(ca_file, "re");

	if (pthread_mutex_init(&trust->lock, NULL) != 0)
		abort();
	if (file == NULL) {
		(void)snprintf(why, why_room, "%s: %s", ca_file, strerror(errno));
		x509_trust_free(trust);
		return NULL;
	}
	(void)fclose(file);
	trust->store = X509_STORE_new();
	if (trust->store == NULL || X509_STORE_load_file(trust->store, ca_file) != 1) {
		(void)snprintf(why, why_room, "%s: no certificate in PEM form in it", ca_file);
		ERR_clear_error();
		x509_trust_free(trust);
		return NULL;
	}
	return trust;
}

void
x509_trust_free(struct x509_trust *trust)
{
	if (trust == NULL)
		return;
	X509_STORE_free(trust->store);
	pthread_mutex_destroy(&trust->lock);
	free(trust);
}

int
x509_trust_use(struct x509_trust *trust, SSL_CTX *ssl_ctx)
{
	X509_STORE *store = x509_trust_take(trust);

	SSL_CTX_set1_cert_store(ssl_ctx, store);
	x509_trust_give(store);
	return SSL_CTX_get_cert_store(ssl_ctx) == store ? 0 : -1;
}

X509_STORE *
x509_trust_take(struct x509_trust *trust)
{
	X509_STORE *store;

	(void)pthread_mutex_lock(&trust->lock);
	store = trust->store;
	if (X509_STORE_up_ref(store) != 1)
		abort();
	(void)pthread_mutex_unlock(&trust->lock);
	return store;
}

void
x509_trust_give(X509_STORE *store)
{
	X509_STORE_free(store);
}

void
x509_trust_adopt(struct x509_trust *trust, struct x509_trust *other)
{
	X509_STORE *store = x509_trust_take(other), *old;

	(void)pthread_mutex_lock(&trust->lock);
	old = trust->store;
	trust->store = store;
	(void)pthread_mutex_unlock(&trust->lock);
	X509_STORE_free(old);
}

/* The checks that OpenSSL makes for a client in a full handshake. */
static int
verify_chain(X509_STORE_CTX *store_ctx, SSL *ssl)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store_ctx);

	if (X509_STORE_CTX_set_default(store_ctx, "ssl_server") != 1)
		return X509_V_ERR_UNSPECIFIED;
	X509_VERIFY_PARAM_set_auth_level(param, SSL_get_security_level(ssl));
	if (X509_VERIFY_PARAM_set1(param, SSL_get0_param(ssl)) != 1)
		return X509_V_ERR_UNSPECIFIED;
	if (X509_verify_cert(store_ctx) == 1)
		return X509_V_OK;
	return X509_STORE_CTX_get_error(store_ctx) != X509_V_OK
	    ? X509_STORE_CTX_get_error(store_ctx)
	    : X509_V_ERR_UNSPECIFIED;
}

int
x509_verify_resumed(SSL *ssl)
{
	X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	int x509_error = X509_V_ERR_UNSPECIFIED;
	X509_STORE_CTX *store_ctx;

	if (!SSL_session_reused(ssl))
		return X509_V_OK;
	store_ctx = X509_STORE_CTX_new();
	if (store_ctx != NULL && leaf != NULL &&
	    X509_STORE_CTX_init(store_ctx, store, leaf, SSL_get_peer_cert_chain(ssl)) == 1)
		x509_error = verify_chain(store_ctx, ssl);
	X509_STORE_CTX_free(store_ctx);
	return x509_error;
}

static pthread_once_t standard_known = PTHREAD_ONCE_INIT;
static int (*standard_security)(const SSL *ssl, const SSL_CTX *ctx, int what, int bits, int nid,
    void *other, void *ex);

/* OpenSSL's own rules of security levels, which can be had from an SSL_CTX alone. */
static void
learn_standard(void)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL)
		abort();
	standard_security = SSL_CTX_get_security_callback(ctx);
	SSL_CTX_free(ctx);
}

static int
is_secure_and_cheap(const SSL *ssl, const SSL_CTX *ctx, int what, int bits, int nid, void *other,
    void *ex)
{
	bool group = what == SSL_SECOP_CURVE_SUPPORTED || what == SSL_SECOP_CURVE_SHARED ||
	    what == SSL_SECOP_CURVE_CHECK;

	if (group && (nid == NID_ffdhe6144 || nid == NID_ffdhe8192))
		return 0;
	if (what == SSL_SECOP_TMP_DH && other != NULL &&
	    EVP_PKEY_get_bits(other) > LIMIT_TLS_DH_BITS) {
		ERR_raise(ERR_LIB_USER, X509_DH_TOO_LARGE);
		return 0;
	}
	return standard_security(ssl, ctx, what, bits, nid, other, ex);
}

void
x509_bound_effort(SSL_CTX *ssl_ctx)
{
	(void)pthread_once(&standard_known, learn_standard);
	SSL_CTX_set_security_callback(ssl_ctx, is_secure_and_cheap);
}

static void
on_tls_event(const SSL *ssl, int where, int value)
{
	struct x509_seen *seen = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	if (seen == NULL)
		return;
	if (where == SSL_CB_READ_ALERT && (value & 0xff) == SSL_AD_CLOSE_NOTIFY)
		seen->ended = true;
	/* Later the session is the one that this handshake makes. */
	if (where == SSL_CB_HANDSHAKE_START && !seen->begun) {
		seen->begun = true;
		seen->offered = SSL_get_session(ssl) != NULL;
	}
}

void
x509_watch(SSL_CTX *ssl_ctx, struct x509_seen *seen)
{
	(void)SSL_CTX_up_ref(ssl_ctx);
	SSL_CTX_set_app_data(ssl_ctx, seen);
	SSL_CTX_set_info_callback(ssl_ctx, on_tls_event);
}

void
x509_unwatch(SSL_CTX *ssl_ctx)
{
	if (ssl_ctx == NULL)
		return;
	SSL_CTX_set_app_data(ssl_ctx, NULL);
	SSL_CTX_free(ssl_ctx);
}
