/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/http.h"
#include "tests/unit/certs.h"
#include "tests/unit/https_server.h"

#define HOST	"mta-sts.example.com"

static EVP_PKEY *ca_key, *key;
static X509 *ca, *good_cert;
static struct http *http;

/* Takes OpenSSL's own floor away, so that the version refused is refused by us. */
static void
lower_floor(void)
{
	static const char config[] = "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\n"
				     "system_default = floor\n[floor]\nMinProtocol = TLSv1\n"
				     "CipherString = ALL:@SECLEVEL=0\n";
	char path[] = "/tmp/stsgate-http-XXXXXX";
	int fd = mkstemp(path);

	assert_int_equal(write(fd, config, sizeof(config) - 1), sizeof(config) - 1);
	(void)close(fd);
	(void)setenv("OPENSSL_CONF", path, 1);
	assert_int_equal(OPENSSL_init_ssl(0, NULL), 1);
	(void)unlink(path);
}

static int
set_up(void **state)
{
	const struct cert_wish root = { .cn = "Test Root", .ca = true };
	const struct cert_wish leaf = { .cn = "x", .san = "DNS:" HOST };
	char path[] = "/tmp/stsgate-http-XXXXXX", why[200];
	int fd = mkstemp(path);

	(void)state;
	(void)signal(SIGPIPE, SIG_IGN);	/* for the server */
	lower_floor();
	ca_key = certs_key();
	key = certs_key();
	ca = certs_make(&root, ca_key, NULL, NULL);
	good_cert = certs_make(&leaf, key, ca, ca_key);
	certs_write(path, ca);
	http = http_new(path, "", why, sizeof(why));
	(void)close(fd);
	(void)unlink(path);
	return http != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	http_free(http);
	X509_free(good_cert);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	return 0;
}

static struct http_answer
fetch_within(const struct server *server, int64_t ms)
{
	static const struct ip loopback = { .octets = { 127, 0, 0, 1 } };
	char url[200];
	struct http_request request = { .method = "GET",
		.url = url,
		.host = HOST,
		.addresses = &loopback,
		.address_count = 1,
		.max_body = 65536,
		.allow_private = true,
		.deadline = deadline_in(ms) };
	struct http_answer answer;

	(void)snprintf(url, sizeof(url), "https://%s:%u/ok", HOST, server->port);
	http_perform(http, &request, &answer);
	return answer;
}

static struct http_answer
fetch(const struct server *server)
{
	return fetch_within(server, 5000);
}

static void
check_answered(struct http_answer *answer)
{
	if (answer->outcome != HTTP_ANSWERED)
		print_error("%s: %s\n", http_outcome_name(answer->outcome), answer->reason);
	assert_int_equal(answer->outcome, HTTP_ANSWERED);
	assert_int_equal(answer->x509_error, 0);
	buf_free(&answer->body);
}

static void
check_failed(const struct http_answer *answer, int x509_error)
{
	if (answer->outcome != HTTP_TLS || answer->x509_error != x509_error)
		print_error("%s: %s\n", http_outcome_name(answer->outcome), answer->reason);
	assert_int_equal(answer->outcome, HTTP_TLS);
	assert_int_equal(answer->x509_error, x509_error);
	assert_null(answer->body.data);
}

static const struct certificate_case {
	struct cert_wish wish;
	bool self_signed;
	int x509_error;
} certificate_cases[] = {
	{ { .cn = "x", .san = "DNS:*.example.com" }, false, 0 },
	{ { .cn = "x", .san = "DNS:example.com" }, false, 62 },
	{ { .cn = "x", .san = "DNS:mta-sts.example.net" }, false, 62 },
	{ { .cn = HOST, .san = "DNS:other.example.com" }, false, 62 },
	{ { .cn = HOST }, false, 62 },	/* the CN never counts */
	{ { .cn = "x", .san = "DNS:mta*.example.com" }, false, 62 },
	{ { .cn = "x", .san = "DNS:*.com" }, false, 62 },
	{ { .cn = "x", .san = "DNS:" HOST, .from_s = -7200, .to_s = -60 }, false, 10 },
	{ { .cn = "x", .san = "DNS:" HOST, .from_s = 60, .to_s = 3600 }, false, 9 },
	{ { .cn = "x", .san = "DNS:" HOST }, true, 18 },
	{ { .cn = "unknown root", .san = "DNS:" HOST, .ca = true }, true, 18 },
};

