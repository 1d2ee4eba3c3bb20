/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A mailbox of MAIL or RCPT as the SMTP client must send it and as the policy must see it. Pure.
 */
#ifndef SHIM_MESSAGE_ADDRESS_H
#define SHIM_MESSAGE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/ip.h"

struct address {
	const char *mailbox;	/* as given, without <>; "" is the null sender */
	/* A-labels, lower case; "[192.0.2.1]" for a literal; "" for the null sender */
	const char *next_hop;
	const char *wire;	/* without SMTPUTF8: the domain in A-labels; NULL when the
				   local part is not ASCII and cannot be sent there */
	bool literal;	/* an address literal: ip is where it points */
	struct ip ip;
	bool utf8;	/* mailbox holds octets beyond ASCII */
};

/* path is the text between < and >, a source route (RFC 5321 4.1.2) is dropped. 0, or -1 with why
 * for the client. Strings live in the arena. */
int address_parse(struct arena *arena, const char *path, size_t length, bool null_allowed,
    struct address *address, const char **why);

#endif
