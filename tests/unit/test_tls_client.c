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
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/x509.h"
#include "shim/dial.h"
#include "shim/tls_client.h"
#include "tests/unit/mx_certs.h"
#include "tests/unit/peer.h"

#define MX	"mx.example.net"
#define TLS_1_0	0x0301
#define TLS_1_1	0x0302
#define TLS_1_2	0x0303
#define TLS_1_3	0x0304
#define PATIENCE_MS	25000

#define SCRIPT(...)	(const char *const *const[]){ \
	(const char *const[]){ __VA_ARGS__, NULL }, NULL }

static struct cert *root, *stranger, *intermediate, *expired_intermediate, *good;
static struct tls_client *client;
static char ca_file[64];

static struct cert *
leaf(struct cert_wish wish)
{
	if (wish.issuer == NULL)
		wish.issuer = root;
	if (wish.names[0] == NULL)
		wish.names[0] = MX;
	return cert_make(&wish);
}

static int
setup(void **state)
{
	char why[200];

	(void)state;
	root = cert_make(&(struct cert_wish){ .cn = "Root", .ca = true });
	stranger = cert_make(&(struct cert_wish){ .cn = "Stranger", .ca = true });
	intermediate = cert_make(&(struct cert_wish){ .cn = "Between", .ca = true, .issuer = root });
	expired_intermediate = cert_make(&(struct cert_wish){ .cn = "Past", .ca = true,
	    .issuer = root, .from_days = -20, .to_days = -10 });
	good = leaf((struct cert_wish){ 0 });
	snprintf(ca_file, sizeof(ca_file), "/tmp/stsgate-test-ca-%ld.pem", (long)getpid());
	cert_write(root, ca_file);
	client = tls_client_new(ca_file, why, sizeof(why));
	return client != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	tls_client_free(client);
	unlink(ca_file);
	cert_free(root);
	cert_free(stranger);
	cert_free(intermediate);
	cert_free(expired_intermediate);
	cert_free(good);
	return 0;
}

static struct stream *
dialled(const struct peer *peer)
{
	struct ip ip = peer_ip();
	int fd = dial_connect(&ip, peer_port(peer), NULL, deadline_in(PATIENCE_MS), -1);

	assert_true(fd >= 0);
	return stream_new_fd(fd);
}

static void
start(struct stream *stream, const struct tls_wish *wish, int64_t ms, struct proof *proof)
{
	memset(proof, 0xff, sizeof(*proof));
	tls_client_start(client, stream, wish, deadline_in(ms), -1, proof);
}

static struct tls_wish
wish_for(const char **names, size_t count, bool strict)
{
	return (struct tls_wish){ .sni = MX, .names = names, .name_count = count,
		.strict = strict, .min_protocol = TLS_VERSION_1_2 };
}

/* One handshake with a host that has this certificate, asked for as name. */
static struct proof
proof_of(const struct cert *cert, const struct cert *between, const char *name)
{
	struct peer_tls tls = { .cert = cert, .intermediate = between };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
	struct stream *stream = dialled(peer);
	struct tls_wish wish = wish_for(&name, name != NULL ? 1 : 0, true);
	struct proof proof;

	start(stream, &wish, PATIENCE_MS, &proof);
	stream_free(stream);
	peer_free(peer);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	return proof;
}

/* A host that says nothing: whoever waits can be called away. */
static void
test_a_handshake_is_woken(void **state)
{
	struct peer *peer = peer_start(NULL, SCRIPT("Z"));
	struct stream *stream = dialled(peer);
	struct tls_wish wish = wish_for(NULL, 0, true);
	int wake_fd = eventfd(1, EFD_CLOEXEC);
	int64_t before_ms = clock_monotonic_ms();
	struct proof proof;

	(void)state;
	tls_client_start(client, stream, &wish, deadline_in(PATIENCE_MS), wake_fd, &proof);
	assert_int_equal(proof.tls, PROOF_TIMEOUT);
	assert_true(clock_monotonic_ms() - before_ms < PATIENCE_MS);
	close(wake_fd);
	stream_free(stream);
	peer_free(peer);
}

static void
test_a_good_host(void **state)
{
	struct peer_tls tls = { .cert = good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "C hello", "S there", "Z"));
	struct stream *stream = dialled(peer);
	const char *names[] = { "other.example.net", MX };
	struct tls_wish wish = wish_for(names, 2, true);
	struct proof proof;
	char line[100];
	size_t length;

	(void)state;
	start(stream, &wish, PATIENCE_MS, &proof);
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
	    deadline_in(PATIENCE_MS)), STREAM_OK);
	assert_string_equal(line, "there");
	stream_free(stream);
	assert_string_equal(peer_heard(peer), "1t hello\n");
	assert_string_equal(peer_sni(peer), MX);
	peer_free(peer);
}

