/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/reply.h"

static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
}

/* The arguments may point into *reply: a refusal often quotes the one before it. */
void
reply_set(struct reply *reply, int code, const char *enhanced, const char *format, ...)
{
	struct reply made = { .code = code };
	va_list args;

	if (enhanced != NULL)
		snprintf(made.enhanced, sizeof(made.enhanced), "%s", enhanced);
	va_start(args, format);
	vsnprintf(made.text, sizeof(made.text), format, args);
	va_end(args);
	make_printable(made.enhanced);
	make_printable(made.text);
	*reply = made;
}

bool
reply_is_positive(const struct reply *reply)
{
	return reply->code / 100 == 2;
}

bool
reply_is_transient(const struct reply *reply)
{
	return reply->code / 100 == 4;
}

bool
reply_is_permanent(const struct reply *reply)
{
	return reply->code / 100 == 5;
}

void
reply_line(const struct reply *reply, char line[REPLY_LINE_MAX + 1])
{
	bool valid = reply->code >= 200 && reply->code <= 599;
	/* A reply that was never set must not look like success or end a message's life. */
	const char *enhanced = valid ? reply->enhanced : "4.3.0";
	size_t used, more;

	used = (size_t)snprintf(line, REPLY_LINE_MAX + 1, "%d%s%s", valid ? reply->code : 451,
	    enhanced[0] != '\0' ? " " : "", enhanced);
	if (reply->text[0] != '\0')
		line[used++] = ' ';
	more = strnlen(reply->text, REPLY_LINE_MAX - used);
	memcpy(line + used, reply->text, more);
	line[used + more] = '\0';
	make_printable(line);
}
