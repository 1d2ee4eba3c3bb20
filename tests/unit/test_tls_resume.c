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
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "shim/smtp/dial.h"
#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_omit.h"
#include "shim/smtp/tls_sessions.h"
#include "tests/unit/mx_certs.h"
#include "tests/unit/peer.h"

#define MX	"mx.example.net"
#define TLS_1_2	0x0303
#define TLS_1_3	0x0304
#define PATIENCE_MS	8000
#define HOUR_MS	(60 * 60 * 1000)

static const char *const talk[] = { "T", "S hello", "C bye", NULL };
static const char *const *const scripts[] = { talk, NULL };
static struct cert *root, *stranger, *good, *ending, *foreign;
static struct tls_client *client, *suspicious;
static char ca_file[64], other_file[64];
static atomic_long clock_offset_s;

/* In place of the C library's, for OpenSSL too: the tests move today. */
time_t
time(time_t *at)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += clock_offset_s;
	if (at != NULL)
		*at = now.tv_sec;
	return now.tv_sec;
}

static int
setup(void **state)
{
	char why[200];

	(void)state;
	root = cert_make(&(struct cert_wish){ .cn = "Root", .ca = true });
	stranger = cert_make(&(struct cert_wish){ .cn = "Stranger", .ca = true });
	good = cert_make(&(struct cert_wish){ .issuer = root, .names = { MX, "mx2.example.net" } });
	ending = cert_make(&(struct cert_wish){
	    .issuer = root, .names = { MX }, .from_days = -1, .to_days = 0 });
	foreign = cert_make(&(struct cert_wish){ .issuer = stranger, .names = { MX } });
	snprintf(ca_file, sizeof(ca_file), "/tmp/stsgate-test-resume-%ld.pem", (long)getpid());
	snprintf(other_file, sizeof(other_file), "/tmp/stsgate-test-other-%ld.pem", (long)getpid());
	cert_write(root, ca_file);
	cert_write(stranger, other_file);
	client = tls_client_new(ca_file, why, sizeof(why));
	suspicious = tls_client_new(other_file, why, sizeof(why));
	return client != NULL && suspicious != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	tls_client_free(client);
	tls_client_free(suspicious);
	unlink(ca_file);
	unlink(other_file);
	cert_free(root);
	cert_free(stranger);
	cert_free(good);
	cert_free(ending);
	cert_free(foreign);
	return 0;
}

static struct peer *
host(const struct cert *cert, int max_version)
{
	struct peer_tls tls = { .cert = cert, .max_version = max_version };

	return peer_start(&tls, scripts);
}

static struct stream *
dial_and_start(const struct peer *peer, const char *name, const char *key, unsigned omit,
    struct proof *proof)
{
	struct ip ip = peer_ip();
	int fd = dial_connect(&ip, peer_port(peer), NULL, deadline_in(PATIENCE_MS), NULL);
	struct tls_wish wish = { .sni = MX,
		.names = &name,
		.name_count = 1,
		.strict = true,
		.min_protocol = TLS_VERSION_1_2,
		.session_key = key,
		.omit = omit };
	struct stream *stream;

	assert_true(fd >= 0);
	stream = stream_new_fd(fd);
	memset(proof, 0xff, sizeof(*proof));
	tls_client_start(client, stream, &wish, deadline_in(PATIENCE_MS), NULL, proof);
	return stream;
}

/* One connection to the host, in the course of which its sessions come in. */
static struct proof
meet_without(const struct peer *peer, const char *name, const char *key, unsigned omit)
{
	struct proof proof;
	struct stream *stream = dial_and_start(peer, name, key, omit, &proof);
	char line[100];
	size_t length;

	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	assert_int_equal(stream_read_line(stream, line, sizeof(line), &length,
			     deadline_in(PATIENCE_MS)),
	    STREAM_OK);
	assert_int_equal(stream_printf(stream, deadline_in(PATIENCE_MS), "bye\r\n"), STREAM_OK);
	assert_int_equal(stream_flush(stream, deadline_in(PATIENCE_MS)), STREAM_OK);
	stream_free(stream);
	return proof;
}

