/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "shim/smtp/tls_omit.h"
#include "tests/unit/tls_bench.h"

#define TLS_1_0	0x0301
#define TLS_1_1	0x0302
#define TLS_1_2	0x0303
#define TLS_1_3	0x0304

static bool
has_gone(void *asked)
{
	return ++*(int *)asked >= 2;
}

/* A host that says nothing, and a caller that does not wait for ever. */
static void
test_a_handshake_is_broken_off(void **state)
{
	struct peer *peer = peer_start(NULL, SCRIPT("Z"));
	struct stream *stream = bench_dial(peer);
	struct tls_wish wish = bench_wish(NULL, 0, true);
	int64_t before_ms = clock_monotonic_ms();
	int asked = 0;
	struct watch watch = { .ended = has_gone, .context = &asked };
	struct proof proof;

	(void)state;
	tls_client_start(bench.client, stream, &wish, deadline_in(PATIENCE_MS), &watch, &proof);
	assert_int_equal(proof.tls, PROOF_TIMEOUT);
	assert_int_equal(asked, 2);
	assert_true(clock_monotonic_ms() - before_ms < PATIENCE_MS);
	stream_free(stream);
	peer_free(peer);
}

static void
test_a_good_host(void **state)
{
	struct peer_tls tls = { .cert = bench.good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "C hello", "S there", "Z"));
	struct stream *stream = bench_dial(peer);
	const char *names[] = { "other.example.net", MX };
	struct tls_wish wish = bench_wish(names, 2, true);
	struct proof proof;
	char line[100];
	size_t length;

	(void)state;
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	assert_true(proof.chain_ok && proof.name_ok);
	assert_int_equal(proof.x509_error, 0);
	assert_int_equal(proof.x509_depth, 0);
	assert_false(proof.local_fault || proof.resumed);
	assert_int_equal(proof.version, TLS_1_3);
	assert_string_equal(proof.protocol, "TLSv1.3");
	assert_memory_equal(proof.cipher, "TLS_", 4);
	assert_string_equal(proof.failure, "");
	assert_int_equal(stream_printf(stream, deadline_in(PATIENCE_MS), "hello\r\n"), STREAM_OK);
	assert_int_equal(stream_flush(stream, deadline_in(PATIENCE_MS)), STREAM_OK);
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_OK);
	assert_string_equal(line, "there");
	stream_free(stream);
	assert_string_equal(peer_heard(peer), "1t hello\n");
	assert_string_equal(peer_sni(peer), MX);
	peer_free(peer);
}

static void
test_no_sni_for_a_literal(void **state)
{
	struct peer_tls tls = { .cert = bench.good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
	struct stream *stream = bench_dial(peer);
	struct tls_wish wish = { .sni = NULL };
	struct proof proof;

	(void)state;
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	assert_true(proof.chain_ok);
	assert_false(proof.name_ok);
	assert_int_equal(proof.x509_error, 62);
	stream_free(stream);
	peer_heard(peer);
	assert_string_equal(peer_sni(peer), "");
	peer_free(peer);
}

struct handshake_case {
	const char *step[3];
	const char *failure;
	enum proof_tls tls;
	int64_t ms;
};

static void
test_handshakes_that_fail(void **state)
{
	static const struct handshake_case cases[] = {
		{ { "H", "G 70" }, "tls-remote-alert-70", PROOF_HANDSHAKE_FAILED, PATIENCE_MS },
		{ { "H", "G 40" }, "tls-remote-alert-40", PROOF_HANDSHAKE_FAILED, PATIENCE_MS },
		{ { "H", "R" }, "connection-closed-during-handshake", PROOF_HANDSHAKE_FAILED,
		    PATIENCE_MS },
		{ { "H", "X" }, "connection-closed-during-handshake", PROOF_HANDSHAKE_FAILED,
		    PATIENCE_MS },
		{ { "H", "S this is not TLS", "Z" }, "tls-record-header-error",
		    PROOF_HANDSHAKE_FAILED, PATIENCE_MS },
		{ { "H", "S 220 2.0.0 what?", "Z" }, "tls-record-header-error",
		    PROOF_HANDSHAKE_FAILED, PATIENCE_MS },
		{ { "H", "Z" }, "io-timeout-during-handshake", PROOF_TIMEOUT, 200 },
		{ { "H", "N" }, "handshake-too-long", PROOF_HANDSHAKE_FAILED, PATIENCE_MS },
	};
	const char *name = MX;
	struct tls_wish wish;
	struct peer *peer;
	struct stream *stream;
	struct proof proof;
	int64_t began;
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		const struct handshake_case *c = &cases[i / 2];

		peer = peer_start(NULL, SCRIPT(c->step[0], c->step[1], c->step[2]));
		stream = bench_dial(peer);
		wish = bench_wish(&name, 1, i % 2 == 0);
		began = clock_monotonic_ms();
		bench_start(stream, &wish, c->ms, &proof);
		assert_string_equal(proof.failure, c->failure);
		assert_int_equal(proof.tls, c->tls);
		assert_false(proof.chain_ok || proof.name_ok || proof.local_fault);
		assert_in_range(clock_monotonic_ms() - began, 0, PATIENCE_MS - 1000);
		stream_free(stream);
		peer_free(peer);
	}
}

