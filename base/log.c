/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/log.h"

static const struct {
	const char *name;
	int priority;	/* syslog(3) */
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", LOG_ERR },
	[LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
	[LOG_LEVEL_INFO] = { "info", LOG_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },
};

static _Atomic bool use_syslog;
static _Atomic unsigned level_in_force = LOG_LEVEL_WARNING;
static pthread_mutex_t stderr_lock = PTHREAD_MUTEX_INITIALIZER;

const char *
log_level_name(enum log_level level)
{
	return levels[level].name;
}

void
log_open(const char *ident, bool to_syslog, enum log_level level)
{
	if (to_syslog)
		openlog(ident, LOG_PID | LOG_NDELAY, LOG_MAIL);
	use_syslog = to_syslog;
	log_set_level(level);
}

void
log_set_level(enum log_level level)
{
	level_in_force = level;
}

static bool
is_plain(unsigned char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
}

/* '"' and '\\' become \xNN as well: whoever cuts at the next '"' cuts in the right place. */
static void
add_quoted(struct buf *text, const char *value, size_t length)
{
	size_t i;

	buf_add_char(text, '"');
	for (i = 0; i < length; i++) {
		if (is_plain((unsigned char)value[i]) || value[i] == ' ' || value[i] == '=')
			buf_add_char(text, value[i]);
		else
			buf_printf(text, "\\x%02x", (unsigned char)value[i]);
	}
	buf_add_char(text, '"');
}

static void
add_value(struct buf *text, const char *value)
{
	size_t i, length = strnlen(value, LIMIT_LOG_VALUE);

	for (i = 0; i < length && is_plain((unsigned char)value[i]); i++)
		;
	if (i == length)
		buf_add(text, value, length);
	else
		add_quoted(text, value, length);
}

static void
add_field(struct buf *text, const char *key, const char *value)
{
	if (text->length > 0)
		buf_add_char(text, ' ');
	buf_add_text(text, key);
	buf_add_char(text, '=');
	add_value(text, value);
}

void
log_begin(struct log_line *line, enum log_level level, const char *event)
{
	*line = (struct log_line){ .level = level, .wanted = level <= level_in_force };
	log_text(line, "event", event);
	if (level != LOG_LEVEL_INFO)
		log_text(line, "level", log_level_name(level));
}

void
log_text(struct log_line *line, const char *key, const char *value)
{
	if (line->wanted && value != NULL)
		add_field(&line->text, key, value);
}

void
log_number(struct log_line *line, const char *key, int64_t value)
{
	log_format(line, key, "%" PRId64, value);
}

static void __attribute__((format(printf, 3, 0)))
log_vformat(struct log_line *line, const char *key, const char *format, va_list args)
{
	struct buf value = { 0 };

	if (!line->wanted)
		return;
	buf_vprintf(&value, format, args);
	log_text(line, key, buf_text(&value));
	buf_free(&value);
}

void
log_format(struct log_line *line, const char *key, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_vformat(line, key, format, args);
	va_end(args);
}

/* A line that cannot be written is lost: mail goes on. */
static void
write_stderr(const char *text, size_t length)
{
	ssize_t wrote;

	pthread_mutex_lock(&stderr_lock);
	while (length > 0) {
		wrote = write(STDERR_FILENO, text, length);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			break;
		text += wrote;
		length -= (size_t)wrote;
	}
	pthread_mutex_unlock(&stderr_lock);
}

/* Keeps errno, so that a failure can be logged before it is handled. */
void
log_end(struct log_line *line)
{
	int error = errno;

	if (line->wanted && use_syslog) {
		syslog(levels[line->level].priority, "%s", buf_text(&line->text));
	} else if (line->wanted) {
		buf_add_char(&line->text, '\n');
		write_stderr(line->text.data, line->text.length);
	}
	buf_free(&line->text);
	line->wanted = false;
	errno = error;
}

void
log_message(enum log_level level, const char *event, const char *format, ...)
{
	struct log_line line;
	va_list args;

	log_begin(&line, level, event);
	va_start(args, format);
	log_vformat(&line, "msg", format, args);
	va_end(args);
	log_end(&line);
}
