/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Certificates held against TLSA records, in real handshakes. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/arena.h"
#include "shim/smtp/dial.h"
#include "shim/smtp/tls_client.h"
#include "tests/unit/mx_certs.h"
#include "tests/unit/peer.h"

#define MX	"mx.example.net"
#define BASE	"far.example.net"
#define DOMAIN	"example.org"
#define PATIENCE_MS	8000

static const char *const talk[] = { "T", "S hello", "C bye", NULL };
static const char *const *const scripts[] = { talk, NULL };
static struct cert *root, *own, *own_expired, *good, *self, *self_old, *by_own, *by_own_other,
    *by_own_cn, *by_own_old, *by_expired, *wild, *partial, *weak;
static struct tls_client *client;
static struct arena *arena;
static char ca_file[64];

static struct cert *
leaf(const struct cert *issuer, const char *name, long from_days, long to_days)
{
	return cert_make(&(struct cert_wish){
	    .issuer = issuer, .names = { name }, .from_days = from_days, .to_days = to_days });
}

static int
setup(void **state)
{
	char why[200];

	(void)state;
	arena = arena_new();
	root = cert_make(&(struct cert_wish){ .cn = "Root", .ca = true });
	own = cert_make(&(struct cert_wish){ .cn = "Own", .ca = true });
	own_expired = cert_make(&(struct cert_wish){
	    .cn = "Own once", .ca = true, .from_days = -20, .to_days = -10 });
	good = leaf(root, MX, 0, 0);
	self = leaf(NULL, MX, 0, 0);
	self_old = leaf(NULL, "other.example", -20, -10);
	by_own = leaf(own, BASE, 0, 0);
	by_own_other = leaf(own, "other.example", 0, 0);
	by_own_cn = cert_make(&(struct cert_wish){ .issuer = own, .cn = BASE });
	by_own_old = leaf(own, BASE, -20, -10);
	by_expired = leaf(own_expired, BASE, 0, 0);
	wild = leaf(own, "*.example.net", 0, 0);
	partial = leaf(own, "f*.example.net", 0, 0);
	weak = cert_make(&(struct cert_wish){ .names = { MX }, .rsa_bits = 1024 });
	snprintf(ca_file, sizeof(ca_file), "/tmp/stsgate-test-dane-%ld.pem", (long)getpid());
	cert_write(root, ca_file);
	client = tls_client_new(ca_file, why, sizeof(why));
	return client != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	struct cert *all[] = { root, own, own_expired, good, self, self_old, by_own, by_own_other,
		by_own_cn, by_own_old, by_expired, wild, partial, weak };

	(void)state;
	tls_client_free(client);
	unlink(ca_file);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		cert_free(all[i]);
	arena_free(arena);
	return 0;
}

/* The record with these fields for this certificate. */
static struct tlsa
record(unsigned usage, unsigned selector, unsigned matching, const struct cert *cert)
{
	uint8_t *der = NULL, *digest = arena_alloc(arena, EVP_MAX_MD_SIZE), *copy;
	int length = selector == 0 ? i2d_X509(cert_x509(cert), &der)
				   : i2d_PUBKEY(X509_get0_pubkey(cert_x509(cert)), &der);
	struct tlsa tlsa = { (uint8_t)usage, (uint8_t)selector, (uint8_t)matching, NULL, 0 };
	unsigned digest_length = 0;

	assert_true(length > 0);
	if (matching == 0) {
		copy = arena_alloc(arena, (size_t)length);
		memcpy(copy, der, (size_t)length);
		tlsa.data = copy;
		tlsa.length = (size_t)length;
	} else {
		assert_int_equal(EVP_Digest(der, (size_t)length, digest, &digest_length,
				     matching == 1 ? EVP_sha256() : EVP_sha512(), NULL),
		    1);
		tlsa.data = digest;
		tlsa.length = digest_length;
	}
	OPENSSL_free(der);
	return tlsa;
}

static struct proof
meet(const struct peer *peer, const struct tls_wish *wish)
{
	struct ip ip = peer_ip();
	int fd = dial_connect(&ip, peer_port(peer), NULL, deadline_in(PATIENCE_MS), NULL);
	struct stream *stream;
	struct proof proof;
	char line[100];
	size_t length;

	assert_true(fd >= 0);
	stream = stream_new_fd(fd);
	memset(&proof, 0xff, sizeof(proof));
	tls_client_start(client, stream, wish, deadline_in(PATIENCE_MS), NULL, &proof);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_OK);
	assert_int_equal(stream_printf(stream, deadline_in(PATIENCE_MS), "bye\r\n"), STREAM_OK);
	assert_int_equal(stream_flush(stream, deadline_in(PATIENCE_MS)), STREAM_OK);
	stream_free(stream);
	return proof;
}