static void
test_no_sni_for_a_literal(void **state)
{
	struct peer_tls tls = { .cert = good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
	struct stream *stream = dialled(peer);
	struct tls_wish wish = { .sni = NULL };
	struct proof proof;

	(void)state;
	start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	assert_true(proof.chain_ok);
	assert_false(proof.name_ok);
	assert_int_equal(proof.x509_error, 62);
	stream_free(stream);
	peer_heard(peer);
	assert_string_equal(peer_sni(peer), "");
	peer_free(peer);
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
	proof = proof_of(cert, row->with_intermediate ? issuer : NULL, MX);
	cert_free(cert);
	if (strcmp(x509_error_name(proof.x509_error), row->error) != 0 ||
	    proof.x509_depth != row->depth || proof.name_ok != row->name_ok)
		print_error("%s: %s at %d, name %d\n", row->what, x509_error_name(proof.x509_error),
		    proof.x509_depth, proof.name_ok);
	assert_string_equal(x509_error_name(proof.x509_error), row->error);
	assert_int_equal(proof.x509_depth, row->depth);
	assert_int_equal(proof.name_ok, row->name_ok);
	assert_int_equal(proof.chain_ok, strcmp(row->error, "X509_V_OK") == 0 ||
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
		{ "for clients", { .usage = "clientAuth" }, false,
		    "X509_V_ERR_INVALID_PURPOSE", 0, true },
		{ "weak key", { .rsa_bits = 1024 }, false, "X509_V_ERR_EE_KEY_TOO_SMALL", 0, true },
		{ "SHA-1", { .sha1 = true }, false, "X509_V_ERR_CA_MD_TOO_WEAK", 0, true },
		{ "RSA", { .rsa_bits = 2048 }, false, "X509_V_OK", 0, true },
		{ "wrong name", { .names = { "mx.example.org" } }, false,
		    "X509_V_ERR_HOSTNAME_MISMATCH", 0, false },
		{ "35: expired, wrong name", { .names = { "mx.example.org" }, .from_days = -20,
		    .to_days = -10 }, false, "X509_V_ERR_CERT_HAS_EXPIRED", 0, false },
	};
	static const struct bad_chain of_stranger = { "rogue", { 0 }, true,
		"X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN", 1, true };
	static const struct bad_chain of_intermediate[] = {
		{ "sent", { 0 }, true, "X509_V_OK", 0, true },
		{ "not sent", { 0 }, false, "X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", 0, true },
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
		check_chain(&of_root[i], root);
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
		{ NULL, "*.net", "example.net", false },
		{ NULL, "*", "mx", false },
		{ NULL, "example.net", "mx.example.net", false },
		{ NULL, "mx.example.net.evil.example", "mx.example.net", false },
		/* One label wild in what is asked for. */
		{ NULL, "a.match.example", "*.match.example", true },
		{ NULL, "A.Match.Example", "*.match.example", true },
		{ NULL, "*.match.example", "*.match.example", true },
		{ NULL, "a.b.match.example", "*.match.example", false },
		{ NULL, "match.example", "*.match.example", false },
		{ NULL, "amatch.example", "*.match.example", false },
		{ NULL, "a.match.example.org", "*.match.example", false },
		{ "a.match.example", NULL, "*.match.example", false },
		/* What no configuration should hold matches nothing. */
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
		wish = (struct cert_wish){ .issuer = root, .cn = cases[i].cn,
			.names = { cases[i].san } };
		cert = cert_make(&wish);
		proof = proof_of(cert, NULL, cases[i].asked);
		cert_free(cert);
		if (proof.name_ok != cases[i].ok)
			print_error("%s asked as %s\n", cases[i].san, cases[i].asked);
		assert_int_equal(proof.name_ok, cases[i].ok);
		assert_true(proof.chain_ok);
		assert_int_equal(proof.x509_error, cases[i].ok ? 0 : 62);
	}
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
		stream = dialled(peer);
		wish = wish_for(&name, 1, i % 2 == 0);
		began = clock_monotonic_ms();
		start(stream, &wish, c->ms, &proof);
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
	struct peer_tls tls = { .cert = good, .max_version = max_version };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
	struct stream *stream = dialled(peer);
	const char *name = MX;
	struct tls_wish wish = wish_for(&name, 1, strict);
	struct proof proof;

	wish.min_protocol = least;
	start(stream, &wish, PATIENCE_MS, &proof);
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
	struct peer_tls tls = { .cert = good, .max_version = TLS_1_2, .sigalgs = "ECDSA+SHA1" };
	const char *name = MX;
	struct tls_wish wish;
	struct peer *peer;
	struct stream *stream;
	struct proof proof;
	int strict;

	(void)state;
	for (strict = 0; strict < 2; strict++) {
		wish = wish_for(&name, 1, strict);
		peer = peer_start(&tls, SCRIPT("T", "Z"));
		stream = dialled(peer);
		start(stream, &wish, PATIENCE_MS, &proof);
		stream_free(stream);
		peer_free(peer);
		assert_int_equal(proof.tls, strict ? PROOF_HANDSHAKE_FAILED : PROOF_ESTABLISHED);
	}
}

static void
test_plaintext_after_starttls(void **state)
{
	struct peer_tls tls = { .cert = good };
	struct peer *peer = peer_start(&tls, SCRIPT("B 220 go\r\n250 evil.example\r\n", "Z"));
	struct stream *stream = dialled(peer);
	const char *name = MX;
	struct tls_wish wish = wish_for(&name, 1, true);
	struct proof proof;
	char line[100];
	size_t length;

	(void)state;
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
	    deadline_in(PATIENCE_MS)), STREAM_OK);
	start(stream, &wish, PATIENCE_MS, &proof);
	assert_int_equal(proof.tls, PROOF_HANDSHAKE_FAILED);
	assert_string_equal(proof.failure, "plaintext-after-starttls");
	stream_free(stream);
	assert_string_equal(peer_heard(peer), "");
	peer_free(peer);
}

