/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One mail transaction on an open connection: MAIL, RCPT, DATA and the content (RFC 5321 3.3),
 * pipelined where the host offers it (RFC 2920).
 */
#ifndef SHIM_SMTP_SMTP_SEND_H
#define SHIM_SMTP_SMTP_SEND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/reply.h"
#include "shim/message/body.h"
#include "shim/smtp/smtp_client.h"

#define SMTP_RCPTS_MAX	100	/* of one transaction, RFC 5321 4.5.3.1.8 */

enum smtp_rcpt_state {
	SMTP_RCPT_OPEN,	/* nothing is known yet */
	SMTP_RCPT_TAKEN,	/* shares the fate of the message */
	SMTP_RCPT_REFUSED,	/* has its own answer */
	SMTP_RCPT_LATER,	/* too many for one transaction: belongs into a further one */
	SMTP_RCPT_AGAIN	/* refused on a kept connection: to be repeated on a fresh one */
};

struct smtp_rcpt {
	const char *path;	/* as it goes on the wire, without <> */
	enum smtp_rcpt_state state;
};

struct smtp_message {
	const char *sender;	/* as it goes on the wire, without <> */
	bool smtputf8, eightbit, requiretls;	/* parameters of MAIL: needed, and offered */
	const struct body *body;
	bool worn;	/* the connection has served before: a no may be meant for it alone */
	struct smtp_rcpt *rcpts;
	size_t rcpt_count;
	struct reply again;	/* the last refusal of one that is AGAIN */
	void (*begun)(void *context);	/* MAIL was accepted */
	void (*refused)(void *context, size_t rcpt, const struct reply *reply);	/* at RCPT */
	bool (*abandoned)(void *context);	/* called before the final dot is sent */
	void *context;
};

enum smtp_fate {
	SMTP_FATE_DELIVERED,	/* the answer to the final dot is 2xx: TAKEN have the message */
	SMTP_FATE_REFUSED,	/* client->reply is the no to all that are TAKEN, if any are */
	SMTP_FATE_ELSEWHERE,	/* before the final dot the host or the connection failed, as status
				   tells: OPEN, TAKEN and AGAIN may be tried elsewhere; after a 5xx,
				   from a worn connection, on a fresh one to the same host */
	SMTP_FATE_UNKNOWN,	/* lost after the final dot, as status tells: TAKEN may have been
				   delivered */
	SMTP_FATE_BROKEN_OFF,	/* the MTA has hung up; the dot was not sent */
	SMTP_FATE_UNREADABLE	/* the content cannot be read back; the dot was not given */
};

enum smtp_fate smtp_send(struct smtp_client *client, struct smtp_message *message,
    enum smtp_status *status);

#endif
