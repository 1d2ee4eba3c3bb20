/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Hands one message of our own to the site's MTA by SMTP, with libcurl: neither TLS nor login, so
 * for loopback or a network of one's own. Blocks; any thread.
 */
#ifndef REPORT_SMTP_SUBMIT_H
#define REPORT_SMTP_SUBMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/deadline.h"
#include "base/wait.h"

struct smtp_submission {
	const char *server;	/* "host:port" or "host", as in smtp://host:port */
	const char *helo;
	const char *sender;	/* addresses without angle brackets, quoted where they need it */
	const char *recipient;
	const char *message;	/* 7-bit, CRLF */
	size_t length;
	struct deadline deadline;
	struct watch watch;	/* is it to be given up? */
};

/* 0: the server has taken the message. -1 with the reason, in its own words where it had any. */
int smtp_submit(const struct smtp_submission *submission, char *why, size_t why_room);

#endif
