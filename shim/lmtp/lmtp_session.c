/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/stream.h"
#include "base/thread.h"
#include "shim/lmtp/lmtp_answer.h"
#include "shim/lmtp/lmtp_command.h"
#include "shim/lmtp/lmtp_content.h"
#include "shim/lmtp/lmtp_session.h"

#define PAUSE_MS	1000	/* longer than a busy MTA is silent between two commands */

struct lmtp_session {
	struct lmtp_service *service;
	const struct conf *conf;
	struct stream *stream;
	bool hello;	/* LHLO was accepted */
	bool over;	/* nothing more is read */
	unsigned bad_commands;	/* since the last message */

	/* From here on the transaction's, empty between two of them. */
	bool mail;	/* MAIL was accepted */
	bool chunking;	/* BDAT has begun: DATA, MAIL and RCPT are too late (RFC 3030 2) */
	struct lmtp_message message;
	struct lmtp_content content;

	char line[LIMIT_LMTP_COMMAND_LINE - 1];	/* without CRLF, with NUL */
};

static struct deadline
patience(const struct lmtp_session *session)
{
	return deadline_in(session->service->wait_ms);
}

static void
say(struct lmtp_session *session, const struct reply *reply)
{
	session->over |= !lmtp_answer_write(session->service, session->conf, session->stream,
	    reply);
}

static void
answer(struct lmtp_session *session, int code, const char *enhanced, const char *text)
{
	struct reply reply;

	reply_set(&reply, code, enhanced, "%s", text);
	say(session, &reply);
}

static void
flush(struct lmtp_session *session)
{
	if (stream_flush(session->stream, patience(session)) != STREAM_OK)
		session->over = true;
}

/* Between transactions 421 is right: the MTA keeps everything and comes again. */
static void
hang_up(struct lmtp_session *session, const char *enhanced, const char *text)
{
	answer(session, 421, enhanced, text);
	session->over = true;
}

/* For what a sane MTA never sends. */
static void
complain(struct lmtp_session *session, const struct reply *reply)
{
	say(session, reply);
	if (++session->bad_commands >= LIMIT_LMTP_BAD_COMMANDS)
		hang_up(session, "4.7.0", "too many invalid commands");
}

static void
complain_order(struct lmtp_session *session, const char *text)
{
	struct reply reply;

	reply_set(&reply, 503, "5.5.1", "%s", text);
	complain(session, &reply);
}

static bool
is_draining(const struct lmtp_session *session)
{
	return session->service->stage >= LMTP_DRAINING;
}

static void
reset(struct lmtp_session *session)
{
	if (session->mail)
		session_pool_busy(session->service->pool, false);
	lmtp_content_drop(&session->content);
	free(session->message.rcpts);
	arena_free(session->message.arena);
	session->message = (struct lmtp_message){ .arena = NULL };
	session->mail = session->chunking = false;
}

/* Unique beyond this process's life: microseconds in base 32, and a count against a clock that was
 * set back. */
static const char *
make_id(struct lmtp_session *session)
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	uint64_t count = session->service->transactions++;
	struct timespec now;
	char id[14] = "";
	uint64_t value;
	size_t i;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		abort();
	value = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	value = value << 10 | (count & 1023);
	for (i = sizeof(id) - 1; i-- > 0; value >>= 5)
		id[i] = digits[value & 31];
	return arena_strdup(session->message.arena, id);
}

/* Ends a session whose input has failed. */
static void
end_input(struct lmtp_session *session, enum stream_status status)
{
	if (is_draining(session))
		hang_up(session, "4.3.2", "stsgate is stopping");
	else if (status == STREAM_TIMEOUT)
		hang_up(session, "4.4.2", "no command or data for too long");
	session->over = true;
}

static void
obey_lhlo(struct lmtp_session *session)
{
	const struct conf *conf = session->conf;

	reset(session);
	session->hello = true;
	/* RFC 2033 5: the first two are a must. */
	if (stream_printf(session->stream, patience(session),
		"250-%s\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
		"250-SMTPUTF8\r\n250-SIZE %" PRIu64 "\r\n250-CHUNKING\r\n250 REQUIRETLS\r\n",
		conf->hostname, conf->lmtp.max_message_size) != STREAM_OK)
		session->over = true;
}

