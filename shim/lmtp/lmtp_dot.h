/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Where does the content of DATA end, and what is it without dot-stuffing? Pure. Only CRLF "." CRLF
 * ends it, and only a dot after CRLF was stuffed: a bare LF or CR does not end a line (RFC 5321
 * 2.3.8, 4.1.1.4, 4.5.2), so no second message can be smuggled after it.
 */
#ifndef SHIM_LMTP_LMTP_DOT_H
#define SHIM_LMTP_LMTP_DOT_H

#include <stdbool.h>
#include <stddef.h>

enum lmtp_dot_state {
	LMTP_DOT_LINE_START,	/* after CRLF, or at the very start; zero, so that {0} starts */
	LMTP_DOT_TEXT,
	LMTP_DOT_CR,
	LMTP_DOT_DOT,	/* a dot at the start of a line, not yet handed out */
	LMTP_DOT_DOT_CR,	/* and a CR after it */
	LMTP_DOT_END
};

struct lmtp_dot {
	enum lmtp_dot_state state;
};

#define LMTP_DOT_HELD	1	/* octets that an earlier piece may owe to the output */

/* Decodes a piece of input, cut anywhere, into out, with room for length + LMTP_DOT_HELD octets.
 * Returns how much of it was content or end; less than length only at LMTP_DOT_END. */
size_t lmtp_dot_decode(struct lmtp_dot *dot, const char *octets, size_t length, char *out,
    size_t *out_length);

#endif
