/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One SMTP-shaped answer, ours or the peer's: the currency in which a message's fate is paid.
 */
#ifndef BASE_REPLY_H
#define BASE_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#define REPLY_LINE_MAX	480	/* octets of a reply line to the MTA, without CRLF */

struct reply {
	int code;	/* 200 to 599; 0: none yet */
	char enhanced[10];	/* "4.7.5" (RFC 3463), or "" when the peer gave none */
	bool remote;	/* the peer's own answer */
	char text[512];	/* printable ASCII, one line */
};

/* Octets outside 0x20-0x7e become '?', what is too long is cut. */
void reply_set(struct reply *reply, int code, const char *enhanced, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool reply_is_positive(const struct reply *reply);	/* 2xx */
bool reply_is_transient(const struct reply *reply);	/* 4xx */
bool reply_is_permanent(const struct reply *reply);	/* 5xx */
/* "451 4.7.5 text" without CRLF, at most REPLY_LINE_MAX octets. */
void reply_line(const struct reply *reply, char line[REPLY_LINE_MAX + 1]);

#endif