static struct proof
first_read(const struct peer_tls *tls, const char *second, const char *third, int64_t ms,
    enum stream_status *status)
{
	struct peer *peer = peer_start(tls, SCRIPT("T", second, third));
	struct stream *stream = dialled(peer);
	const char *name = MX;
	struct tls_wish wish = wish_for(&name, 1, true);
	struct proof proof;
	char line[100];
	size_t length;

	start(stream, &wish, PATIENCE_MS, &proof);
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
	struct peer_tls plain = { .cert = good };
	struct peer_tls picky = { .cert = good, .wants_client_cert = true };
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
	struct peer_tls tls = { .cert = good };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "S 250 ok", "R"));
	struct stream *stream = dialled(peer);
	enum stream_status status = STREAM_OK;
	const char *name = MX;
	struct tls_wish wish = wish_for(&name, 1, true);
	struct proof proof;
	char octets[8192] = "";
	size_t got;
	int i;

	(void)state;
	start(stream, &wish, PATIENCE_MS, &proof);
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
	struct peer_tls tls = { .cert = good };
	struct peer *taker = peer_start(&tls, SCRIPT("T", "K 4000000", "S 250 ok", "Z"));
	struct peer *sloth = peer_start(&tls, SCRIPT("T", "P 1500"));
	struct stream *stream = dialled(taker);
	enum stream_status status = STREAM_OK;
	const char *name = MX;
	struct tls_wish wish = wish_for(&name, 1, true);
	struct proof proof;
	char octets[8000] = "", line[100];
	size_t length;
	int i;

	(void)state;
	start(stream, &wish, PATIENCE_MS, &proof);
	for (i = 0; i < 500; i++)
		assert_int_equal(stream_write(stream, octets, sizeof(octets),
		    deadline_in(PATIENCE_MS), PATIENCE_MS), STREAM_OK);
	assert_int_equal(stream_flush(stream, deadline_in(PATIENCE_MS)), STREAM_OK);
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
	    deadline_in(PATIENCE_MS)), STREAM_OK);
	assert_string_equal(line, "250 ok");
	stream_free(stream);
	peer_free(taker);

	stream = dialled(sloth);
	start(stream, &wish, PATIENCE_MS, &proof);
	for (i = 0; i < 10000 && status == STREAM_OK; i++)
		status = stream_write(stream, octets, sizeof(octets), deadline_in(PATIENCE_MS), 200);
	assert_int_equal(status, STREAM_TIMEOUT);
	stream_free(stream);
	peer_free(sloth);
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
		proof = proof_of(cert, NULL, MX);
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
		assert_int_equal(pthread_create(&threads[i], NULL, shake_hands, good), 0);
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_handshake_is_woken),
		cmocka_unit_test(test_a_good_host),
		cmocka_unit_test(test_no_sni_for_a_literal),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_handshakes_that_fail),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_weak_parameters),
		cmocka_unit_test(test_plaintext_after_starttls),
		cmocka_unit_test(test_late_refusals),
		cmocka_unit_test(test_writing_to_one_who_left),
		cmocka_unit_test(test_much_content_under_a_deadline),
		cmocka_unit_test(test_ca_files_that_cannot_be_used),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
