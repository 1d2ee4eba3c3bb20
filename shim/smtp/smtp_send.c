/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/stream.h"
#include "shim/smtp/smtp_send.h"

/* Octets of commands on the way before their answers are read: less than any host takes in without
 * looking, so that never both sides wait with full buffers (RFC 2920 3.1). */
#define FLIGHT	4096
#define CHUNK	(32 * 1024)	/* octets of content read at a time */
#define LAST_WORDS_MS	2000	/* for what a host may have said before it hung up on the content */

/* How the transaction goes on after one answer. */
enum turn {
	TURN_ON,
	TURN_CONTENT,	/* DATA was accepted, and a recipient is left */
	TURN_EMPTY,	/* DATA was accepted without any recipient */
	TURN_REFUSED,
	TURN_ELSEWHERE
};

/* The commands are numbered: MAIL, one RCPT each, DATA. */
static size_t
number_of_data(const struct smtp_message *message)
{
	return message->rcpt_count + 1;
}

static size_t
count_state(const struct smtp_message *message, enum smtp_rcpt_state state)
{
	size_t i, count = 0;

	for (i = 0; i < message->rcpt_count; i++)
		count += message->rcpts[i].state == state;
	return count;
}

static size_t
say_mail(struct smtp_client *client, const struct smtp_message *message)
{
	char size[32] = "";

	if (client->features.size)	/* RFC 1870 6 */
		snprintf(size, sizeof(size), " SIZE=%" PRIu64, body_size(message->body));
	smtp_client_say(client, "MAIL FROM:<%s>%s%s%s%s", message->sender, size,
	    message->eightbit ? " BODY=8BITMIME" : "", message->smtputf8 ? " SMTPUTF8" : "",
	    message->requiretls ? " REQUIRETLS" : "");	/* RFC 8689 2 */
	return strlen(message->sender) + sizeof(" BODY=8BITMIME SMTPUTF8 REQUIRETLS");
}

/* Returns about how many octets it was. */
static size_t
say(struct smtp_client *client, const struct smtp_message *message, size_t number)
{
	const char *path;

	if (number == 0)
		return say_mail(client, message) + 64;
	if (number == number_of_data(message)) {
		smtp_client_say(client, "DATA");
		return 6;
	}
	path = message->rcpts[number - 1].path;
	smtp_client_say(client, "RCPT TO:<%s>", path);
	return strlen(path) + 12;
}

static void
take_open(struct smtp_message *message)
{
	size_t i;

	for (i = 0; i < message->rcpt_count; i++)
		if (message->rcpts[i].state == SMTP_RCPT_OPEN)
			message->rcpts[i].state = SMTP_RCPT_TAKEN;
}

/* "Too many mails per connection", "bad sequence of commands": what a connection that has served
 * hears need not be about the message, and no bounce must come of it. */
static bool
may_be_the_connection(const struct smtp_message *message, const struct reply *reply)
{
	return message->worn && reply_is_permanent(reply);
}

/* At RCPT a plain 5xx is about the recipient. */
static bool
rcpt_may_be_the_connection(const struct smtp_message *message, const struct reply *reply)
{
	const char *subject = reply->enhanced[0] != '\0' ? reply->enhanced + 1 : "";

	return message->worn &&
	    (reply->code == 503 || reply->code == 554 || strncmp(subject, ".5.", 3) == 0 ||
		strncmp(subject, ".7.", 3) == 0);
}

static enum turn
hear_mail(struct smtp_client *client, struct smtp_message *message)
{
	if (reply_is_positive(&client->reply)) {
		client->in_transaction = true;
		message->begun(message->context);
		return TURN_ON;
	}
	client->spent = true;	/* with answers to a whole flight still to come */
	if (!reply_is_permanent(&client->reply) || may_be_the_connection(message, &client->reply))
		return TURN_ELSEWHERE;
	take_open(message);
	return TURN_REFUSED;
}

/* RFC 5321 4.5.3.1.10: "too many recipients" is no verdict on this one, as long as others were
 * taken. 452 is the code for it, 552 that of older hosts, and x.5.3 says it beyond doubt. */
static bool
is_too_many(const struct reply *reply)
{
	if (reply->code == 552)
		return strcmp(reply->enhanced, "5.2.2") != 0;	/* mailbox full */
	if (reply->enhanced[0] == '\0')
		return reply->code == 452;
	return strcmp(reply->enhanced + 1, ".5.3") == 0;
}

static enum turn
hear_rcpt(struct smtp_client *client, struct smtp_message *message, size_t number)
{
	struct smtp_rcpt *rcpt = &message->rcpts[number];

	if (client->reply.code == 421)
		return TURN_ELSEWHERE;
	if (reply_is_positive(&client->reply)) {
		rcpt->state = SMTP_RCPT_TAKEN;
	} else if (is_too_many(&client->reply) && count_state(message, SMTP_RCPT_TAKEN) > 0) {
		rcpt->state = SMTP_RCPT_LATER;
	} else if (rcpt_may_be_the_connection(message, &client->reply)) {
		rcpt->state = SMTP_RCPT_AGAIN;
		message->again = client->reply;
	} else {
		rcpt->state = SMTP_RCPT_REFUSED;
		message->refused(message->context, number, &client->reply);
	}
	return TURN_ON;
}

