/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <stddef.h>
#include <string.h>

#include "cmd/fixed_keys.h"

/* Settings of an open socket, and of a directory or file in use, that cannot be changed. */
static const struct fixed_key {
	const char *name;
	size_t at, size;	/* in struct conf; size 0: a text */
} keys[] = {
#define TEXT(name, field)	\
	{ \
		name, offsetof(struct conf, field), 0 \
	}
#define VALUE(name, field)	\
	{ \
		name, offsetof(struct conf, field), sizeof(((struct conf *)0)->field) \
	}
	TEXT("user", user),
	TEXT("state-directory", state_directory),
	TEXT("spool-directory", spool_directory),
	VALUE("spool-memory", spool_memory),
	VALUE("log", log_to_syslog),
	VALUE("lmtp.socket-mode", lmtp.listener.mode),
	VALUE("lmtp.socket-group", lmtp.listener.group),
	VALUE("policy-map.socket-mode", policy_map.listener.mode),
	VALUE("policy-map.socket-group", policy_map.listener.group),
	VALUE("control.socket-mode", control.listener.mode),
	VALUE("control.socket-group", control.listener.group),
	TEXT("sts.http-proxy", sts.http_proxy),
	VALUE("tlsrpt.enable", tlsrpt.enable),
	VALUE("tlsrpt.keep", tlsrpt.keep),
	TEXT("tlsrpt.socket", tlsrpt.socket),
	VALUE("tlsrpt.socket-mode", tlsrpt.socket_mode),
	VALUE("tlsrpt.socket-group", tlsrpt.socket_group),
	TEXT("tlsrpt.forward", tlsrpt.forward),
	TEXT("store.backend", store.backend),
#undef TEXT
#undef VALUE
};

static bool
differs(const struct fixed_key *key, const struct conf *a, const struct conf *b)
{
	const char *in_a = (const char *)a + key->at, *in_b = (const char *)b + key->at;
	const char *text_a, *text_b;

	if (key->size > 0)
		return memcmp(in_a, in_b, key->size) != 0;
	memcpy(&text_a, in_a, sizeof(text_a));
	memcpy(&text_b, in_b, sizeof(text_b));
	return strcmp(text_a, text_b) != 0;
}

void
fixed_keys_changed(const struct conf *running, const struct conf *next, struct buf *names)
{
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (differs(&keys[i], running, next))
			buf_printf(names, "%s%s", names->length > 0 ? ", " : "", keys[i].name);
}