static void
begin_transaction(struct lmtp_session *session, const struct lmtp_command *command)
{
	struct reply reply;
	const char *why;

	session->message.arena = arena_new();
	if (address_parse(session->message.arena, command->path, command->path_length, true,
		&session->message.sender, &why) != 0) {
		reply_set(&reply, 553, "5.1.7", "sender: %s", why);
		say(session, &reply);
		reset(session);
		return;
	}
	session->mail = true;
	session->message.conf = session->conf;
	session_pool_busy(session->service->pool, true);
	session->message.id = make_id(session);
	session->message.smtputf8 = command->smtputf8;
	session->message.body_8bitmime = command->body_8bitmime;
	session->message.requiretls = command->requiretls;
	answer(session, 250, "2.1.0", "sender ok");
}

static void
refuse_size(struct lmtp_session *session)
{
	metrics_count(METRIC_MESSAGES_REFUSED, "size", NULL);
	answer(session, 552, "5.3.4", "the message is too large (lmtp.max-message-size)");
}

static void
obey_mail(struct lmtp_session *session, const struct lmtp_command *command)
{
	if (!session->hello)
		complain_order(session, "say LHLO first");
	else if (session->mail)
		complain_order(session, "nested MAIL command");
	else if (command->size > session->conf->lmtp.max_message_size)
		refuse_size(session);
	else
		begin_transaction(session, command);
}

static void
add_rcpt(struct lmtp_session *session, const struct address *address)
{
	struct lmtp_message *message = &session->message;

	if (message->rcpt_count == message->rcpt_room) {
		message->rcpt_room = message->rcpt_room == 0 ? 4 : message->rcpt_room * 2;
		message->rcpts = xrealloc(message->rcpts,
		    message->rcpt_room * sizeof(*message->rcpts));
	}
	message->rcpts[message->rcpt_count++] = (struct rcpt){ .address = *address };
	answer(session, 250, "2.1.5", "recipient ok");
}

static void
obey_rcpt(struct lmtp_session *session, const struct lmtp_command *command)
{
	struct address address;
	struct reply reply;
	const char *why;

	if (!session->mail) {
		complain_order(session, "say MAIL first");
	} else if (session->chunking) {
		complain_order(session, "the message has begun");
	} else if (session->message.rcpt_count >= session->conf->lmtp.max_recipients) {
		answer(session, 452, "4.5.3", "too many recipients (lmtp.max-recipients)");
	} else if (address_parse(session->message.arena, command->path, command->path_length, false,
		       &address, &why) != 0) {
		reply_set(&reply, 553, "5.1.3", "recipient: %s", why);
		say(session, &reply);
	} else {
		add_rcpt(session, &address);
	}
}

static void
finish_message(struct lmtp_session *session)
{
	bool told;

	lmtp_content_end(&session->content);
	if (session->content.refusal.code != 0)
		told = lmtp_answer_refuse(session->service, session->stream, &session->message,
		    &session->content.refusal);
	else
		told = lmtp_answer_deliver(session->service, session->stream, &session->message,
		    session->content.body);
	session->over |= !told;
	session->bad_commands = 0;
	reset(session);
}

static struct lmtp_pace
pace_of(const struct lmtp_session *session)
{
	return (struct lmtp_pace){ .step_ms = session->service->wait_ms,
		.all = deadline_in(session->service->message_ms) };
}

static void
begin_content(struct lmtp_session *session)
{
	lmtp_content_begin(&session->content, session->service->spool,
	    session->conf->lmtp.max_message_size);
}

/* NULL, or why no content can come now. */
static const char *
content_obstacle(const struct lmtp_session *session)
{
	if (!session->mail)
		return "say MAIL first";
	/* RFC 2033 4.2 */
	return session->message.rcpt_count == 0 ? "no recipient has been accepted" : NULL;
}

static void
obey_data(struct lmtp_session *session)
{
	const char *obstacle = content_obstacle(session);
	struct lmtp_pace pace = pace_of(session);
	enum stream_status status;

	if (obstacle == NULL && session->chunking)
		obstacle = "the message has begun with BDAT";
	if (obstacle != NULL) {
		complain_order(session, obstacle);
		return;
	}
	answer(session, 354, "", "end the message with a dot on a line of its own");
	flush(session);
	begin_content(session);
	status = lmtp_content_read_data(&session->content, session->stream, &pace);
	if (status == STREAM_OK)
		finish_message(session);
	else
		end_input(session, status);
}

static void
answer_chunk(struct lmtp_session *session, uint64_t octets)
{
	struct reply reply;

	reply_set(&reply, 250, "2.0.0", "%" PRIu64 " octets received", octets);
	/* A chunk that was refused spoils the message; the last one answers for each recipient. */
	say(session, session->content.refusal.code != 0 ? &session->content.refusal : &reply);
}