static enum turn
hear_data(struct smtp_client *client, const struct smtp_message *message)
{
	bool anybody = count_state(message, SMTP_RCPT_TAKEN) > 0;

	if (client->reply.code == 421)
		return anybody ? TURN_ELSEWHERE : TURN_REFUSED;
	if (client->reply.code / 100 == 3)
		return anybody ? TURN_CONTENT : TURN_EMPTY;
	if (anybody && may_be_the_connection(message, &client->reply))
		return TURN_ELSEWHERE;
	/* It is not known whether the host now waits for content. */
	if (reply_is_positive(&client->reply))
		client->spent = true;
	return TURN_REFUSED;
}

static enum turn
hear(struct smtp_client *client, struct smtp_message *message, size_t number,
    enum smtp_status *status)
{
	bool mail = number == 0, data = number == number_of_data(message);

	*status = smtp_client_answer(client,
	    mail       ? "its answer to MAIL"
		: data ? "its answer to DATA"
		       : "its answer to RCPT",
	    smtp_client_command_deadline(client));
	if (*status != SMTP_ANSWERED)
		return data && count_state(message, SMTP_RCPT_TAKEN) == 0 ? TURN_REFUSED
									  : TURN_ELSEWHERE;
	if (mail)
		return hear_mail(client, message);
	return data ? hear_data(client, message) : hear_rcpt(client, message, number - 1);
}

/* MAIL to DATA, as many commands in one flight as the host allows. */
static enum turn
envelope(struct smtp_client *client, struct smtp_message *message, enum smtp_status *status)
{
	size_t said = 0, heard = 0, octets, data = number_of_data(message);
	enum turn turn = TURN_ON;

	while (turn == TURN_ON) {
		if (heard == data && count_state(message, SMTP_RCPT_TAKEN) == 0)
			return TURN_REFUSED;	/* no recipient is left */
		octets = 0;
		do {
			octets += say(client, message, said++);
		} while (client->features.pipelining && said <= data && octets < FLIGHT);
		/* A failure to send shows at the reply. */
		(void)stream_flush(client->stream, smtp_client_command_deadline(client));
		while (turn == TURN_ON && heard < said)
			turn = hear(client, message, heard++, status);
	}
	return turn;
}

/* RFC 2920 3.1: a host that accepts DATA after refusing all recipients gets no content. */
static void
send_nothing(struct smtp_client *client)
{
	(void)smtp_client_command(client, "its answer to an empty message", ".");
	client->in_transaction = false;
}

/* RFC 5321 4.5.2: a dot at the beginning of a line is doubled. */
static enum stream_status
write_stuffed(struct smtp_client *client, const char *octets, size_t length, bool *line_begins)
{
	enum stream_status status = STREAM_OK;
	const char *next;
	size_t part;

	while (length > 0 && status == STREAM_OK) {
		if (*line_begins && *octets == '.')
			status = stream_write(client->stream, ".", 1, client->data_deadline,
			    client->data_timeout);
		next = memmem(octets, length, "\n.", 2);
		part = next != NULL ? (size_t)(next - octets) + 1 : length;
		if (status == STREAM_OK)
			status = stream_write(client->stream, octets, part, client->data_deadline,
			    client->data_timeout);
		*line_begins = octets[part - 1] == '\n';
		octets += part;
		length -= part;
	}
	return status;
}

/* A host that hangs up on the content may have said why, and that is its answer. */
static enum smtp_fate
hear_last_words(struct smtp_client *client, enum stream_status failure, enum smtp_status *status)
{
	*status = SMTP_TIMEOUT;
	if (failure != STREAM_TIMEOUT)
		*status = smtp_client_answer(client, "", deadline_in(LAST_WORDS_MS));
	client->awaited = "progress while sending the content";
	if (*status == SMTP_ANSWERED && client->reply.code >= 400 && client->reply.code != 421)
		return SMTP_FATE_REFUSED;
	return SMTP_FATE_ELSEWHERE;
}

/* An answer ahead of its question would be taken for the one to the dot: a message that was refused
 * would count as delivered. */
static enum smtp_fate
hear_too_early(struct smtp_client *client, enum smtp_status *status)
{
	struct reply *reply = &client->reply;
	char line[REPLY_LINE_MAX + 1];

	*status = smtp_client_answer(client, "", deadline_in(LAST_WORDS_MS));
	reply_line(reply, line);
	reply_set(reply, 0, NULL, "before the message was over: %s",
	    *status == SMTP_ANSWERED ? line : reply->text);
	*status = SMTP_GARBLED;
	return SMTP_FATE_ELSEWHERE;
}

