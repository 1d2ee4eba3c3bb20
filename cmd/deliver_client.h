/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Hands one message to stsgated by LMTP and says with which status the MTA is to be told. In doubt
 * that is EX_TEMPFAIL: the MTA keeps the message. Uses libc alone.
 */
#ifndef CMD_DELIVER_CLIENT_H
#define CMD_DELIVER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "shim/message/body.h"

struct deliver_request {
	const char *sender;	/* without <>; "" is the null sender */
	char *const *rcpts;	/* without <> */
	size_t rcpt_count;
	const struct body *body;
};

/* The whole dialogue on a connected socket, which is closed. Final replies go to stdout, a line
 * each. */
int deliver_client_send(int fd, const struct deliver_request *request);

/* The exit status of two outcomes together: 0 when both are, EX_TEMPFAIL as soon as one is. */
int deliver_client_merge(int status, int other);

/* May this stand between < and > of a command, without ending it? */
bool deliver_client_is_path(const char *text);

#endif
