/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * An HTTPS server on 127.0.0.1 that misbehaves on command: the path of the URL says how. For the
 * tests alone; a fault of its own aborts.
 */
#ifndef TESTS_UNIT_HTTPS_SERVER_H
#define TESTS_UNIT_HTTPS_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

enum server_kind {
	SERVER_TLS,
	SERVER_TLS_1_1,	/* nothing later */
	SERVER_NO_OFFERS,	/* alert 40 for a client that offers a session to be resumed */
	SERVER_MUTE_AT_OFFERS,	/* silence for it */
	SERVER_PLAIN,	/* HTTP without TLS */
	SERVER_NOT_TLS,	/* greets as a mail server does */
	SERVER_SILENT,	/* accepts and says nothing */
	SERVER_RESET,	/* resets after the first octets */
	SERVER_PROXY	/* answers CONNECT and passes on to 127.0.0.1 */
};

struct server {
	enum server_kind kind;
	int listener;
	uint16_t port;	/* 0: unix_path */
	SSL_CTX *context;
	atomic_uint connections, handshakes, resumed, rejected, requests;
	atomic_bool stop;
	atomic_uint running;	/* threads */
	pthread_mutex_t lock;	/* guards what follows */
	char sni[256];	/* of the last handshake */
	char request[8192];	/* head of the last request */
};

/* cert and key may be NULL without TLS. unix_path NULL: TCP. */
struct server *server_start(enum server_kind kind, X509 *cert, EVP_PKEY *key,
    const char *unix_path);
/* Is text part of the last request's head, or all of the last handshake's SNI? */
bool server_was_asked(struct server *server, const char *text);
bool server_saw_sni(struct server *server, const char *name);
void server_stop(struct server *server);	/* waits for its connections */

#endif
