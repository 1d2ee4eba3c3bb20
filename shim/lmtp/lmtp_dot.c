/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "shim/lmtp/lmtp_dot.h"

/* The state after an octet that is neither the end nor a dot to be dropped. */
static enum lmtp_dot_state
after(enum lmtp_dot_state state, char c)
{
	if (c == '\r')
		return LMTP_DOT_CR;
	return c == '\n' && state == LMTP_DOT_CR ? LMTP_DOT_LINE_START : LMTP_DOT_TEXT;
}

/* One octet: writes what it makes known to be content, returns how many octets that is. */
static size_t
step(struct lmtp_dot *dot, char c, char *out)
{
	size_t length = 0;

	switch (dot->state) {
	case LMTP_DOT_LINE_START:
		if (c == '.') {
			dot->state = LMTP_DOT_DOT;
			return 0;
		}
		break;
	case LMTP_DOT_DOT:
		if (c == '\r') {
			dot->state = LMTP_DOT_DOT_CR;
			return 0;
		}
		break;
	case LMTP_DOT_DOT_CR:
		if (c == '\n') {
			dot->state = LMTP_DOT_END;
			return 0;
		}
		out[length++] = '\r';
		break;
	case LMTP_DOT_TEXT:
	case LMTP_DOT_CR:
	case LMTP_DOT_END:
		break;
	}
	out[length++] = c;
	dot->state = after(dot->state, c);
	return length;
}

/* In the middle of a line all that matters is the next CR. */
static size_t
copy_text(const char *octets, size_t length, char *out)
{
	const char *cr = memchr(octets, '\r', length);
	size_t text = cr != NULL ? (size_t)(cr - octets) : length;

	memcpy(out, octets, text);
	return text;
}

size_t
lmtp_dot_decode(struct lmtp_dot *dot, const char *octets, size_t length, char *out,
    size_t *out_length)
{
	size_t at = 0, made = 0, text;

	while (at < length && dot->state != LMTP_DOT_END) {
		if (dot->state == LMTP_DOT_TEXT) {
			text = copy_text(octets + at, length - at, out + made);
			made += text;
			at += text;
		}
		if (at < length)
			made += step(dot, octets[at++], out + made);
	}
	*out_length = made;
	return at;
}
