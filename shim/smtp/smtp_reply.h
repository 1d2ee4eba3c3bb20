/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What did the peer say? Replies of RFC 5321 4.2 line by line, with enhanced codes of RFC 2034,
 * and the keywords of an EHLO reply (RFC 5321 4.1.1.1). Pure; whatever the octets are, the result
 * is one bounded line of printable text.
 */
#ifndef SHIM_SMTP_SMTP_REPLY_H
#define SHIM_SMTP_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/reply.h"

enum smtp_reply_state {
	SMTP_REPLY_MORE,	/* a further line belongs to it */
	SMTP_REPLY_COMPLETE,
	SMTP_REPLY_GARBLED	/* no SMTP, or without an end: nothing after it can be trusted */
};

/* A reply while its lines come in. */
struct smtp_reply {
	struct reply reply;	/* remote; code 0 when garbled; enhanced only of the code's class */
	bool after_dot;	/* the caller's to set: a last line that begins with 2 is a yes */
	bool contradictory;	/* its lines have codes of different classes */
	unsigned lines;
	size_t octets;
	size_t text_length;
};

void smtp_reply_begin(struct smtp_reply *reply);
/* One line without its line end, of which the first LIMIT_SMTP_REPLY_LINE octets are enough. Text
 * for which there is no room is dropped. After COMPLETE and GARBLED no more lines are taken. */
enum smtp_reply_state smtp_reply_add(struct smtp_reply *reply, const char *line, size_t length);
/* A line that never ends, of which this is the beginning. */
void smtp_reply_garble(struct smtp_reply *reply, const char *line, size_t length);
/* "5.1.1" at the beginning of text: its length, or 0. Only of the class of code. */
size_t smtp_enhanced_length(int code, const char *text, size_t length);

/* The extensions that a host offers. */
struct smtp_features {
	bool esmtp;	/* EHLO was taken, not HELO */
	bool pipelining, eightbitmime, smtputf8, starttls, requiretls;
	bool size;
	uint64_t size_limit;	/* octets; 0: no limit given (RFC 1870) */
};

/* One line of a 250 reply to EHLO, code and all. The first line, the greeting, is not for here. */
void smtp_features_add(struct smtp_features *features, const char *line, size_t length);
/* As if the host did not offer it; a keyword that nothing here uses changes nothing. */
void smtp_features_drop(struct smtp_features *features, const char *keyword);

#endif