static void
obey_bdat(struct lmtp_session *session, const struct lmtp_command *command)
{
	const char *obstacle = content_obstacle(session);
	struct lmtp_pace pace = pace_of(session);
	enum stream_status status;

	flush(session);
	if (obstacle == NULL && !session->chunking) {
		begin_content(session);
		session->chunking = true;
	}
	/* RFC 3030 2: the octets come whether they are wanted or not. */
	status = lmtp_content_read_chunk(obstacle == NULL ? &session->content : NULL,
	    session->stream, command->size, &pace);
	if (status != STREAM_OK)
		end_input(session, status);
	else if (obstacle != NULL)
		complain_order(session, obstacle);
	else if (command->last)
		finish_message(session);
	else
		answer_chunk(session, command->size);
}

static void
obey(struct lmtp_session *session, const struct lmtp_command *command)
{
	switch (command->verb) {
	case LMTP_UNKNOWN:
		break;
	case LMTP_LHLO:
		obey_lhlo(session);
		break;
	case LMTP_HELO:
		/* RFC 2033 4.1 */
		complain(session, &(struct reply){ 500, "5.5.1", false, "this is LMTP: say LHLO" });
		break;
	case LMTP_MAIL:
		obey_mail(session, command);
		break;
	case LMTP_RCPT:
		obey_rcpt(session, command);
		break;
	case LMTP_DATA:
		obey_data(session);
		break;
	case LMTP_BDAT:
		obey_bdat(session, command);
		break;
	case LMTP_RSET:
		reset(session);
		answer(session, 250, "2.0.0", "reset");
		break;
	case LMTP_NOOP:
		answer(session, 250, "2.0.0", "ok");
		break;
	case LMTP_VRFY:
		answer(session, 252, "2.0.0", "only a delivery can tell");
		break;
	case LMTP_QUIT:
		answer(session, 221, "2.0.0", "bye");
		session->over = true;
		break;
	}
}

/* Replies are held back while the next command is there already (RFC 2920 3.2). */
static bool
command_waits(struct lmtp_session *session)
{
	const char *octets;
	size_t length;

	return stream_has_input(session->stream) &&
	    stream_peek(session->stream, &octets, &length, patience(session)) == STREAM_OK &&
	    memchr(octets, '\n', length) != NULL;
}

/* A session that pauses has a small stack, whatever its last message took. */
static void
await_command(struct lmtp_session *session)
{
	struct deadline pause = deadline_earlier(patience(session), deadline_in(PAUSE_MS));
	const char *octets;
	size_t length;

	if (!stream_has_input(session->stream) &&
	    stream_peek(session->stream, &octets, &length, pause) == STREAM_TIMEOUT)
		thread_release_stack();
}

static enum stream_status
read_command(struct lmtp_session *session, size_t *length, bool *too_long)
{
	struct deadline deadline = patience(session);
	enum stream_status status;

	await_command(session);
	*too_long = false;
	for (;;) {
		status = stream_read_line(session->stream, session->line, sizeof(session->line),
		    length, deadline);
		if (status != STREAM_LONG)
			return status;
		*too_long = true; /* and on to where the next one starts */
	}
}

static void
serve_command(struct lmtp_session *session)
{
	struct lmtp_command command;
	enum stream_status status;
	struct reply error;
	size_t length;
	bool too_long;

	if (is_draining(session) && !session->mail) {
		hang_up(session, "4.3.2", "stsgate is stopping");
		return;
	}
	if (!command_waits(session))
		flush(session);
	status = read_command(session, &length, &too_long);
	if (status != STREAM_OK) {
		end_input(session, status);
	} else if (too_long) {
		reply_set(&error, 500, "5.5.2", "the line is too long");
		complain(session, &error);
	} else if (lmtp_command_parse(session->line, length, &command, &error) == 0) {
		obey(session, &command);
	} else {
		complain(session, &error);
		/* Nobody knows how many octets follow, and none of them may pass for a command. */
		session->over |= command.verb == LMTP_BDAT;
	}
}

void
lmtp_session_serve(struct lmtp_service *service, const struct conf *conf, int fd)
{
	struct lmtp_session *session = xcalloc(1, sizeof(*session));
	struct reply greeting;

	session->service = service;
	session->conf = conf;
	session->stream = stream_new_fd(fd);
	reply_set(&greeting, 220, "", "%s LMTP stsgate ready", conf->hostname);
	say(session, &greeting);
	while (!session->over)
		serve_command(session);
	(void)stream_flush(session->stream, patience(session));
	reset(session);
	stream_free(session->stream);
	free(session);
}
