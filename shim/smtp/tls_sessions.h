/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which TLS session may the next connection resume? Sessions wait under the key of the connection
 * that they come from, each for one use, an hour at most after the full handshake that they go
 * back to, and in memory alone: restored from disk they would have no chain to verify. For
 * tls_client alone, which alone knows what a session is. Any thread.
 */
#ifndef SHIM_SMTP_TLS_SESSIONS_H
#define SHIM_SMTP_TLS_SESSIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_sessions;

struct tls_sessions *tls_sessions_new(void (*release)(void *session));
void tls_sessions_free(struct tls_sessions *sessions);	/* NULL is allowed */

/* Takes the session, of so many octets of memory. shaken_ms, monotonic: the full handshake. */
void tls_sessions_put(struct tls_sessions *sessions, const char *key, void *session, size_t octets,
    int64_t shaken_ms);
/* The newest of this key, which is the caller's now; NULL: there is none. */
void *tls_sessions_take(struct tls_sessions *sessions, const char *key, int64_t now_ms,
    int64_t *shaken_ms);
void tls_sessions_forget(struct tls_sessions *sessions, const char *key);
/* Sessions of this key are not accepted by its host: none is kept for an hour. */
void tls_sessions_shun(struct tls_sessions *sessions, const char *key, int64_t now_ms);
bool tls_sessions_shunned(struct tls_sessions *sessions, const char *key, int64_t now_ms);
void tls_sessions_clear(struct tls_sessions *sessions);

#endif