/* All but the final dot. false: the dot must not be sent, and fate says why. */
static bool
send_content(struct smtp_client *client, struct smtp_message *message, char *chunk,
    enum smtp_fate *fate, enum smtp_status *status)
{
	enum stream_status written = STREAM_OK;
	uint64_t offset = 0, sent_before = stream_sent(client->stream);
	bool line_begins = true, abandoned = false;
	ssize_t got;

	while ((got = body_read(message->body, offset, chunk, CHUNK)) > 0) {
		written = write_stuffed(client, chunk, (size_t)got, &line_begins);
		abandoned = message->abandoned(message->context);
		if (written != STREAM_OK || abandoned)
			break;
		offset += (uint64_t)got;
	}
	/* A small message goes with its dot. */
	if (got == 0 && stream_sent(client->stream) != sent_before)
		written = stream_flush_slowly(client->stream, client->data_deadline,
		    client->data_timeout);
	/* A message that the MTA will send again must not be delivered now. */
	*fate = SMTP_FATE_BROKEN_OFF;
	if (abandoned || message->abandoned(message->context))
		return false;
	*fate = SMTP_FATE_UNREADABLE;
	if (got < 0)
		return false;
	/* A host known to be gone is tried elsewhere; one that is lost after the dot cannot be. */
	if (written != STREAM_OK || stream_peer_gone(client->stream))
		*fate = hear_last_words(client, written, status);
	else if (stream_look(client->stream, client->data_deadline))
		*fate = hear_too_early(client, status);
	else
		return true;
	return false;
}

/* From here on the host may have the message, whatever we hear of it: its reply is awaited, even
 * when the MTA has hung up. */
static enum smtp_fate
give_the_dot(struct smtp_client *client, enum smtp_status *status)
{
	struct deadline deadline = deadline_in(client->final_timeout);

	client->committed = true;
	(void)stream_write(client->stream, ".\r\n", 3, deadline, 0);
	(void)stream_flush(client->stream, deadline);
	*status = smtp_client_answer(client, "its answer to the content", deadline);
	client->committed = false;
	client->in_transaction = false;
	if (*status != SMTP_ANSWERED)
		return SMTP_FATE_UNKNOWN;
	return reply_is_positive(&client->reply) ? SMTP_FATE_DELIVERED : SMTP_FATE_REFUSED;
}

static enum smtp_fate
content(struct smtp_client *client, struct smtp_message *message, enum smtp_status *status)
{
	char *chunk = xmalloc(CHUNK);
	enum smtp_fate fate;
	bool whole;

	whole = send_content(client, message, chunk, &fate, status);
	free(chunk);
	if (whole)
		return give_the_dot(client, status);
	client->spent = client->gone = true;
	return fate;
}

/* An unsolicited reply would be taken for the reply to the next command, and every later one for
 * that of the next recipient. */
static bool
is_out_of_step(struct smtp_client *client, enum smtp_status *status)
{
	if (!stream_look(client->stream, smtp_client_command_deadline(client)))
		return false;
	*status = smtp_client_answer(client, "its answer to MAIL", deadline_in(LAST_WORDS_MS));
	if (*status == SMTP_ANSWERED)
		*status = SMTP_GARBLED;
	client->spent = true;
	return true;
}

static bool
begin(struct smtp_client *client, const struct smtp_message *message, enum smtp_status *status)
{
	if (message->worn && is_out_of_step(client, status))
		return false;
	if (!client->in_transaction)
		return true;
	client->in_transaction = false;
	*status = smtp_client_command(client, "its answer to RSET", "RSET");
	/* RFC 5321 4.1.1.5: there is nothing to refuse. A no is none to the recipients. */
	if (*status == SMTP_ANSWERED && !reply_is_positive(&client->reply))
		*status = SMTP_GARBLED;
	return *status == SMTP_ANSWERED;
}

static enum smtp_fate
transact(struct smtp_client *client, struct smtp_message *message, enum smtp_status *status)
{
	if (!begin(client, message, status))
		return SMTP_FATE_ELSEWHERE;
	switch (envelope(client, message, status)) {
	case TURN_CONTENT:
		return content(client, message, status);
	case TURN_EMPTY:
		send_nothing(client);
		break;
	case TURN_ELSEWHERE:
		return SMTP_FATE_ELSEWHERE;
	case TURN_ON:
	case TURN_REFUSED:
		break;
	}
	return SMTP_FATE_REFUSED;
}

enum smtp_fate
smtp_send(struct smtp_client *client, struct smtp_message *message, enum smtp_status *status)
{
	enum smtp_fate fate;

	*status = SMTP_ANSWERED;
	fate = transact(client, message, status);
	if (fate == SMTP_FATE_ELSEWHERE && *status == SMTP_STOPPED)
		return SMTP_FATE_BROKEN_OFF;
	return fate;
}
