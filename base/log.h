/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How does the administrator learn what happened? One logfmt line an event, to syslog or stderr.
 * Values from peers are safe to pass as they are: space, '"', '=' and controls are quoted, with
 * \xNN for what cannot be printed. Any thread may log; a line is written in one piece.
 *
 *	struct log_line line;
 *	log_begin(&line, LOG_LEVEL_INFO, "delivery");
 *	log_text(&line, "to", recipient);
 *	log_end(&line);
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

const char *log_level_name(enum log_level level);

struct log_line {
	struct buf text;
	enum log_level level;
	bool wanted;	/* false: below the level in force, nothing is built or written */
};

/* ident must stay valid; before log_open() everything of warning and above goes to stderr. */
void log_open(const char *ident, bool to_syslog, enum log_level level);
void log_set_level(enum log_level level);

void log_begin(struct log_line *line, enum log_level level, const char *event);
/* A NULL value leaves the key out. */
void log_text(struct log_line *line, const char *key, const char *value);
void log_number(struct log_line *line, const char *key, int64_t value);
void log_format(struct log_line *line, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void log_end(struct log_line *line);

/* A line with event= and msg=, for what has no fields of its own. */
void log_message(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
