/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/limits.h"
#include "base/stream.h"
#include "cmd/deliver_client.h"

#define COMMAND_MS	(5 * 60 * 1000)
/* The daemon bounds a transaction by its own configuration and the MTA this program by its own:
 * this is for the day when both fail to. */
#define FINAL_MS	(24 * 60 * 60 * 1000)
#define QUIT_MS	1000
#define SLICE	8192	/* octets of content sent in one go */

struct answer {
	int code;	/* 200 to 599 */
	struct buf lines;	/* each ends in LF, printable */
};

struct stsgate_client {
	struct stream *stream;
	const struct deliver_request *request;
	bool size, eightbitmime, smtputf8;	/* offered */
	struct answer answer;	/* the last one */
	const char *trouble;	/* why the dialogue broke off, for the postmaster */
};

int
deliver_client_merge(int status, int other)
{
	if (status == EX_TEMPFAIL || other == EX_TEMPFAIL)
		return EX_TEMPFAIL;
	if (status == EX_OK || other == EX_OK || status == other)
		return status == EX_OK ? other : status;
	return EX_NOPERM;
}

bool
deliver_client_is_path(const char *text)
{
	bool quoted = false;

	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
		if (quoted && text[0] == '\\' && (unsigned char)text[1] >= 0x20)
			text++;
		else if (*text == '"')
			quoted = !quoted;
		else if (!quoted && (*text == '<' || *text == '>'))
			return false;
	}
	return !quoted;
}

/* "250-text", "250 text" or "250"; 0 when it is none of them. */
static int
code_of(const char *line, bool *more)
{
	int code = 0, i;

	for (i = 0; i < 3; i++) {
		if (line[i] < '0' || line[i] > '9')
			return 0;
		code = code * 10 + (line[i] - '0');
	}
	*more = line[3] == '-';
	if (line[3] != ' ' && line[3] != '-' && line[3] != '\0')
		return 0;
	return code >= 200 && code <= 599 ? code : 0;
}

static int
fail(struct stsgate_client *client, const char *trouble)
{
	client->trouble = trouble;
	return -1;
}

static void
keep_line(struct answer *answer, const char *line)
{
	for (; *line != '\0'; line++)
		buf_add_char(&answer->lines, *line >= 0x20 && *line < 0x7f ? *line : '?');
	buf_add_char(&answer->lines, '\n');
}

/* 0 with client->answer, or -1: no telling what the server has done. */
static int
read_answer(struct stsgate_client *client, int64_t wait_ms)
{
	struct answer *answer = &client->answer;
	struct deadline deadline = deadline_in(wait_ms);
	char line[LIMIT_SMTP_REPLY_LINE];
	enum stream_status status;
	bool more = true;
	size_t length;
	int lines;

	buf_clear(&answer->lines);
	for (lines = 0; more; lines++) {
		status = stream_read_line(client->stream, line, sizeof(line), &length, deadline);
		if (status != STREAM_OK)
			return fail(client, stream_status_name(status));
		answer->code = code_of(line, &more);
		if (answer->code == 0 || lines == LIMIT_SMTP_REPLY_LINES)
			return fail(client, "it does not answer in LMTP");
		keep_line(answer, line);
	}
	return 0;
}

/* Sends one line and reads what it answers. */
static int __attribute__((format(printf, 2, 3)))
ask(struct stsgate_client *client, const char *format, ...)
{
	struct deadline deadline = deadline_in(COMMAND_MS);
	enum stream_status status;
	struct buf line = { 0 };
	va_list args;

	va_start(args, format);
	buf_vprintf(&line, format, args);
	va_end(args);
	buf_add_text(&line, "\r\n");
	status = stream_write(client->stream, line.data, line.length, deadline, 0);
	buf_free(&line);
	if (status == STREAM_OK)
		status = stream_flush(client->stream, deadline);
	if (status != STREAM_OK)
		return fail(client, stream_status_name(status));
	return read_answer(client, COMMAND_MS);
}

static int
status_of(const struct answer *answer)
{
	const char *text = buf_text(&answer->lines) + 4;

	switch (answer->code / 100) {
	case 2:
		return EX_OK;
	case 5:
		if (strncmp(text, "5.1.2 ", 6) == 0 || strcmp(text, "5.1.2\n") == 0)
			return EX_NOHOST;
		return strncmp(text, "5.1.", 4) == 0 ? EX_NOUSER : EX_NOPERM;
	}
	return EX_TEMPFAIL;
}

/* A recipient's fate, or the fate of all of them. */
static int
take_fate(const struct stsgate_client *client, int status)
{
	fputs(buf_text(&client->answer.lines), stdout);
	return deliver_client_merge(status, status_of(&client->answer));
}

static bool
offers(const struct stsgate_client *client, const char *keyword)
{
	size_t length = strlen(keyword);
	const char *line;

	for (line = buf_text(&client->answer.lines); *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncasecmp(line + 4, keyword, length) == 0 &&
		    (line[4 + length] == ' ' || line[4 + length] == '\n'))
			return true;
	return false;
}

