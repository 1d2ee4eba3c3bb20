/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One SMTP connection from our side: greeting, EHLO, STARTTLS, QUIT, and the command and answer
 * that everything is made of (RFC 5321, 3207). It sends commands and returns the replies; callers
 * decide. Belongs to one thread.
 */
#ifndef SHIM_SMTP_SMTP_CLIENT_H
#define SHIM_SMTP_SMTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/reply.h"
#include "base/stream.h"
#include "shim/smtp/smtp_reply.h"

enum smtp_status {
	SMTP_ANSWERED,	/* client->reply is what the peer said, yes or no */
	SMTP_LOST,	/* closed or reset */
	SMTP_TIMEOUT,
	SMTP_GARBLED,	/* what the peer said is no reply: code 0, its beginning as text */
	SMTP_STOPPED	/* the stream's watch broke it off */
};

struct smtp_client {
	struct stream *stream;
	int64_t command_timeout, data_timeout, final_timeout;	/* milliseconds */
	struct deadline deadline;	/* of every command */
	/* One that has answered EHLO gets more: its whole command_timeout, where that ends before
	 * limit, and otherwise half of what is left until then. */
	bool known;
	struct deadline limit;
	struct deadline data_deadline;	/* of the content, up to its final dot */
	struct smtp_features features;	/* of the last EHLO */
	struct reply reply;	/* the last one */
	const char *awaited;	/* what the last wait was for: "its answer to MAIL" */
	bool kept;	/* between two messages until now: its next answer is the first since */
	bool in_transaction;	/* MAIL was accepted and not ended by a final dot */
	bool spent;	/* no further transaction can be had on it */
	bool gone;	/* and nothing more may be said, not even QUIT */
	bool committed;	/* the host may have the message: its answer is waited out */
};

enum smtp_status smtp_client_greeting(struct smtp_client *client);
/* EHLO, and HELO after a 5xx where helo_allowed. Forgets what was offered before. */
enum smtp_status smtp_client_hello(struct smtp_client *client, const char *hostname,
    bool helo_allowed);
enum smtp_status smtp_client_starttls(struct smtp_client *client);
/* Says good-bye unless gone, and does not wait for the answer. */
void smtp_client_quit(struct smtp_client *client);

/* The parts. awaited is a constant text. */
enum smtp_status smtp_client_command(struct smtp_client *client, const char *awaited,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void smtp_client_say(struct smtp_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));	/* joins a flight; a failure shows at the answer */
enum smtp_status smtp_client_answer(struct smtp_client *client, const char *awaited,
    struct deadline deadline);
struct deadline smtp_client_command_deadline(const struct smtp_client *client);

#endif