static const char *base_names[] = { BASE, DOMAIN };
static const char *mx_name[] = { MX };

static struct tls_wish
wish_for(const struct tlsa *records, size_t count)
{
	return (struct tls_wish){ .sni = BASE,
		.names = mx_name,
		.name_count = 1,
		.tlsa = records,
		.tlsa_count = count,
		.tlsa_names = base_names,
		.tlsa_name_count = 2,
		.by_tlsa = true,
		.min_protocol = TLS_VERSION_1_2 };
}

static struct proof
proof_of(const struct cert *cert, const struct cert *sent, const struct tlsa *records, size_t count)
{
	struct peer_tls tls = { .cert = cert, .intermediate = sent };
	struct peer *peer = peer_start(&tls, scripts);
	struct tls_wish wish = wish_for(records, count);
	struct proof proof = meet(peer, &wish);

	peer_free(peer);
	return proof;
}

#define NO_MATCH	X509_V_ERR_DANE_NO_MATCH

static void
test_matches(void **state)
{
	const struct {
		const char *name;
		const struct cert *shown, *sent;
		unsigned usage, selector, matching;
		const struct cert *of;
		int error;	/* 0: it matches */
	} cases[] = {
		{ "G1 3 1 1", self, NULL, 3, 1, 1, self, 0 },
		{ "3 0 1", self, NULL, 3, 0, 1, self, 0 },
		{ "3 1 2", self, NULL, 3, 1, 2, self, 0 },
		{ "3 0 2", self, NULL, 3, 0, 2, self, 0 },
		{ "3 1 0", self, NULL, 3, 1, 0, self, 0 },
		{ "3 0 0", self, NULL, 3, 0, 0, self, 0 },
		{ "G1 another name, and expired", self_old, NULL, 3, 1, 1, self_old, 0 },
		{ "of a public authority", good, NULL, 3, 1, 1, good, 0 },
		{ "a weak key", weak, NULL, 3, 1, 1, weak, X509_V_ERR_EE_KEY_TOO_SMALL },
		{ "G11 no match", good, NULL, 3, 1, 1, self, NO_MATCH },
		{ "3 0 1 of another", self, NULL, 3, 0, 1, good, NO_MATCH },
		{ "3 1 0 of another", self, NULL, 3, 1, 0, good, NO_MATCH },
		{ "3 x x of the authority", by_own, own, 3, 1, 1, own, NO_MATCH },
		{ "2 0 1", by_own, own, 2, 0, 1, own, 0 },
		{ "2 1 1", by_own, own, 2, 1, 1, own, 0 },
		{ "2 0 2", by_own, own, 2, 0, 2, own, 0 },
		{ "2 1 2", by_own, own, 2, 1, 2, own, 0 },
		{ "2 0 0", by_own, own, 2, 0, 0, own, 0 },
		{ "2 0 0, authority not sent", by_own, NULL, 2, 0, 0, own, 0 },
		{ "2 1 0, authority not sent", by_own, NULL, 2, 1, 0, own, 0 },
		{ "2 0 1, authority not sent", by_own, NULL, 2, 0, 1, own, NO_MATCH },
		{ "2 x x of another", by_own, own, 2, 1, 1, root, NO_MATCH },
		{ "a public authority is none of theirs", good, root, 2, 1, 1, own, NO_MATCH },
		{ "2 x x, another name", by_own_other, own, 2, 1, 1, own,
		    X509_V_ERR_HOSTNAME_MISMATCH },
		{ "2 x x, the CN alone (RFC 7672 3.2.3)", by_own_cn, own, 2, 1, 1, own, 0 },
		{ "2 x x, wildcard", wild, own, 2, 1, 1, own, 0 },
		{ "2 x x, part of a label", partial, own, 2, 1, 1, own,
		    X509_V_ERR_HOSTNAME_MISMATCH },
		{ "2 x x, expired", by_own_old, own, 2, 1, 1, own, X509_V_ERR_CERT_HAS_EXPIRED },
		{ "2 x x, authority expired", by_expired, own_expired, 2, 1, 1, own_expired,
		    X509_V_ERR_CERT_HAS_EXPIRED },
		{ "no match and another name", by_own_other, own, 2, 1, 1, root, NO_MATCH },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tlsa tlsa = record(cases[i].usage, cases[i].selector, cases[i].matching,
		    cases[i].of);
		struct proof proof = proof_of(cases[i].shown, cases[i].sent, &tlsa, 1);

		if (proof.dane_ok != (cases[i].error == 0) || proof.dane_error != cases[i].error)
			fail_msg("%s: %d %d", cases[i].name, proof.dane_ok, proof.dane_error);
		if (proof.local_fault || proof.dane_ok != (proof.dane_match[0] != '\0'))
			fail_msg("%s: \"%s\"", cases[i].name, proof.dane_match);
	}
}

