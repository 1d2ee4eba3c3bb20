/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * "5:hello,": how the socketmap protocol of Sendmail and Postfix frames its questions and answers.
 * Pure.
 */
#ifndef BASE_NETSTRING_H
#define BASE_NETSTRING_H

#include <stddef.h>

#include "base/buf.h"

enum netstring_status {
	NETSTRING_OK,
	NETSTRING_MORE,	/* so far it is the beginning of one */
	NETSTRING_BAD	/* it never becomes one within limit: close, there is no way to go on */
};

/* Room for the length, ':' and ',' of a payload within LIMIT_NETSTRING_OUT. */
#define NETSTRING_FRAME	8

/* Looks at the start of octets[length]. With OK payload points into octets, and *used octets make
 * up the whole of it. Payloads longer than limit are bad, as are leading zeros. */
enum netstring_status netstring_parse(const char *octets, size_t length, size_t limit,
    const char **payload, size_t *payload_length, size_t *used);
void netstring_add(struct buf *buf, const char *payload, size_t length);

#endif
