/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Does the header of a message say "TLS-Required: No" (RFC 8689 3)? Reads the content once, in
 * pieces cut anywhere, and keeps none of it, so that it needs no bound. Pure; owns nothing.
 *
 * In doubt it does not: a second field, whatever it says (RFC 8689 3 forbids it), another value, a
 * comment. The header ends at its empty line, or at a line that is no part of a field.
 */
#ifndef SHIM_MESSAGE_TLS_REQUIRED_H
#define SHIM_MESSAGE_TLS_REQUIRED_H

#include <stdbool.h>
#include <stddef.h>

enum tls_required_state {
	TLS_REQUIRED_LINE,	/* at the beginning of a line */
	TLS_REQUIRED_NAME,	/* in the name of a field */
	TLS_REQUIRED_GAP,	/* in blanks behind one (RFC 5322 4.5) */
	TLS_REQUIRED_VALUE,
	TLS_REQUIRED_OVER
};

/* All zero at the beginning of a message. */
struct tls_required {
	enum tls_required_state state;
	bool any;	/* a field has begun: a line may continue it */
	bool ours;	/* the field that the state is in has the name, so far */
	size_t name_length;	/* octets of the name so far */
	size_t value_matched;	/* octets of its value that agree */
	bool wrong;	/* the value is not No */
	bool seen;	/* the field was there */
	bool twice;
};

void tls_required_scan(struct tls_required *scan, const char *octets, size_t length);
bool tls_required_is_no(const struct tls_required *scan);	/* when all was read */

#endif