static int
greet(struct stsgate_client *client)
{
	if (read_answer(client, COMMAND_MS) != 0)
		return -1;
	/* Whatever its class, a refusal here is about the daemon and not about the message. */
	if (client->answer.code != 220)
		return fail(client, buf_text(&client->answer.lines));
	if (ask(client, "LHLO localhost") != 0)
		return -1;
	if (client->answer.code != 250)
		return fail(client, buf_text(&client->answer.lines));
	client->size = offers(client, "SIZE");
	client->eightbitmime = offers(client, "8BITMIME");
	client->smtputf8 = offers(client, "SMTPUTF8");
	return 0;
}

static bool
is_ascii(const char *text)
{
	while (*text != '\0' && (unsigned char)*text < 0x80)
		text++;
	return *text == '\0';
}

static bool
needs_smtputf8(const struct deliver_request *request)
{
	size_t i;

	for (i = 0; i < request->rcpt_count; i++)
		if (!is_ascii(request->rcpts[i]))
			return true;
	return !is_ascii(request->sender) || body_header_has_8bit(request->body);
}

static int
say_mail(struct stsgate_client *client, int *status)
{
	const struct deliver_request *request = client->request;
	bool utf8 = needs_smtputf8(request);
	char size[32] = "";

	if (utf8 && !client->smtputf8)
		return fail(client, "it does not offer SMTPUTF8, which this message needs");
	if (client->size)
		snprintf(size, sizeof(size), " SIZE=%" PRIu64, body_size(request->body));
	if (ask(client, "MAIL FROM:<%s>%s%s%s", request->sender, size,
		client->eightbitmime && body_has_8bit(request->body) ? " BODY=8BITMIME" : "",
		utf8 ? " SMTPUTF8" : "") != 0)
		return -1;
	if (client->answer.code != 250)
		*status = take_fate(client, *status);
	return 0;
}

/* Once one recipient is refused none gets the message: the MTA will treat all of them alike. */
static int
say_rcpts(struct stsgate_client *client, int *status)
{
	size_t i;

	for (i = 0; i < client->request->rcpt_count; i++) {
		if (ask(client, "RCPT TO:<%s>", client->request->rcpts[i]) != 0)
			return -1;
		if (client->answer.code / 100 != 2)
			*status = take_fate(client, *status);
	}
	return 0;
}

/* RFC 5321 4.5.2: a dot at the start of a line is doubled. *start: octets begins a line. */
static enum stream_status
write_stuffed(struct stream *stream, const char *octets, size_t length, bool *start)
{
	struct deadline deadline = deadline_in(COMMAND_MS);
	enum stream_status status = STREAM_OK;
	const char *end = octets + length, *lf;
	size_t part;

	while (octets < end && status == STREAM_OK) {
		lf = memchr(octets, '\n', (size_t)(end - octets));
		part = lf != NULL ? (size_t)(lf + 1 - octets) : (size_t)(end - octets);
		if (*start && *octets == '.')
			status = stream_write(stream, ".", 1, deadline, 0);
		if (status == STREAM_OK)
			status = stream_write(stream, octets, part, deadline, 0);
		*start = lf != NULL;
		octets += part;
	}
	return status;
}

static int
write_content(struct stsgate_client *client)
{
	enum stream_status status = STREAM_OK;
	char octets[SLICE];
	uint64_t offset = 0;
	bool start = true;
	ssize_t got;

	while ((got = body_read(client->request->body, offset, octets, sizeof(octets))) > 0 &&
	    status == STREAM_OK) {
		status = write_stuffed(client->stream, octets, (size_t)got, &start);
		offset += (uint64_t)got;
	}
	if (got < 0)
		return fail(client, "the spooled message cannot be read");
	if (status == STREAM_OK)
		status = stream_write(client->stream, ".\r\n", 3, deadline_in(COMMAND_MS), 0);
	if (status == STREAM_OK)
		status = stream_flush(client->stream, deadline_in(COMMAND_MS));
	return status == STREAM_OK ? 0 : fail(client, stream_status_name(status));
}

static int
say_data(struct stsgate_client *client, int *status)
{
	size_t i;

	if (ask(client, "DATA") != 0)
		return -1;
	if (client->answer.code != 354)
		return fail(client, buf_text(&client->answer.lines));
	if (write_content(client) != 0)
		return -1;
	for (i = 0; i < client->request->rcpt_count; i++) {	/* RFC 2033 4.2 */
		if (read_answer(client, FINAL_MS) != 0)
			return -1;
		*status = take_fate(client, *status);
	}
	return 0;
}

static int
converse(struct stsgate_client *client, int *status)
{
	if (greet(client) != 0 || say_mail(client, status) != 0)
		return -1;
	if (*status == EX_OK && say_rcpts(client, status) != 0)
		return -1;
	return *status == EX_OK ? say_data(client, status) : 0;
}

int
deliver_client_send(int fd, const struct deliver_request *request)
{
	struct stsgate_client client = { .stream = stream_new_fd(fd), .request = request };
	int status = EX_OK;

	if (converse(&client, &status) == 0) {
		(void)stream_write(client.stream, "QUIT\r\n", 6, deadline_in(QUIT_MS), 0);
		(void)stream_flush(client.stream, deadline_in(QUIT_MS));
	} else {
		status = EX_TEMPFAIL;
		printf("451 4.3.2 talking to stsgated failed: %.*s\n",
		    (int)strcspn(client.trouble, "\n"), client.trouble);
	}
	buf_free(&client.answer.lines);
	stream_free(client.stream);
	return status;
}
