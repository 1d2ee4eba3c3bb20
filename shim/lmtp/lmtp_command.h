/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What does one LMTP command line ask for (RFC 2033, with SIZE, 8BITMIME, SMTPUTF8, CHUNKING and
 * REQUIRETLS)? Pure.
 */
#ifndef SHIM_LMTP_LMTP_COMMAND_H
#define SHIM_LMTP_LMTP_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reply.h"

enum lmtp_verb {
	LMTP_UNKNOWN,
	LMTP_LHLO,
	LMTP_HELO,	/* HELO and EHLO, which an LMTP server must refuse */
	LMTP_MAIL,
	LMTP_RCPT,
	LMTP_DATA,
	LMTP_BDAT,
	LMTP_RSET,
	LMTP_NOOP,
	LMTP_VRFY,
	LMTP_QUIT
};

struct lmtp_command {
	enum lmtp_verb verb;
	const char *path;	/* MAIL, RCPT: the text between < and >, inside the line */
	size_t path_length;
	uint64_t size;	/* MAIL: SIZE=, 0 without one; BDAT: octets of the chunk; UINT64_MAX also
			   stands for more */
	bool body_8bitmime;	/* MAIL: BODY=8BITMIME */
	bool smtputf8;	/* MAIL */
	bool requiretls;	/* MAIL */
	bool last;	/* BDAT: LAST */
};

/* line comes without its end. 0, or -1 with what to answer; command->verb is set in either case. */
int lmtp_command_parse(const char *line, size_t length, struct lmtp_command *command,
    struct reply *error);

#endif
