/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * An LMTP server on a Unix socket with a fake deliver, and the MTA's side of the dialogue. What
 * goes wrong fails the test that runs.
 */
#ifndef TESTS_UNIT_LMTP_BENCH_H
#define TESTS_UNIT_LMTP_BENCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/endpoint.h"
#include "base/conf/conf.h"
#include "shim/lmtp/lmtp_server.h"

#define CLIENT_MS	20000	/* a test that waits longer has failed */

/* What the fake deliver has seen. */
struct bench_seen {
	pthread_mutex_t lock;
	unsigned calls;
	struct buf content, log;	/* of the last message; the envelopes, a line each */
	char id[64];
	_Atomic bool abandoned;
	_Atomic bool gate_open;	/* set by the test: "gated" recipients are taken */
};

extern char bench_directory[64];
extern struct endpoint bench_endpoint;
extern struct conf bench_conf;
extern struct body_spool *bench_spool;
extern struct lmtp_server *bench_server;
extern struct bench_seen bench_seen;

/* The local part is the story: "wait" lasts until the transaction is abandoned, "gated" until the
 * test opens the gate, whatever else happens, "slow" 200 ms; "bad" and "busy" are refused. */
void bench_deliver(void *context, struct txn *txn, struct group *group);

int bench_setup(void **state);	/* configuration, directory, and bench_start() */
int bench_teardown(void **state);
void bench_start(uint64_t spool_memory, const char *spool_directory);
void bench_stop(void);	/* waits for all sessions */

int bench_connect(void);
int bench_session(void);	/* connected, and LHLO said */
void bench_envelope(int fd, const char *rcpt);	/* MAIL, and RCPT for rcpt */
void bench_send(int fd, const char *octets, size_t length);
void bench_say(int fd, const char *text);
const char *bench_hear(int fd);	/* one line without CRLF; "" when the server has closed */
void bench_expect(int fd, const char *start_of_line);
void bench_expect_end(int fd);	/* and closes fd */
void bench_ask(int fd, const char *line, const char *answer);

#endif
