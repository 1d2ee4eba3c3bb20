/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which number does a record of the store hold? A value from another program, another version or a
 * damaged disk is not a number, and is not taken for one. Pure; any thread.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#define NUMBER_COUNT_MAX	(UINT64_C(1) << 53)	/* of things counted; exact in any JSON */
#define NUMBER_WALL_MAX	UINT64_C(253402300799)	/* the last second that has a date of 4 digits */

/* Only digits, up to most; *text moves after them. false: *text is unchanged. */
bool number_take(const char **text, uint64_t most, uint64_t *number);
/* A second of the wall clock, as far as there are dates. */
bool number_take_wall(const char **text, int64_t *wall_s);
/* Moves *text after this character. false: another character is there. */
bool number_skip(const char **text, char c);

#endif
