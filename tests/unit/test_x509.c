/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include "base/x509.h"
#include "tests/unit/certs.h"

#define VFY_HEADER	"/usr/include/openssl/x509_vfy.h"

static EVP_PKEY *ca_key, *leaf_key;
static X509 *ca;

static int
set_up(void **state)
{
	const struct cert_wish wish = { .cn = "Test Root", .ca = true };

	(void)state;
	ca_key = certs_key();
	leaf_key = certs_key();
	ca = certs_make(&wish, ca_key, NULL, NULL);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(leaf_key);
	return 0;
}

static void
test_error_names(void **state)
{
	(void)state;
	assert_string_equal(x509_error_name(0), "X509_V_OK");
	assert_string_equal(x509_error_name(10), "X509_V_ERR_CERT_HAS_EXPIRED");
	assert_string_equal(x509_error_name(18), "X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT");
	assert_string_equal(x509_error_name(20), "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY");
	assert_string_equal(x509_error_name(62), "X509_V_ERR_HOSTNAME_MISMATCH");
	assert_string_equal(x509_error_name(65), "X509_V_ERR_DANE_NO_MATCH");
	assert_string_equal(x509_error_name(94), "X509_V_ERR_EC_KEY_EXPLICIT_PARAMS");
	assert_string_equal(x509_error_name(-1), "X509_V_ERR_UNSPECIFIED");
	assert_string_equal(x509_error_name(100000), "X509_V_ERR_UNSPECIFIED");
	assert_string_equal(x509_error_text(10), "certificate has expired");
}

/* Every code of the installed OpenSSL 3.0 header has its row. */
static void
test_error_names_complete(void **state)
{
	FILE *header = fopen(VFY_HEADER, "r");
	char line[256], name[100];
	int code, seen = 0;

	(void)state;
	if (header == NULL || OPENSSL_VERSION_MINOR > 5)
		skip();
	while (fgets(line, sizeof(line), header) != NULL) {
		if (sscanf(line, "# define X509_V_%*[A-Z0-9_] %d", &code) != 1 &&
		    sscanf(line, "#define X509_V_%*[A-Z0-9_] %d", &code) != 1)
			continue;
		if (sscanf(strstr(line, "X509_V_"), "%99s", name) != 1 ||
		    (strncmp(name, "X509_V_ERR_", 11) != 0 && strcmp(name, "X509_V_OK") != 0))
			continue;
		assert_string_equal(x509_error_name(code), name);
		seen++;
	}
	(void)fclose(header);
	assert_true(seen > 90);
}

static int
verify(X509 *leaf, const char *host)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	int x509_error;

	assert_int_equal(X509_STORE_add_cert(store, ca), 1);
	assert_int_equal(X509_STORE_CTX_init(context, store, leaf, NULL), 1);
	assert_int_equal(x509_restrict_names(X509_STORE_CTX_get0_param(context), host), 0);
	(void)X509_verify_cert(context);
	x509_error = X509_STORE_CTX_get_error(context);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	return x509_error;
}