static struct proof
meet(const struct peer *peer, const char *name, const char *key)
{
	return meet_without(peer, name, key, 0);
}

static void
assert_proof(const struct proof *proof, bool resumed, bool chain_ok, bool name_ok)
{
	assert_int_equal(proof->resumed, resumed);
	assert_int_equal(proof->chain_ok, chain_ok);
	assert_int_equal(proof->name_ok, name_ok);
	assert_int_equal(proof->x509_error == 0, chain_ok && name_ok);
	assert_false(proof->local_fault);
}

static void
resumes_with(int version, const char *key)
{
	struct peer *peer = host(good, version);
	struct proof proof = meet(peer, MX, key);
	int i;

	assert_proof(&proof, false, true, true);
	for (i = 0; i < 4; i++) {
		proof = meet(peer, MX, key);
		assert_proof(&proof, true, true, true);
		assert_int_equal(proof.version, version);
	}
	proof = meet(peer, MX, "another key");
	assert_proof(&proof, false, true, true);
	proof = meet(peer, MX, NULL);
	assert_proof(&proof, false, true, true);
	peer_free(peer);
}

static void
test_resumed_and_proven(void **state)
{
	(void)state;
	resumes_with(TLS_1_2, "1.2");
	resumes_with(TLS_1_3, "1.3");
}

/* The names are those of today's wish, not of the handshake that the session comes from. */
static void
test_another_name(void **state)
{
	struct peer *peer = host(good, 0);
	struct proof proof = meet(peer, MX, "names");

	(void)state;
	assert_proof(&proof, false, true, true);
	proof = meet(peer, "mx2.example.net", "names");
	assert_proof(&proof, true, true, true);
	proof = meet(peer, "elsewhere.example.net", "names");
	assert_proof(&proof, false, true, false);
	peer_free(peer);
}

static void
test_a_certificate_that_ended_meanwhile(void **state)
{
	struct peer *peer;
	struct proof proof;

	(void)state;
	clock_offset_s = -600;
	peer = host(ending, 0);
	proof = meet(peer, MX, "ending");
	assert_proof(&proof, false, true, true);
	proof = meet(peer, MX, "ending");
	assert_proof(&proof, true, true, true);
	clock_offset_s = 60;
	proof = meet(peer, MX, "ending");
	assert_proof(&proof, false, false, true);
	clock_offset_s = 0;
	peer_free(peer);
}

/* A host that was renewed shows its new certificate, and one that was replaced is found out. */
static void
test_another_host_behind_the_key(void **state)
{
	struct peer *first = host(good, 0), *second = host(good, 0), *third = host(foreign, 0);
	struct proof proof = meet(first, MX, "moved");

	(void)state;
	assert_proof(&proof, false, true, true);
	proof = meet(second, MX, "moved");
	assert_proof(&proof, false, true, true);
	proof = meet(third, MX, "moved");
	assert_proof(&proof, false, false, true);
	peer_free(first);
	peer_free(second);
	peer_free(third);
}

/* A kept connection is measured by today's names, trust store and time. */
static void
test_measured_again(void **state)
{
	struct peer *peer = host(good, 0);
	struct ip ip = peer_ip();
	const char *name = MX, *other = "elsewhere.example.net";
	struct tls_wish wish = { .sni = MX,
		.names = &name,
		.name_count = 1,
		.strict = true,
		.min_protocol = TLS_VERSION_1_2 };
	struct stream *stream = stream_new_fd(dial_connect(&ip, peer_port(peer), NULL,
	    deadline_in(PATIENCE_MS), NULL));
	struct proof proof;

	(void)state;
	tls_client_start(client, stream, &wish, deadline_in(PATIENCE_MS), NULL, &proof);
	assert_proof(&proof, false, true, true);
	tls_client_measure(suspicious, stream, &wish, &proof);
	assert_proof(&proof, false, false, true);
	clock_offset_s = 100 * 24 * 3600L;
	tls_client_measure(client, stream, &wish, &proof);
	assert_proof(&proof, false, false, true);
	clock_offset_s = 0;
	wish.names = &other;
	tls_client_measure(client, stream, &wish, &proof);
	assert_proof(&proof, false, true, false);
	wish.names = &name;
	tls_client_measure(client, stream, &wish, &proof);
	assert_proof(&proof, false, true, true);
	assert_int_equal(proof.version, TLS_1_3);
	stream_free(stream);
	peer_free(peer);
}

