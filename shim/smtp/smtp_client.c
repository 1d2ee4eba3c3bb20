/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/limits.h"
#include "shim/smtp/smtp_client.h"

#define KEPT_ANSWER_MS	(20 * 1000)	/* a kept connection may have lost its other end unseen */
#define QUIT_MS	1000	/* to hand QUIT to the kernel; the answer is not awaited */

struct deadline
smtp_client_command_deadline(const struct smtp_client *client)
{
	int64_t timeout = client->command_timeout;
	struct deadline full, half;

	if (client->kept && timeout > KEPT_ANSWER_MS)
		timeout = KEPT_ANSWER_MS;
	full = deadline_in(timeout);
	if (!client->known)
		return deadline_earlier(full, client->deadline);
	if (full.at_ms <= client->limit.at_ms)
		return full;
	/* A host that falls silent now leaves others some time. */
	half = deadline_in((client->limit.at_ms - clock_monotonic_ms()) / 2);
	return deadline_earlier(full,
	    half.at_ms > client->deadline.at_ms ? half : client->deadline);
}

static enum smtp_status
status_of(enum stream_status status)
{
	switch (status) {
	case STREAM_OK:
		return SMTP_ANSWERED;
	case STREAM_LONG:
		return SMTP_GARBLED;
	case STREAM_TIMEOUT:
		return SMTP_TIMEOUT;
	case STREAM_STOPPED:
		return SMTP_STOPPED;
	case STREAM_END:
	case STREAM_LOST:
	case STREAM_WANTS_IN:
	case STREAM_WANTS_OUT:
		break;
	}
	return SMTP_LOST;
}

/* The rest of a line whose beginning is enough. *octets counts those of the reply. */
static enum smtp_status
skip_line(struct smtp_client *client, size_t *octets, struct deadline deadline)
{
	enum smtp_status status = SMTP_GARBLED;
	char rest[LIMIT_SMTP_REPLY_LINE + 1];
	size_t length;

	while (status == SMTP_GARBLED && *octets <= LIMIT_SMTP_REPLY) {
		status = status_of(stream_read_line(client->stream, rest, sizeof(rest), &length,
		    deadline));
		*octets += length;
	}
	return status;
}

static enum smtp_status
read_lines(struct smtp_client *client, struct smtp_reply *reply, struct deadline deadline,
    struct smtp_features *features)
{
	enum smtp_reply_state state = SMTP_REPLY_MORE;
	char line[LIMIT_SMTP_REPLY_LINE + 1];
	enum smtp_status status;
	size_t length;

	while (state == SMTP_REPLY_MORE) {
		status = status_of(stream_read_line(client->stream, line, sizeof(line), &length,
		    deadline));
		if (status == SMTP_GARBLED)
			status = skip_line(client, &reply->octets, deadline);
		if (status == SMTP_GARBLED)
			smtp_reply_garble(reply, line, length);
		if (status != SMTP_ANSWERED)
			return status;
		state = smtp_reply_add(reply, line, length);
		if (features != NULL && reply->lines > 1)
			smtp_features_add(features, line, length);
	}
	return state == SMTP_REPLY_GARBLED ? SMTP_GARBLED : SMTP_ANSWERED;
}

static enum smtp_status
answer(struct smtp_client *client, const char *awaited, struct deadline deadline,
    struct smtp_features *features)
{
	struct smtp_reply reply;
	enum smtp_status status;

	client->awaited = awaited;
	smtp_reply_begin(&reply);
	reply.after_dot = client->committed;
	status = read_lines(client, &reply, deadline, features);
	client->reply = reply.reply;
	client->kept = false;
	/* RFC 5321 3.8: 421 may come at any time, and the host hangs up after it. */
	if (status != SMTP_ANSWERED || client->reply.code == 421)
		client->spent = client->gone = true;
	return status;
}

enum smtp_status
smtp_client_answer(struct smtp_client *client, const char *awaited, struct deadline deadline)
{
	return answer(client, awaited, deadline, NULL);
}

static void __attribute__((format(printf, 2, 0)))
say(struct smtp_client *client, const char *format, va_list args)
{
	struct buf line = { 0 };

	buf_vprintf(&line, format, args);
	buf_add(&line, "\r\n", 2);
	(void)stream_write(client->stream, line.data, line.length,
	    smtp_client_command_deadline(client), 0);
	buf_free(&line);
}

void
smtp_client_say(struct smtp_client *client, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(client, format, args);
	va_end(args);
}

/* A host that hung up may have said why before: what could not be sent does not keep us from
 * reading its answer. */
static enum smtp_status
send_and_answer(struct smtp_client *client, const char *awaited, struct smtp_features *features)
{
	struct deadline deadline = smtp_client_command_deadline(client);
	enum smtp_status status;

	client->awaited = awaited;
	status = status_of(stream_flush(client->stream, deadline));
	if (status == SMTP_TIMEOUT || status == SMTP_STOPPED) {
		client->spent = client->gone = true;
		return status;
	}
	return answer(client, awaited, deadline, features);
}

enum smtp_status
smtp_client_command(struct smtp_client *client, const char *awaited, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(client, format, args);
	va_end(args);
	return send_and_answer(client, awaited, NULL);
}

enum smtp_status
smtp_client_greeting(struct smtp_client *client)
{
	return answer(client, "its greeting", smtp_client_command_deadline(client), NULL);
}

enum smtp_status
smtp_client_hello(struct smtp_client *client, const char *hostname, bool helo_allowed)
{
	struct smtp_features offered = { 0 };
	enum smtp_status status;

	memset(&client->features, 0, sizeof(client->features));
	smtp_client_say(client, "EHLO %s", hostname);
	status = send_and_answer(client, "its answer to EHLO", &offered);
	if (status == SMTP_ANSWERED && reply_is_positive(&client->reply)) {
		client->features = offered;
		client->features.esmtp = true;
	} else if (status == SMTP_ANSWERED && reply_is_permanent(&client->reply) && helo_allowed) {
		status = smtp_client_command(client, "its answer to HELO", "HELO %s", hostname);
	}
	return status;
}

enum smtp_status
smtp_client_starttls(struct smtp_client *client)
{
	return smtp_client_command(client, "its answer to STARTTLS", "STARTTLS");
}

void
smtp_client_quit(struct smtp_client *client)
{
	if (client->gone)
		return;
	client->spent = client->gone = true;
	client->command_timeout = QUIT_MS;
	smtp_client_say(client, "QUIT");
	(void)stream_flush(client->stream, deadline_in(QUIT_MS));
}