static struct proof
proof_with_version(int max_version, bool strict, enum conf_tls_version least)
{
	struct peer_tls tls = { .cert = bench.good, .max_version = max_version };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
	struct stream *stream = bench_dial(peer);
	const char *name = MX;
	struct tls_wish wish = bench_wish(&name, 1, strict);
	struct proof proof;

	wish.min_protocol = least;
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	stream_free(stream);
	peer_free(peer);
	return proof;
}

static void
test_versions(void **state)
{
	static const struct {
		int max_version;
		bool strict;
		enum conf_tls_version least;
		bool established;
	} cases[] = {
		{ TLS_1_0, false, TLS_VERSION_1_2, true },
		{ TLS_1_1, false, TLS_VERSION_1_2, true },
		{ TLS_1_2, false, TLS_VERSION_1_3, true },
		{ TLS_1_0, true, TLS_VERSION_1_2, false },
		{ TLS_1_1, true, TLS_VERSION_1_2, false },
		{ TLS_1_2, true, TLS_VERSION_1_2, true },
		{ TLS_1_2, true, TLS_VERSION_1_3, false },
		{ TLS_1_3, true, TLS_VERSION_1_3, true },
	};
	struct proof proof;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		proof = proof_with_version(cases[i].max_version, cases[i].strict, cases[i].least);
		if (cases[i].established) {
			assert_int_equal(proof.tls, PROOF_ESTABLISHED);
			assert_int_equal(proof.version, cases[i].max_version);
			assert_true(proof.chain_ok && proof.name_ok);
		} else {
			assert_int_equal(proof.tls, PROOF_HANDSHAKE_FAILED);
			assert_string_equal(proof.failure, "tls-remote-alert-70");
		}
	}
}

/* Security level 2 where TLS is demanded; weak rather than plaintext where it is not. */
static void
test_weak_parameters(void **state)
{
	struct peer_tls tls = {
		.cert = bench.good, .max_version = TLS_1_2, .sigalgs = "ECDSA+SHA1"
	};
	const char *name = MX;
	struct tls_wish wish;
	struct peer *peer;
	struct stream *stream;
	struct proof proof;
	int strict;

	(void)state;
	for (strict = 0; strict < 2; strict++) {
		wish = bench_wish(&name, 1, strict);
		peer = peer_start(&tls, SCRIPT("T", "Z"));
		stream = bench_dial(peer);
		bench_start(stream, &wish, PATIENCE_MS, &proof);
		stream_free(stream);
		peer_free(peer);
		assert_int_equal(proof.tls, strict ? PROOF_HANDSHAKE_FAILED : PROOF_ESTABLISHED);
	}
}