/* A host, or what stands before it, that closes or sends an alert at a session to be resumed. */
static void
rejects_with(int version, const char *const *rejection, int alert)
{
	const char *const *const rejecting[] = { talk, rejection, talk, NULL };
	struct peer_tls tls = { .cert = good, .max_version = version };
	struct peer *peer = peer_start(&tls, rejecting);
	struct proof proof = meet(peer, MX, "rejected");
	int i;

	assert_false(proof.offered);
	stream_free(dial_and_start(peer, MX, "rejected", 0, &proof));
	assert_int_equal(proof.tls, PROOF_HANDSHAKE_FAILED);
	assert_true(proof.offered);
	assert_int_equal(proof.alert, alert);
	assert_false(proof.chain_ok || proof.name_ok);
	proof = meet_without(peer, MX, "rejected", TLS_OMIT_SESSION);
	assert_false(proof.offered);
	/* And it is not tried again and again. */
	for (i = 0; i < 2; i++) {
		proof = meet(peer, MX, "rejected");
		assert_proof(&proof, false, true, true);
		assert_false(proof.offered);
	}
	peer_free(peer);
	tls_client_free(client);
	client = tls_client_new(ca_file, (char[200]){ 0 }, 200);
	assert_non_null(client);
}

static void
test_a_host_that_rejects_sessions(void **state)
{
	static const char *const closes[] = { "H", "X", NULL },
				 *const resets[] = { "H", "R", NULL };
	static const char *const alerts[] = { "H", "G 40", NULL };
	int version;

	(void)state;
	for (version = TLS_1_2; version <= TLS_1_3; version++) {
		rejects_with(version, closes, 0);
		rejects_with(version, resets, 0);
		rejects_with(version, alerts, 40);
	}
}

/* A session that is offered and not accepted costs nothing. */
static void
test_a_session_that_the_host_has_forgotten(void **state)
{
	struct peer *first = host(good, 0), *second = host(good, 0);
	struct proof proof = meet(first, MX, "forgotten");

	(void)state;
	proof = meet(second, MX, "forgotten");
	assert_true(proof.offered && !proof.resumed);
	proof = meet(second, MX, "forgotten");
	assert_true(proof.offered && proof.resumed);
	peer_free(first);
	peer_free(second);
}

static int released;

static void
release(void *session)
{
	(void)session;
	released++;
}

static void
test_the_pool(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(release);
	int values[LIMIT_TLS_SESSIONS + 1];
	int64_t shaken;
	char key[32];
	int i;

	(void)state;
	assert_null(tls_sessions_take(sessions, "a", 0, &shaken));
	tls_sessions_put(sessions, "a", &values[0], 1000, 5);
	tls_sessions_put(sessions, "a", &values[1], 1000, 7);
	tls_sessions_put(sessions, "b", &values[2], 1000, 8);
	assert_ptr_equal(tls_sessions_take(sessions, "a", HOUR_MS, &shaken), &values[1]);
	assert_int_equal(shaken, 7);
	assert_null(tls_sessions_take(sessions, "a", HOUR_MS + 5, &shaken));
	assert_int_equal(released, 1);
	tls_sessions_forget(sessions, "b");
	assert_int_equal(released, 2);
	for (i = 0; i < LIMIT_TLS_SESSIONS_PER_KEY + 3; i++)
		tls_sessions_put(sessions, "a", &values[i], 1000, 0);
	assert_int_equal(released, 5);
	for (i = 0; i < LIMIT_TLS_SESSIONS + 1; i++) {
		snprintf(key, sizeof(key), "key %d", i);
		tls_sessions_put(sessions, key, &values[i], 1000, 0);
	}
	assert_int_equal(released, 5 + LIMIT_TLS_SESSIONS_PER_KEY + 1);
	assert_null(tls_sessions_take(sessions, "key 0", 0, &shaken));
	assert_ptr_equal(tls_sessions_take(sessions, "key 1", 0, &shaken), &values[1]);
	tls_sessions_free(sessions);
	assert_int_equal(released, 5 + LIMIT_TLS_SESSIONS_PER_KEY + LIMIT_TLS_SESSIONS);
}

