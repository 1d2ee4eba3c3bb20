/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which number does a record of the store hold? What another program, another version or a damaged
 * disk has put there is no number, instead of one that nobody could have written. Pure; any thread.
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#define NUMBER_COUNT_MAX	(UINT64_C(1) << 53)	/* of things counted; exact in any JSON */
#define NUMBER_WALL_MAX	UINT64_C(253402300799)	/* the last second that has a date of 4 digits */

/* Digits alone, up to most; *text moves behind them. false: *text is where it was. */
bool number_take(const char **text, uint64_t most, uint64_t *number);
/* A second of the wall clock, as far as there are dates. */
bool number_take_wall(const char **text, int64_t *wall_s);
/* Moves *text behind this character. false: another one stands there. */
bool number_skip(const char **text, char c);

#endif
