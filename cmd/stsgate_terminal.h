/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What may stsgate(1) let a terminal see? Words of others without the controls that it would obey,
 * and a passing line, which the next row takes the place of (ECMA-48: CR, and EL to erase).
 */
#ifndef CMD_STSGATE_TERMINAL_H
#define CMD_STSGATE_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

/* UTF-8 text with "?" for each of C0, DEL and C1. */
void stsgate_terminal_print(FILE *out, const char *text);

/* What of ASCII words a line of so many columns has room for, with " ..." and without the last
 * column, so that it never wraps; nothing where that is less than a letter. */
void stsgate_terminal_fit(const char *words, size_t columns, struct buf *fitted);
/* Whether what TERM names can erase a line; NULL: it is not set. */
bool stsgate_terminal_erases(const char *term);

struct stsgate_terminal_line {
	FILE *out;
	bool on;	/* out is a terminal on which a line can pass */
	bool shown;
};

void stsgate_terminal_line_open(struct stsgate_terminal_line *line, FILE *out);
/* In place of the one that is shown. Nothing where it is not on, as below. */
void stsgate_terminal_line_show(struct stsgate_terminal_line *line, const char *words);
void stsgate_terminal_line_clear(struct stsgate_terminal_line *line);

#endif
