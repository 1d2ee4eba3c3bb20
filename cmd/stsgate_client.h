/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How stsgate(1) asks stsgated over the control socket. Messages for the administrator go to
 * stderr; functions that return an exit status have said why it is not EX_OK.
 */
#ifndef CMD_STSGATE_CLIENT_H
#define CMD_STSGATE_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/http.h"
#include "base/conf/conf.h"

#define EXIT_NO	1	/* the answer is no */

struct stsgate_client {
	const struct conf *conf;
	struct http *http;
	bool json;	/* print what stsgated said as it is */
	bool patient;	/* the request may take many minutes */
	/* for stsgate report alone; NULL: not given */
	const char *date, *domain, *dry_run;
	const char *since;	/* for stsgate refused and audit; NULL: not given */
	bool force;
	bool inbound;	/* for stsgate check alone */
	bool watch;	/* for stsgate status alone */
	/* Hears an answer while it comes, on another thread; NULL: none. heard_by must live as long
	 * as http. */
	void (*heard)(void *heard_by, const char *octets, size_t length);
	void (*heard_all)(void *heard_by);	/* before anything is said about the answer */
	void *heard_by;
};

/* EX_OK with the whole answer, whatever its status, or EX_UNAVAILABLE after a message, also where
 * stsgated was being stopped. The caller frees answer->body in either case. */
int stsgate_client_ask(const struct stsgate_client *client, const char *method, const char *path,
    const struct buf *body, struct http_answer *answer);
json_t *stsgate_client_parse(const struct http_answer *answer);	/* NULL after a message */
/* Calls each() for every page of a list, following its "next"; path may have a query. EX_OK; any
 * other status is after a message. */
int stsgate_client_each_page(const struct stsgate_client *client, const char *path,
    void (*each)(void *context, const json_t *page), void *context);
/* Says in stsgated's own words why a request failed. */
void stsgate_client_complain(const struct http_answer *answer);
void stsgate_client_print_json(const json_t *object);

/* Shows the object of a 200 or 502; 204 has none. is_no tells whether a 200 still means no; NULL:
 * never. EX_OK, or EXIT_NO. */
int stsgate_client_show(const struct stsgate_client *client, const struct http_answer *answer,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object));
/* Both for a path, and for one about a domain. */
int stsgate_client_ask_and_show(const struct stsgate_client *client, const char *method,
    const char *path, void (*show)(FILE *out, const json_t *object),
    bool (*is_no)(const json_t *object));
int stsgate_client_ask_about(const struct stsgate_client *client, const char *method,
    const char *before, const char *domain, const char *after,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object));

#endif