/* Two computations on one chain, neither of which knows of the other. */
static void
test_apart_from_the_public_authorities(void **state)
{
	struct tlsa of_good = record(3, 1, 1, good), of_self = record(3, 1, 1, self);
	struct proof proof;

	(void)state;
	proof = proof_of(good, NULL, &of_good, 1);
	assert_true(proof.dane_ok && proof.chain_ok && proof.name_ok);
	proof = proof_of(good, NULL, &of_self, 1);
	assert_true(!proof.dane_ok && proof.chain_ok && proof.name_ok);
	assert_int_equal(proof.x509_error, 0);
	proof = proof_of(self, NULL, &of_self, 1);
	assert_true(proof.dane_ok && !proof.chain_ok && proof.name_ok);
	proof = proof_of(good, NULL, NULL, 0);
	assert_true(!proof.dane_ok && proof.chain_ok);
	assert_int_equal(proof.dane_error, 0);
	assert_string_equal(proof.dane_match, "");
}

/* G9, G10. */
static void
test_any_record_will_do(void **state)
{
	struct tlsa records[] = { record(3, 1, 1, root), record(3, 0, 1, root),
		record(2, 1, 1, own) };
	struct proof proof = proof_of(by_own, own, records, 3);

	(void)state;
	assert_true(proof.dane_ok);
	assert_string_equal(proof.dane_match, "2 1 1");
}

/* What OpenSSL cannot use matches nothing; it is no reason to verify without. */
static void
test_records_that_openssl_refuses(void **state)
{
	static const uint8_t zeros[64];
	struct tlsa records[] = { { 3, 1, 0, zeros, 64 }, { 3, 1, 1, zeros, 7 },
		{ 2, 0, 0, zeros, 64 } };
	struct proof proof = proof_of(good, NULL, records, 3);

	(void)state;
	assert_false(proof.dane_ok);
	assert_int_equal(proof.dane_error, NO_MATCH);
}

/* Sessions go by what is wished now: records that were exchanged meanwhile, and another domain's
 * wish, are held against the old chain. */
static void
test_resumption(void **state)
{
	struct peer_tls tls = { .cert = self };
	struct peer *peer = peer_start(&tls, scripts);
	struct tlsa right = record(3, 1, 1, self), wrong = record(3, 1, 1, good);
	struct tls_wish wish = wish_for(&right, 1), plain = wish;
	struct proof proof;

	(void)state;
	wish.session_key = plain.session_key = "key";
	plain.tlsa_count = 0;
	plain.by_tlsa = false;
	assert_false(meet(peer, &wish).resumed);
	proof = meet(peer, &wish);
	assert_true(proof.resumed && proof.dane_ok && !proof.chain_ok);
	/* The public authorities do not vouch for it: no offer. */
	proof = meet(peer, &plain);
	assert_false(proof.resumed || proof.dane_ok || proof.chain_ok);
	assert_true(meet(peer, &wish).resumed);
	wish.tlsa = &wrong;
	proof = meet(peer, &wish);
	assert_false(proof.resumed || proof.dane_ok);
	assert_int_equal(proof.dane_error, NO_MATCH);
	peer_free(peer);
}

/* DANE-TA: any label under the wildcard, as for a public authority. */
static void
test_a_wildcard_stands_for_any_label(void **state)
{
	static const char *const hosts[] = { "mx_1.example.net", "a.mail_out.example.net" };
	static const char *const wildcards[] = { "*.example.net", "*.mail_out.example.net" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct cert *cert = leaf(own, wildcards[i], 0, 0);
		struct tlsa tlsa = record(2, 1, 1, own);
		struct tls_wish wish = wish_for(&tlsa, 1);
		struct peer_tls tls = { .cert = cert, .intermediate = own };
		struct peer *peer = peer_start(&tls, scripts);

		wish.tlsa_names = (const char **)(uintptr_t)&hosts[i];
		wish.tlsa_name_count = 1;
		assert_true(meet(peer, &wish).dane_ok);
		wish.tlsa_names = (const char **)(uintptr_t)&hosts[1 - i];
		assert_int_equal(meet(peer, &wish).dane_error, X509_V_ERR_HOSTNAME_MISMATCH);
		peer_free(peer);
		cert_free(cert);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches),
		cmocka_unit_test(test_apart_from_the_public_authorities),
		cmocka_unit_test(test_any_record_will_do),
		cmocka_unit_test(test_a_wildcard_stands_for_any_label),
		cmocka_unit_test(test_records_that_openssl_refuses),
		cmocka_unit_test(test_resumption),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
