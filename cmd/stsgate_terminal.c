/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cmd/stsgate_terminal.h"

#define MORE	" ..."
#define ERASE	"\r\033[K"
#define COLUMNS	80	/* of a terminal that does not say */

static bool
is_control(unsigned char octet)
{
	return octet < 0x20 || octet == 0x7f;
}

/* U+0080 to U+009F. */
static bool
is_c1(const char *text)
{
	return (unsigned char)text[0] == 0xc2 && (unsigned char)text[1] >= 0x80 &&
	    (unsigned char)text[1] < 0xa0;
}

void
stsgate_terminal_print(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (is_c1(text)) {
			fputc('?', out);
			text++;
		} else {
			fputc(is_control((unsigned char)*text) ? '?' : *text, out);
		}
	}
}

void
stsgate_terminal_fit(const char *words, size_t columns, struct buf *fitted)
{
	size_t room = columns > strlen(MORE) + 1 ? columns - strlen(MORE) - 1 : 0;

	if (room == 0)
		return;
	for (; room > 0 && *words != '\0'; room--, words++)
		buf_add_char(fitted,
		    is_control((unsigned char)*words) || (unsigned char)*words >= 0x80 ? '?'
										       : *words);
	buf_add_text(fitted, MORE);
}

bool
stsgate_terminal_erases(const char *term)
{
	return term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
}

void
stsgate_terminal_line_open(struct stsgate_terminal_line *line, FILE *out)
{
	line->out = out;
	line->on = isatty(fileno(out)) == 1 && stsgate_terminal_erases(getenv("TERM"));
	line->shown = false;
}

/* Asked each time: a window is made wider and narrower. */
static size_t
columns_of(FILE *out)
{
	struct winsize size;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
		return COLUMNS;
	return size.ws_col;
}

void
stsgate_terminal_line_show(struct stsgate_terminal_line *line, const char *words)
{
	struct buf fitted = { 0 };

	if (!line->on)
		return;
	stsgate_terminal_fit(words, columns_of(line->out), &fitted);
	fprintf(line->out, "%s%s", ERASE, buf_text(&fitted));
	fflush(line->out);
	line->shown = true;
	buf_free(&fitted);
}

void
stsgate_terminal_line_clear(struct stsgate_terminal_line *line)
{
	if (!line->shown)
		return;
	fputs(ERASE, line->out);
	fflush(line->out);
	line->shown = false;
}