static const struct name_case {
	const char *cn, *san, *host;
	int expected;
} name_cases[] = {
	{ "x", "DNS:mail.example.com", "mail.example.com", 0 },
	{ "x", "DNS:mail.example.com", "MAIL.Example.COM", 0 },
	{ "x", "DNS:mail.example.com", "mail.example.com.", 0 },
	{ "x", "DNS:MAIL.example.com", "mail.example.com", 0 },
	{ "x", "DNS:other.example.com,DNS:mail.example.com", "mail.example.com", 0 },
	{ "x", "DNS:mail.example.com", "example.com", 62 },
	{ "x", "DNS:mail.example.com", "mail.example.com.attacker.net", 62 },
	{ "x", "DNS:example.com", "mail.example.com", 62 },
	{ "x", "DNS:.example.com", "mail.example.com", 62 },
	/* the CN never counts */
	{ "mail.example.com", NULL, "mail.example.com", 62 },
	{ "mail.example.com", "DNS:other.example.com", "mail.example.com", 62 },
	{ "mail.example.com", "email:a@example.com", "mail.example.com", 62 },
	{ "mail.example.com", "IP:192.0.2.1", "mail.example.com", 62 },
	/* a wildcard is the whole left-most label and stands for one */
	{ "x", "DNS:*.example.com", "mail.example.com", 0 },
	{ "x", "DNS:*.example.com", "MAIL.EXAMPLE.COM", 0 },
	{ "x", "DNS:*.example.com", "xn--mx-lka.example.com", 0 },
	{ "x", "DNS:*.example.com", "a.b.example.com", 62 },
	{ "x", "DNS:*.example.com", "example.com", 62 },
	{ "x", "DNS:*.example.com", "xexample.com", 62 },
	{ "x", "DNS:m*.example.com", "mail.example.com", 62 },
	{ "x", "DNS:*l.example.com", "mail.example.com", 62 },
	{ "x", "DNS:m*l.example.com", "mail.example.com", 62 },
	{ "x", "DNS:xn--*.example.com", "xn--mx-lka.example.com", 62 },
	{ "x", "DNS:mail.*.com", "mail.example.com", 62 },
	{ "x", "DNS:*.*.com", "mail.example.com", 62 },
	{ "x", "DNS:**.example.com", "mail.example.com", 62 },
	{ "x", "DNS:*", "mail", 62 },
	{ "x", "DNS:*", "mail.example.com", 62 },
	{ "x", "DNS:*.", "mail.example.com", 62 },
	{ "x", "DNS:*.com", "example.com", 0 },	/* no authority would sign it */
	{ "x", "DNS:*.example", "mx_1.example", 0 },
	/* any label, with whatever is below it */
	{ "x", "DNS:*.example.com", "mx_1.example.com", 0 },
	{ "x", "DNS:*.example.com", "_.example.com", 0 },
	{ "x", "DNS:*.example.com", "-mx-.example.com", 0 },
	{ "x", "DNS:*.EXAMPLE.com", "MX_1.example.COM.", 0 },
	{ "x", "DNS:*.mail_out.example.com", "mx.mail_out.example.com", 0 },
	{ "x", "DNS:*.-a-.example.com", "mx_1.-a-.example.com", 0 },
	{ "x", "DNS:mx_1.example.com", "mx_1.example.com", 0 },
	{ "x", "DNS:mx_*.example.com", "mx_1.example.com", 62 },
	{ "x", "DNS:*_1.example.com", "mx_1.example.com", 62 },
	{ "x", "DNS:*.example.com", "a.mx_1.example.com", 62 },
	{ "x", "DNS:*.mx_1.example.com", "mx_1.example.com", 62 },
	{ "*.example.com", NULL, "mx_1.example.com", 62 },
	{ "x", "DNS:*.*.example.com", "a.b.example.com", 62 },
	{ "x", "DNS:*..example.com", "a.example.com", 62 },
	/* one label only, also where the host is deep below */
	{ "x", "DNS:*.example.com", "a.b.c.d.example.com", 62 },
	{ "x", "DNS:*.b.example.com", "a.b.example.com", 0 },
};

static void
test_names(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(name_cases) / sizeof(name_cases[0]); i++) {
		const struct name_case *one = &name_cases[i];
		const struct cert_wish wish = { .cn = one->cn, .san = one->san };
		X509 *leaf = certs_make(&wish, leaf_key, ca, ca_key);
		int got = verify(leaf, one->host);
		bool has = x509_has_name(leaf, one->host);

		if (got != one->expected)
			print_error("%s / %s for %s\n", one->cn, one->san, one->host);
		assert_int_equal(got, one->expected);
		if (has != (one->expected == 0))
			print_error("%s / %s has %s\n", one->cn, one->san, one->host);
		assert_int_equal(has, one->expected == 0);
		X509_free(leaf);
	}
}

/* What OpenSSL would take for "no demand" or for a whole subtree is refused. */
static void
test_no_host(void **state)
{
	static const char *const bad[] = { "", ".", ".example.com", "192.0.2.1", "2001:db8::1",
		"*.example.com", "*" };
	X509_VERIFY_PARAM *param = X509_VERIFY_PARAM_new();
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(x509_restrict_names(param, bad[i]), -1);
	X509_VERIFY_PARAM_free(param);
}

static void
test_trust(void **state)
{
	char path[] = "/tmp/stsgate-x509-XXXXXX", why[200] = "";
	int fd = mkstemp(path);
	struct x509_trust *trust;
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	(void)state;
	assert_true(fd >= 0);
	assert_null(x509_trust_load("/nonexistent/ca.pem", why, sizeof(why)));
	assert_string_equal(why, "/nonexistent/ca.pem: No such file or directory");
	assert_null(x509_trust_load("/tmp", why, sizeof(why)));
	assert_null(x509_trust_load(path, why, sizeof(why)));
	assert_non_null(strstr(why, "no certificate"));
	certs_write(path, ca);
	trust = x509_trust_load(path, why, sizeof(why));
	assert_non_null(trust);
	assert_int_equal(x509_trust_use(trust, context), 0);
	x509_trust_free(trust);
	x509_trust_free(NULL);
	SSL_CTX_free(context);
	(void)close(fd);
	(void)unlink(path);
}

