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
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shim/smtp/dial.h"
#include "tests/unit/tls_bench.h"

struct tls_bench bench;
static char ca_file[64];

int
bench_setup(void **state)
{
	char why[200];

	(void)state;
	bench.root = cert_make(&(struct cert_wish){ .cn = "Root", .ca = true });
	bench.good = cert_make(&(struct cert_wish){ .issuer = bench.root, .names = { MX } });
	snprintf(ca_file, sizeof(ca_file), "/tmp/stsgate-test-ca-%ld.pem", (long)getpid());
	cert_write(bench.root, ca_file);
	bench.client = tls_client_new(ca_file, why, sizeof(why));
	return bench.client != NULL ? 0 : -1;
}

int
bench_teardown(void **state)
{
	(void)state;
	tls_client_free(bench.client);
	unlink(ca_file);
	cert_free(bench.root);
	cert_free(bench.good);
	return 0;
}

struct stream *
bench_dial(const struct peer *peer)
{
	struct ip ip = peer_ip();
	int fd = dial_connect(&ip, peer_port(peer), NULL, deadline_in(PATIENCE_MS), NULL);

	assert_true(fd >= 0);
	return stream_new_fd(fd);
}

void
bench_start(struct stream *stream, const struct tls_wish *wish, int64_t ms, struct proof *proof)
{
	memset(proof, 0xff, sizeof(*proof));
	tls_client_start(bench.client, stream, wish, deadline_in(ms), NULL, proof);
}

struct tls_wish
bench_wish(const char **names, size_t count, bool strict)
{
	return (struct tls_wish){ .sni = MX,
		.names = names,
		.name_count = count,
		.strict = strict,
		.min_protocol = TLS_VERSION_1_2 };
}

struct proof
bench_proof(const struct cert *cert, const struct cert *between, const char *name)
{
	struct peer_tls tls = { .cert = cert, .intermediate = between };
	struct peer *peer = peer_start(&tls, SCRIPT("T", "Z"));
	struct stream *stream = bench_dial(peer);
	struct tls_wish wish = bench_wish(&name, name != NULL ? 1 : 0, true);
	struct proof proof;

	bench_start(stream, &wish, PATIENCE_MS, &proof);
	stream_free(stream);
	peer_free(peer);
	assert_int_equal(proof.tls, PROOF_ESTABLISHED);
	return proof;
}
