/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A time as text: RFC 3339, UTC, to the second. Pure.
 */
#ifndef BASE_UTC_H
#define BASE_UTC_H

#include <stdint.h>

#define UTC_TEXT_MAX	21	/* "2026-01-01T00:00:00Z" and the NUL */

/* Times before 1970 and after 9999 become the nearest that can be written. */
void utc_text(int64_t wall_s, char text[UTC_TEXT_MAX]);
/* Reads only what utc_text() writes. 0, or -1. */
int utc_read(const char *text, int64_t *wall_s);
/* That, or a span before now_s, ten years at most: "7d", "12h", "30m", "90s". 0, or -1. */
int utc_read_since(const char *text, int64_t now_s, int64_t *wall_s);

#endif