/* One TLS 1.2 handshake in memory; *session is offered and then replaced. */
static SSL *
handshake(SSL_CTX *client_context, SSL_CTX *server_context, SSL_SESSION **session, SSL **server)
{
	SSL *client = SSL_new(client_context);
	BIO *ours, *theirs;
	int i, done = 0;

	*server = SSL_new(server_context);
	assert_int_equal(BIO_new_bio_pair(&ours, 0, &theirs, 0), 1);
	SSL_set_bio(client, ours, ours);
	SSL_set_bio(*server, theirs, theirs);
	SSL_set_connect_state(client);
	SSL_set_accept_state(*server);
	if (*session != NULL)
		assert_int_equal(SSL_set_session(client, *session), 1);
	for (i = 0; i < 20 && done != 3; i++)
		done = (SSL_do_handshake(client) == 1 ? 1 : 0) |
		    (SSL_do_handshake(*server) == 1 ? 2 : 0);
	assert_int_equal(done, 3);
	SSL_SESSION_free(*session);
	*session = SSL_get1_session(client);
	return client;
}

static int
resume(SSL_CTX *client_context, SSL_CTX *server_context, SSL_SESSION **session)
{
	SSL *server, *client = handshake(client_context, server_context, session, &server);
	int x509_error;

	assert_true(SSL_session_reused(client));
	x509_error = x509_verify_resumed(client);
	SSL_shutdown(client);
	SSL_free(client);
	SSL_free(server);
	return x509_error;
}

static SSL_CTX *
client_context_new(struct x509_trust *trust, const char *host)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	assert_int_equal(SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION), 1);
	assert_int_equal(x509_trust_use(trust, context), 0);
	assert_int_equal(x509_require_host(context, host), 0);
	return context;
}

static struct x509_trust *
trust_in(X509 *root)
{
	char path[] = "/tmp/stsgate-x509-XXXXXX", why[200];
	int fd = mkstemp(path);
	struct x509_trust *trust;

	assert_true(fd >= 0);
	certs_write(path, root);
	trust = x509_trust_load(path, why, sizeof(why));
	assert_non_null(trust);
	(void)close(fd);
	(void)unlink(path);
	return trust;
}

static SSL_CTX *
server_context_new(X509 *leaf)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(context, leaf), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(context, leaf_key), 1);
	return context;
}

/* A resumed session is judged by today's time, names and roots, not by those of its first day. */
static void
test_resumed(void **state)
{
	const struct cert_wish wish = { .cn = "x", .san = "DNS:mail.example.com" };
	const struct cert_wish other_wish = { .cn = "Other Root", .ca = true };
	X509 *leaf = certs_make(&wish, leaf_key, ca, ca_key);
	X509 *other_root = certs_make(&other_wish, leaf_key, NULL, NULL);
	struct x509_trust *trust = trust_in(ca), *other = trust_in(other_root);
	SSL_CTX *server_context = server_context_new(leaf);
	SSL_CTX *same = client_context_new(trust, "mail.example.com");
	SSL_CTX *renamed = client_context_new(trust, "mx.example.net");
	SSL_CTX *distrusting = client_context_new(other, "mail.example.com");
	SSL_CTX *later = client_context_new(trust, "mail.example.com");
	SSL_SESSION *session = NULL;
	SSL *server, *client = handshake(same, server_context, &session, &server);

	(void)state;
	assert_int_equal(x509_verify_resumed(client), 0);	/* a full handshake */
	SSL_shutdown(client);
	SSL_free(client);
	SSL_free(server);
	X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(later), time(NULL) + 7200);
	assert_int_equal(resume(same, server_context, &session), 0);
	assert_int_equal(resume(renamed, server_context, &session), 62);
	assert_int_equal(resume(distrusting, server_context, &session), 20);
	assert_int_equal(resume(later, server_context, &session), 10);
	SSL_SESSION_free(session);
	SSL_CTX_free(same);
	SSL_CTX_free(renamed);
	SSL_CTX_free(distrusting);
	SSL_CTX_free(later);
	SSL_CTX_free(server_context);
	x509_trust_free(trust);
	x509_trust_free(other);
	X509_free(leaf);
	X509_free(other_root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_error_names),
		cmocka_unit_test(test_error_names_complete),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_host),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_resumed),
	};

	return cmocka_run_group_tests_name("x509", tests, set_up, tear_down);
}
