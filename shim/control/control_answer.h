/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answer to one request on the control socket.
 */
#ifndef SHIM_CONTROL_CONTROL_ANSWER_H
#define SHIM_CONTROL_CONTROL_ANSWER_H

#include "base/domain.h"

#define ALLOW_MAX	32	/* "GET, POST, DELETE" and more */

struct control_answer {
	unsigned status;	/* 200, 204, 400, 404, 405, 413, 500, 502, 503 */
	char *text;	/* freed with free(); NULL with 204 */
	const char *type;	/* media type; NULL: application/json */
	struct control_stream *stream;	/* in place of text; NULL: text is all */
	char allow[ALLOW_MAX];	/* with 405: the methods that the path takes */
};

/* {"error": "..."} */
void control_refuse(struct control_answer *answer, unsigned status, const char *error);
/* 0 with the A-label form of a name, or -1 with 400 answered. */
int control_domain(const char *text, struct domain *domain, struct control_answer *answer);

#endif