static void
test_certificates(void **state)
{
	const struct certificate_case *one;
	struct http_answer answer;
	struct server *server;
	X509 *cert;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(certificate_cases) / sizeof(certificate_cases[0]); i++) {
		one = &certificate_cases[i];
		cert = certs_make(&one->wish, key, one->self_signed ? NULL : ca, ca_key);
		server = server_start(SERVER_TLS, cert, key, NULL);
		answer = fetch(server);
		if (answer.x509_error != one->x509_error)
			print_error("%s: %s\n", one->wish.san, answer.reason);
		assert_int_equal(answer.x509_error, one->x509_error);
		if (one->x509_error == 0) {
			check_answered(&answer);
		} else {
			check_failed(&answer, one->x509_error);
			assert_int_equal(server->requests, 0);
		}
		server_stop(server);
		X509_free(cert);
	}
}

static void
test_unknown_ca(void **state)
{
	const struct cert_wish root = { .cn = "Other Root", .ca = true };
	const struct cert_wish leaf = { .cn = "x", .san = "DNS:" HOST };
	X509 *other = certs_make(&root, key, NULL, NULL);
	X509 *cert = certs_make(&leaf, key, other, key);
	struct server *server = server_start(SERVER_TLS, cert, key, NULL);
	struct http_answer answer = fetch(server);

	(void)state;
	check_failed(&answer, 20);
	assert_non_null(strstr(answer.reason, "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY"));
	server_stop(server);
	X509_free(cert);
	X509_free(other);
}

/* The second fetch resumes the TLS session, and is judged by the time it is made at. */
static void
test_resumed_session_expires(void **state)
{
	const struct cert_wish wish = { .cn = "x", .san = "DNS:" HOST, .from_s = -60, .to_s = 2 };
	X509 *cert = certs_make(&wish, key, ca, ca_key);
	struct server *server = server_start(SERVER_TLS, cert, key, NULL);
	struct http_answer answer = fetch(server);
	int i;

	(void)state;
	check_answered(&answer);
	answer = fetch(server);
	check_answered(&answer);
	assert_int_equal(server->resumed, 1);
	(void)usleep(3000000);
	answer = fetch(server);
	check_failed(&answer, 10);
	for (i = 0; i < 100 && server->resumed < 2; i++)
		(void)usleep(10000);
	assert_int_equal(server->resumed, 2);
	assert_int_equal(server->requests, 2);
	server_stop(server);
	X509_free(cert);
}

/* A session of a certificate that has ended proves nothing, and a new one is shown when asked. */
static void
test_a_renewed_host_behind_a_session(void **state)
{
	const struct cert_wish wish = { .cn = "x", .san = "DNS:" HOST, .from_s = -60, .to_s = 2 };
	X509 *cert = certs_make(&wish, key, ca, ca_key);
	struct server *server = server_start(SERVER_TLS, cert, key, NULL);
	struct http_answer answer = fetch(server);

	(void)state;
	check_answered(&answer);
	assert_int_equal(SSL_CTX_use_certificate(server->context, good_cert), 1);
	(void)usleep(3000000);
	answer = fetch(server);
	check_answered(&answer);
	answer = fetch(server);
	check_answered(&answer);
	assert_int_equal(server->requests, 3);
	server_stop(server);
	X509_free(cert);
}

/* A host that ends each connection that offers a session is asked without one. */
static void
test_a_host_that_rejects_sessions(void **state)
{
	struct server *server = server_start(SERVER_NO_OFFERS, good_cert, key, NULL);
	struct http_answer answer;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		answer = fetch(server);
		check_answered(&answer);
	}
	/* The second and the fourth; none is kept after the one that made up for it. */
	assert_int_equal(server->rejected, 2);
	assert_int_equal(server->connections, 6);
	assert_int_equal(server->requests, 4);
	server_stop(server);
}

/* There is no time left for another try, but the next request is not lost as well. */
static void
test_a_host_that_is_mute_at_sessions(void **state)
{
	struct server *server = server_start(SERVER_MUTE_AT_OFFERS, good_cert, key, NULL);
	struct http_answer answer = fetch(server);

	(void)state;
	check_answered(&answer);
	answer = fetch_within(server, 500);
	assert_int_equal(answer.outcome, HTTP_TIMEOUT);
	assert_int_equal(server->rejected, 1);
	answer = fetch(server);
	check_answered(&answer);
	server_stop(server);
}

static void
test_no_tls(void **state)
{
	static const enum server_kind kinds[] = { SERVER_TLS_1_1, SERVER_NOT_TLS, SERVER_RESET };
	struct http_answer answer;
	struct server *server;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		server = server_start(kinds[i], good_cert, key, NULL);
		answer = fetch(server);
		check_failed(&answer, 0);
		assert_int_equal(server->requests, 0);
		server_stop(server);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_unknown_ca),
		cmocka_unit_test(test_resumed_session_expires),
		cmocka_unit_test(test_a_renewed_host_behind_a_session),
		cmocka_unit_test(test_a_host_that_rejects_sessions),
		cmocka_unit_test(test_a_host_that_is_mute_at_sessions),
		cmocka_unit_test(test_no_tls),
	};

	return cmocka_run_group_tests_name("http_tls", tests, set_up, tear_down);
}