static void
test_plaintext_after_starttls(void **state)
{
	struct peer_tls tls = { .cert = bench.good };
	struct peer *peer = peer_start(&tls, SCRIPT("B 220 go\r\n250 evil.example\r\n", "Z"));
	struct stream *stream = bench_dial(peer);
	const char *name = MX;
	struct tls_wish wish = bench_wish(&name, 1, true);
	struct proof proof;
	char line[100];
	size_t length;

	(void)state;
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_OK);
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(proof.tls, PROOF_HANDSHAKE_FAILED);
	assert_string_equal(proof.failure, "plaintext-after-starttls");
	stream_free(stream);
	assert_string_equal(peer_heard(peer), "");
	peer_free(peer);
}

/* They are no answer, and keep OpenSSL busy without a wait in which a watch is asked. */
static void
test_tickets_without_end(void **state)
{
	struct peer_tls tls = { .cert = bench.good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "S there", "E"));
	struct stream *stream = bench_dial(peer);
	struct tls_wish wish = bench_wish(NULL, 0, true);
	struct proof proof;
	char line[100];
	size_t length;

	(void)state;
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_OK);
	assert_string_equal(line, "there");
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_LOST);
	stream_free(stream);
	peer_free(peer);
}

static struct proof
first_read(const struct peer_tls *tls, const char *second, const char *third, int64_t ms,
    enum stream_status *status)
{
	struct peer *peer = peer_start(tls, SCRIPT("T", second, third));
	struct stream *stream = bench_dial(peer);
	const char *name = MX;
	struct tls_wish wish = bench_wish(&name, 1, true);
	struct proof proof;
	char line[100];
	size_t length;

	bench_start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	(void)stream_printf(stream, deadline_in(PATIENCE_MS), "EHLO x\r\n");
	(void)stream_flush(stream, deadline_in(PATIENCE_MS));
	do
		*status = stream_read_line(stream, line, sizeof(line), &length, deadline_in(ms));
	while (*status == STREAM_OK);
	stream_free(stream);
	peer_free(peer);
	return proof;
}

/* A TLS 1.3 client is done before the server has looked at its last flight: TLS-RPT case 60. */
static void
test_late_refusals(void **state)
{
	struct peer_tls plain = { .cert = bench.good };
	struct peer_tls picky = { .cert = bench.good, .wants_client_cert = true };
	enum stream_status status;
	struct proof proof;

	(void)state;
	proof = first_read(&picky, NULL, NULL, PATIENCE_MS, &status);
	assert_int_equal(proof.tls, PROOF_HANDSHAKE_FAILED);
	assert_string_equal(proof.failure, "tls-remote-alert-116");

	proof = first_read(&plain, "C EHLO", "R", PATIENCE_MS, &status);
	assert_int_equal(proof.tls, PROOF_HANDSHAKE_FAILED);
	assert_string_equal(proof.failure, "connection-closed-during-handshake");

	proof = first_read(&plain, "C EHLO", "Z", 100, &status);
	assert_int_equal(status, STREAM_TIMEOUT);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);

	proof = first_read(&plain, "C EHLO", "S 250 ok", PATIENCE_MS, &status);
	assert_int_not_equal(status, STREAM_TIMEOUT);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
}

/* Without a handler, SIGPIPE would end the test. */
static void
test_writing_to_one_who_left(void **state)
{
	struct peer_tls tls = { .cert = bench.good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "S 250 ok", "R"));
	struct stream *stream = bench_dial(peer);
	enum stream_status status = STREAM_OK;
	const char *name = MX;
	struct tls_wish wish = bench_wish(&name, 1, true);
	struct proof proof;
	char octets[8192] = "";
	size_t got;
	int i;

	(void)state;
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	/* The first to fail gets the reset, the next one would get the signal. */
	while (stream_read(stream, octets, sizeof(octets), &got, deadline_in(PATIENCE_MS)) ==
	    STREAM_OK)
		continue;
	for (i = 0; i < 1000 && status == STREAM_OK; i++)
		status = stream_write(stream, octets, sizeof(octets), deadline_in(PATIENCE_MS), 0);
	assert_int_equal(status, STREAM_LOST);
	assert_int_not_equal(stream_error(stream), 0);
	stream_free(stream);
	peer_free(peer);
}

