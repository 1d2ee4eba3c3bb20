/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "cmd/stsgate_doing.h"

static const struct {
	const char *what, *words;
} table[] = {
	{ "dns", "looking up the MX and TXT records" },
	{ "mx", "looking up the MX records" },
	{ "txt", "looking up the TXT record" },
	{ "address", "looking up the addresses of the hosts" },
	{ "tlsa", "looking up the TLSA records of the hosts" },
	{ "policy", "fetching the policy" },
	{ "connect", "connecting to" },
	{ "greeting", "waiting for the greeting of" },
	{ "ehlo", "saying EHLO to" },
	{ "starttls", "starting TLS with" },
	{ "ehlo-tls", "saying EHLO again to" },
};

static const char *
words_of(const char *what)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].what, what) == 0)
			return table[i].words;
	return what;
}

void
stsgate_doing_words(const char *what, const char *host, const char *address, struct buf *words)
{
	buf_add_text(words, words_of(what));
	if (host[0] != '\0' || address[0] != '\0')
		buf_printf(words, " %s", host);
	if (address[0] != '\0')
		buf_printf(words, "[%s]", address);
}
