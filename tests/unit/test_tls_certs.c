/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Proofs of handshakes about certificates, without DANE. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/x509.h"
#include "tests/unit/tls_bench.h"

static struct cert *stranger, *intermediate, *expired_intermediate;

static int
setup(void **state)
{
	if (bench_setup(state) != 0)
		return -1;
	stranger = cert_make(&(struct cert_wish){ .cn = "Stranger", .ca = true });
	intermediate = cert_make(&(struct cert_wish){
	    .cn = "Between", .ca = true, .issuer = bench.root });
	expired_intermediate = cert_make(&(struct cert_wish){
	    .cn = "Past", .ca = true, .issuer = bench.root, .from_days = -20, .to_days = -10 });
	return 0;
}

static int
teardown(void **state)
{
	cert_free(stranger);
	cert_free(intermediate);
	cert_free(expired_intermediate);
	return bench_teardown(state);
}

struct bad_chain {
	const char *what;
	struct cert_wish wish;
	bool with_intermediate;	/* the intermediate is sent along */
	const char *error;
	int depth;
	bool name_ok;
};

static void
check_chain(const struct bad_chain *row, const struct cert *issuer)
{
	struct cert_wish wish = row->wish;
	struct cert *cert;
	struct proof proof;

	wish.issuer = issuer;
	if (wish.names[0] == NULL)
		wish.names[0] = MX;
	cert = cert_make(&wish);
	proof = bench_proof(cert, row->with_intermediate ? issuer : NULL, MX);
	cert_free(cert);
	if (strcmp(x509_error_name(proof.x509_error), row->error) != 0 ||
	    proof.x509_depth != row->depth || proof.name_ok != row->name_ok)
		print_error("%s: %s at %d, name %d\n", row->what, x509_error_name(proof.x509_error),
		    proof.x509_depth, proof.name_ok);
	assert_string_equal(x509_error_name(proof.x509_error), row->error);
	assert_int_equal(proof.x509_depth, row->depth);
	assert_int_equal(proof.name_ok, row->name_ok);
	assert_int_equal(proof.chain_ok,
	    strcmp(row->error, "X509_V_OK") == 0 ||
		strcmp(row->error, "X509_V_ERR_HOSTNAME_MISMATCH") == 0);
	assert_false(proof.local_fault);
}

static void
test_chains(void **state)
{
	static const struct bad_chain self = { "self-signed", { 0 }, false,
		"X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT", 0, true };
	static const struct bad_chain of_root[] = {
		{ "expired", { .from_days = -20, .to_days = -10 }, false,
		    "X509_V_ERR_CERT_HAS_EXPIRED", 0, true },
		{ "not yet valid", { .from_days = 10, .to_days = 20 }, false,
		    "X509_V_ERR_CERT_NOT_YET_VALID", 0, true },
		{ "for clients", { .usage = "clientAuth" }, false, "X509_V_ERR_INVALID_PURPOSE", 0,
		    true },
		{ "weak key", { .rsa_bits = 1024 }, false, "X509_V_ERR_EE_KEY_TOO_SMALL", 0, true },
		{ "SHA-1", { .sha1 = true }, false, "X509_V_ERR_CA_MD_TOO_WEAK", 0, true },
		{ "RSA", { .rsa_bits = 2048 }, false, "X509_V_OK", 0, true },
		{ "wrong name", { .names = { "mx.example.org" } }, false,
		    "X509_V_ERR_HOSTNAME_MISMATCH", 0, false },
		{ "35: expired, wrong name",
		    { .names = { "mx.example.org" }, .from_days = -20, .to_days = -10 }, false,
		    "X509_V_ERR_CERT_HAS_EXPIRED", 0, false },
	};
	static const struct bad_chain of_stranger = { "rogue", { 0 }, true,
		"X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", 1, true };
	static const struct bad_chain of_intermediate[] = {
		{ "sent", { 0 }, true, "X509_V_OK", 0, true },
		{ "not sent", { 0 }, false, "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 0,
		    true },
	};
	static const struct bad_chain of_expired[] = {
		{ "32: expired intermediate", { 0 }, true, "X509_V_ERR_CERT_HAS_EXPIRED", 1, true },
		{ "both expired", { .from_days = -20, .to_days = -10 }, true,
		    "X509_V_ERR_CERT_HAS_EXPIRED", 0, true },
	};
	size_t i;

	(void)state;
	check_chain(&self, NULL);
	for (i = 0; i < sizeof(of_root) / sizeof(of_root[0]); i++)
		check_chain(&of_root[i], bench.root);
	check_chain(&of_stranger, stranger);
	for (i = 0; i < 2; i++)
		check_chain(&of_intermediate[i], intermediate);
	for (i = 0; i < 2; i++)
		check_chain(&of_expired[i], expired_intermediate);
}

