/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How does the MTA learn what became of a message? One final reply for each accepted recipient, in
 * the order of RCPT (RFC 2033 4.2), each written the moment it and all before it are decided.
 * Called on the session's thread.
 */
#ifndef SHIM_LMTP_LMTP_ANSWER_H
#define SHIM_LMTP_LMTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/reply.h"
#include "base/stream.h"
#include "shim/lmtp/lmtp_session.h"

/* The MTA's commands for one message. Strings live in the arena. */
struct lmtp_message {
	struct arena *arena;
	const struct conf *conf;	/* that its session began with */
	const char *id;
	struct address sender;
	bool smtputf8, body_8bitmime, requiretls;	/* asked on MAIL */
	struct rcpt *rcpts;	/* on the heap */
	size_t rcpt_count, rcpt_room;
};

/* Each returns false when the MTA can no longer be reached. */

/* One reply line, not flushed. */
bool lmtp_answer_write(const struct lmtp_service *service, const struct conf *conf,
    struct stream *stream, const struct reply *reply);
/* The same for every recipient. */
bool lmtp_answer_refuse(const struct lmtp_service *service, struct stream *stream,
    const struct lmtp_message *message, const struct reply *reply);
/* Delivers, and answers as it goes. */
bool lmtp_answer_deliver(const struct lmtp_service *service, struct stream *stream,
    const struct lmtp_message *message, const struct body *body);

#endif