/* Few large ones are as much as many small ones. */
static void
test_the_pool_is_bounded_in_octets(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(release);
	const size_t large = LIMIT_TLS_SESSION_OCTETS / 4;
	int values[8];
	int64_t shaken;
	char key[8];
	int i;

	(void)state;
	released = 0;
	for (i = 0; i < 8; i++) {
		snprintf(key, sizeof(key), "%d", i);
		tls_sessions_put(sessions, key, &values[i], large, 0);
	}
	assert_int_equal(released, 5);	/* three, since the keys count as well */
	assert_null(tls_sessions_take(sessions, "4", 0, &shaken));
	assert_ptr_equal(tls_sessions_take(sessions, "5", 0, &shaken), &values[5]);
	/* What was taken makes room. */
	tls_sessions_put(sessions, "8", &values[0], large, 0);
	assert_int_equal(released, 5);
	tls_sessions_put(sessions, "9", &values[1], LIMIT_TLS_SESSION_OCTETS, 0);
	assert_null(tls_sessions_take(sessions, "9", 0, &shaken));
	assert_int_equal(released, 9);
	tls_sessions_free(sessions);
}

static void
test_a_key_that_is_shunned(void **state)
{
	struct tls_sessions *sessions = tls_sessions_new(release);
	int values[3];
	int64_t shaken;

	(void)state;
	released = 0;
	tls_sessions_put(sessions, "a", &values[0], 1000, 0);
	tls_sessions_shun(sessions, "a", 10);
	assert_int_equal(released, 1);
	assert_true(tls_sessions_shunned(sessions, "a", HOUR_MS));
	assert_false(tls_sessions_shunned(sessions, "a", HOUR_MS + 10));
	assert_false(tls_sessions_shunned(sessions, "b", 10));
	tls_sessions_put(sessions, "a", &values[1], 1000, 20);
	assert_int_equal(released, 2);
	assert_null(tls_sessions_take(sessions, "a", 20, &shaken));
	tls_sessions_forget(sessions, "a");
	tls_sessions_put(sessions, "a", &values[1], 1000, HOUR_MS);
	assert_int_equal(released, 3);
	tls_sessions_put(sessions, "b", &values[2], 1000, 20);
	assert_ptr_equal(tls_sessions_take(sessions, "b", 20, &shaken), &values[2]);
	assert_null(tls_sessions_take(sessions, "a", HOUR_MS + 10, &shaken));
	tls_sessions_put(sessions, "a", &values[1], 1000, HOUR_MS + 10);
	assert_ptr_equal(tls_sessions_take(sessions, "a", HOUR_MS + 10, &shaken), &values[1]);
	tls_sessions_shun(sessions, "a", HOUR_MS + 10);
	tls_sessions_free(sessions);
	assert_int_equal(released, 3);
}

static void *
meet_often(void *argument)
{
	struct proof proof;
	int i;

	for (i = 0; i < 10; i++) {
		proof = meet(argument, MX, "crowd");
		if (!proof.chain_ok || !proof.name_ok)
			return argument;
	}
	return NULL;
}

static void
test_many_threads(void **state)
{
	struct peer *peer = host(good, 0);
	pthread_t threads[6];
	void *failed;
	size_t i;

	(void)state;
	for (i = 0; i < 6; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, meet_often, peer), 0);
	for (i = 0; i < 6; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	peer_free(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resumed_and_proven),
		cmocka_unit_test(test_another_name),
		cmocka_unit_test(test_a_certificate_that_ended_meanwhile),
		cmocka_unit_test(test_another_host_behind_the_key),
		cmocka_unit_test(test_measured_again),
		cmocka_unit_test(test_a_host_that_rejects_sessions),
		cmocka_unit_test(test_a_session_that_the_host_has_forgotten),
		cmocka_unit_test(test_the_pool),
		cmocka_unit_test(test_the_pool_is_bounded_in_octets),
		cmocka_unit_test(test_a_key_that_is_shunned),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