static void
test_much_content_under_a_deadline(void **state)
{
	struct peer_tls tls = { .cert = bench.good };
	struct peer *taker = peer_start(&tls, SCRIPT("T", "K 4000000", "S 250 ok", "Z"));
	struct peer *sloth = peer_start(&tls, SCRIPT("T", "O"));
	struct stream *stream = bench_dial(taker);
	enum stream_status status = STREAM_OK;
	const char *name = MX;
	struct tls_wish wish = bench_wish(&name, 1, true);
	struct proof proof;
	char octets[8000] = "", line[100];
	size_t length;
	int i;

	(void)state;
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	for (i = 0; i < 500; i++)
		assert_int_equal(stream_write(stream, octets, sizeof(octets),
				     deadline_in(PATIENCE_MS), PATIENCE_MS),
		    STREAM_OK);
	assert_int_equal(stream_flush(stream, deadline_in(PATIENCE_MS)), STREAM_OK);
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_OK);
	assert_string_equal(line, "250 ok");
	stream_free(stream);
	peer_free(taker);

	stream = bench_dial(sloth);
	bench_start(stream, &wish, PATIENCE_MS, &proof);
	for (i = 0; i < 10000 && status == STREAM_OK; i++)
		status = stream_write(stream, octets, sizeof(octets), deadline_in(PATIENCE_MS),
		    200);
	assert_int_equal(status, STREAM_TIMEOUT);
	stream_free(stream);
	peer_free(sloth);
}

/* The computation that a host can cause with its choice of a group. */
static const struct dh_case {
	const char *group;
	unsigned omit;
	bool strict, fails;
	const char *cipher;
} dh_cases[] = {
	{ "ffdhe2048", 0, true, false, "DHE-RSA-" },
	{ "ffdhe4096", 0, true, false, "DHE-RSA-" },
	{ "ffdhe4096", 0, false, false, "DHE-RSA-" },
	{ "ffdhe6144", 0, false, true, NULL },
	{ "ffdhe8192", 0, true, true, NULL },
	{ "ffdhe8192", TLS_OMIT_DHE, true, false, "ECDHE-RSA-" },
	{ "ffdhe8192", TLS_OMIT_DHE, false, false, "ECDHE-RSA-" },
};

static void
test_groups_that_are_too_large(void **state)
{
	struct cert *cert = cert_make(&(struct cert_wish){
	    .issuer = bench.root, .names = { MX }, .rsa_bits = 2048 });
	const char *names[] = { MX };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(dh_cases) / sizeof(dh_cases[0]); i++) {
		const struct dh_case *one = &dh_cases[i];
		struct peer_tls tls = {
			.cert = cert, .max_version = TLS_1_2, .dh_group = one->group
		};
		struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
		struct stream *stream = bench_dial(peer);
		struct tls_wish wish = bench_wish(names, 1, one->strict);
		struct proof proof;

		wish.omit = one->omit;
		bench_start(stream, &wish, PATIENCE_MS, &proof);
		assert_int_equal(proof.tls,
		    one->fails ? PROOF_HANDSHAKE_FAILED : PROOF_ESTABLISHED);
		assert_int_equal(proof.dh_too_large, one->fails);
		if (one->fails)
			assert_string_equal(proof.failure, "dh-key-too-large");
		else
			assert_memory_equal(proof.cipher, one->cipher, strlen(one->cipher));
		stream_free(stream);
		peer_free(peer);
	}
	cert_free(cert);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_handshake_is_broken_off),
		cmocka_unit_test(test_a_good_host),
		cmocka_unit_test(test_no_sni_for_a_literal),
		cmocka_unit_test(test_handshakes_that_fail),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_weak_parameters),
		cmocka_unit_test(test_plaintext_after_starttls),
		cmocka_unit_test(test_tickets_without_end),
		cmocka_unit_test(test_late_refusals),
		cmocka_unit_test(test_writing_to_one_who_left),
		cmocka_unit_test(test_much_content_under_a_deadline),
		cmocka_unit_test(test_groups_that_are_too_large),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
