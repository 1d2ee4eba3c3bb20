/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* A TLS client that trusts one root, and what it finds out about scripted hosts, for tests. */
#ifndef TESTS_UNIT_TLS_BENCH_H
#define TESTS_UNIT_TLS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shim/smtp/tls_client.h"
#include "tests/unit/mx_certs.h"
#include "tests/unit/peer.h"

#define MX	"mx.example.net"
#define PATIENCE_MS	25000

#define SCRIPT(...)	\
	(const char *const *const[]) \
	{ \
		(const char *const[]){ __VA_ARGS__, NULL }, NULL \
	}

struct tls_bench {
	struct tls_client *client;
	struct cert *root;	/* what client trusts */
	struct cert *good;	/* of MX, by root */
};

/* One for the whole program, made and freed by the group's fixtures. */
extern struct tls_bench bench;

int bench_setup(void **state);
int bench_teardown(void **state);
/* A connection; the caller frees it. */
struct stream *bench_dial(const struct peer *peer);
/* One handshake over stream. */
void bench_start(struct stream *stream, const struct tls_wish *wish, int64_t ms,
    struct proof *proof);
struct tls_wish bench_wish(const char **names, size_t count, bool strict);
/* What a handshake with a host proves that has this certificate, asked for as name (or NULL). */
struct proof bench_proof(const struct cert *cert, const struct cert *between, const char *name);

#endif
