/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A growing run of octets, always followed by a NUL that is not counted.
 * Used by one thread at a time. Whoever fills one from a peer checks the size against
 * base/limits.h first: a buf itself has no bound.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

struct buf {
	char *data;	/* NULL only before the first addition; see buf_text() */
	size_t length;	/* octets, without the closing NUL */
	size_t room;	/* octets allocated */
};

void buf_add(struct buf *buf, const void *octets, size_t length);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_char(struct buf *buf, char c);
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(struct buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
void buf_clear(struct buf *buf);	/* empties it, keeps the memory */
void buf_free(struct buf *buf);	/* gives the memory back; the buf may be used again */
const char *buf_text(const struct buf *buf);	/* "" when nothing was added */

#endif