static void
test_names(void **state)
{
	static const struct {
		const char *cn, *san, *asked;
		bool ok;
	} cases[] = {
		{ NULL, "mx.example.net", "mx.example.net", true },
		{ NULL, "MX.Example.NET", "mx.example.net", true },
		{ "mx.example.net", NULL, "mx.example.net", false },
		{ "mx.example.net", "other.example.net", "mx.example.net", false },
		{ NULL, "*.example.net", "mx.example.net", true },
		{ NULL, "*.example.net", "example.net", false },
		{ NULL, "*.example.net", "a.mx.example.net", false },
		{ NULL, "m*.example.net", "mx.example.net", false },
		{ NULL, "*x.example.net", "mx.example.net", false },
		{ NULL, "mx.*.net", "mx.example.net", false },
		{ NULL, "*.example", "mx_1.example", true },
		{ NULL, "*.example.net", "mx_1.example.net", true },
		{ NULL, "*.a_b.example.net", "mx.a_b.example.net", true },
		{ NULL, "mx_*.example.net", "mx_1.example.net", false },
		{ NULL, "*", "mx", false },
		{ NULL, "example.net", "mx.example.net", false },
		{ NULL, "mx.example.net.evil.example", "mx.example.net", false },
		/* One label wild in what is asked for. */
		{ NULL, "a.match.example", "*.match.example", true },
		{ NULL, "A.Match.Example", "*.match.example", true },
		{ NULL, "*.match.example", "*.match.example", true },
		{ NULL, "a_1.match.example", "*.match.example", true },
		{ NULL, "a*.match.example", "*.match.example", false },
		{ NULL, ".match.example", "*.match.example", false },
		{ NULL, "a.b.match.example", "*.match.example", false },
		{ NULL, "match.example", "*.match.example", false },
		{ NULL, "amatch.example", "*.match.example", false },
		{ NULL, "a.match.example.org", "*.match.example", false },
		{ "a.match.example", NULL, "*.match.example", false },
		/* Invalid values of a configuration match nothing. */
		{ NULL, "mx.example.net", "", false },
		{ NULL, "mx.example.net", "*", false },
		{ NULL, "mx.example.net", "*.", false },
		{ NULL, "mx.example.net", ".example.net", false },
		{ NULL, "mx.example.net", "m*.example.net", false },
		{ NULL, "a.b.example.net", "*.*.example.net", false },
		{ NULL, "mx.example.net", NULL, false },
	};
	struct cert_wish wish;
	struct cert *cert;
	struct proof proof;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		wish = (struct cert_wish){
			.issuer = bench.root, .cn = cases[i].cn, .names = { cases[i].san }
		};
		cert = cert_make(&wish);
		proof = bench_proof(cert, NULL, cases[i].asked);
		cert_free(cert);
		if (proof.name_ok != cases[i].ok)
			print_error("%s asked as %s\n", cases[i].san, cases[i].asked);
		assert_int_equal(proof.name_ok, cases[i].ok);
		assert_true(proof.chain_ok);
		assert_int_equal(proof.x509_error, cases[i].ok ? 0 : 62);
	}
}

static void
test_ca_files_that_cannot_be_used(void **state)
{
	char why[200] = "";

	(void)state;
	assert_null(tls_client_new("/nonexistent/ca.pem", why, sizeof(why)));
	assert_non_null(strstr(why, "/nonexistent/ca.pem"));
	assert_null(tls_client_new("/dev/null", why, sizeof(why)));
	assert_non_null(strstr(why, "/dev/null"));
}

static void *
shake_hands(void *argument)
{
	const struct cert *cert = argument;
	struct proof proof;
	int i;

	for (i = 0; i < 5; i++) {
		proof = bench_proof(cert, NULL, MX);
		if (!proof.chain_ok || !proof.name_ok)
			return argument;
	}
	return NULL;
}

static void
test_many_threads(void **state)
{
	pthread_t threads[6];
	void *failed;
	size_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shake_hands, bench.good), 0);
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void
trust(const struct cert *root)
{
	char path[] = "/tmp/stsgate-test-roots-XXXXXX", why[200];
	int fd = mkstemp(path);
	struct x509_trust *trust;

	assert_true(fd >= 0);
	cert_write(root, path);
	trust = x509_trust_load(path, why, sizeof(why));
	assert_non_null(trust);
	tls_client_trust(bench.client, trust);
	x509_trust_free(trust);
	close(fd);
	unlink(path);
}

/* A chain that has held is remembered, but not for another name and not for other roots. */
static void
test_what_has_held(void **state)
{
	struct proof proof;
	int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		proof = bench_proof(bench.good, NULL, MX);
		assert_true(proof.chain_ok && proof.name_ok);
		assert_int_equal(proof.x509_error, 0);
	}
	proof = bench_proof(bench.good, NULL, "mx.other.example");
	assert_true(proof.chain_ok);
	assert_false(proof.name_ok);
	trust(stranger);
	proof = bench_proof(bench.good, NULL, MX);
	assert_false(proof.chain_ok);
	trust(bench.root);
	assert_true(bench_proof(bench.good, NULL, MX).chain_ok);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_what_has_held),
		cmocka_unit_test(test_ca_files_that_cannot_be_used),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
