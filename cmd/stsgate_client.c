/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/conf/conf_value.h"
#include "cmd/stsgate_client.h"

#define ANSWER_TIME_MS	(90 * 1000)	/* stsgated bounds its own look-ups below this */
#define SENDING_TIME_MS	(30 * 60 * 1000)	/* a page of reports, each receiver silent */
#define STATUS_STOPPING	503

static const char *
control_path(const struct conf *conf)
{
	const struct conf_listener *listener = &conf->control.listener;

	for (size_t i = 0; i < listener->count; i++)
		if (endpoint_path(&listener->listen[i]) != NULL)
			return endpoint_path(&listener->listen[i]);
	return NULL;
}

int
client_ask(const struct client *client, const char *method, const char *path,
    const struct buf *body, struct http_answer *answer)
{
	struct buf url = { 0 };
	const char *socket_path = control_path(client->conf);
	struct http_request request = {
		.method = method,
		.host = "localhost",
		.unix_path = socket_path,
		.max_body = LIMIT_CONTROL_BODY,
		.allow_private = true,
		.heard = client->heard,
		.heard_by = client->heard_by,
		.deadline = deadline_in(client->patient ? SENDING_TIME_MS : ANSWER_TIME_MS),
	};

	memset(answer, 0, sizeof(*answer));
	if (body != NULL) {
		request.content_type = "application/jsonl";
		request.body = buf_text(body);
		request.body_length = body->length;
	}
	if (socket_path == NULL) {
		fputs("stsgate: control.listen has no Unix socket to ask stsgated by\n", stderr);
		return EX_UNAVAILABLE;
	}
	buf_printf(&url, "http://localhost%s", path);
	request.url = buf_text(&url);
	http_perform(client->http, &request, answer);
	if (client->heard_all != NULL)
		client->heard_all(client->heard_by);
	buf_free(&url);
	if (answer->outcome == HTTP_ANSWERED && answer->status == STATUS_STOPPING) {
		client_complain(answer);
		return EX_UNAVAILABLE;
	}
	if (answer->outcome == HTTP_ANSWERED)
		return EX_OK;
	fprintf(stderr, "stsgate: stsgated does not answer at %s: %s\n", socket_path,
	    answer->reason);
	return EX_UNAVAILABLE;
}

void
client_complain(const struct http_answer *answer)
{
	json_t *object = json_loadb(buf_text(&answer->body), answer->body.length, 0, NULL);
	const char *error = json_string_value(json_object_get(object, "error"));

	fprintf(stderr, "stsgate: %s\n", error == NULL ? "unexpected answer" : error);
	json_decref(object);
}

json_t *
client_parse(const struct http_answer *answer)
{
	json_t *object = json_loadb(buf_text(&answer->body), answer->body.length, 0, NULL);

	if (object == NULL)
		fputs("stsgate: the answer is not JSON\n", stderr);
	return object;
}

void
client_print_json(const json_t *object)
{
	json_dumpf(object, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
}

int
client_show(const struct client *client, const struct http_answer *answer,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object))
{
	json_t *object;
	int status = answer->status == 200 ? EX_OK : EXIT_NO;

	if (answer->status == 204)
		return EX_OK;
	if (answer->status != 200 && answer->status != 502) {
		client_complain(answer);
		return EXIT_NO;
	}
	object = client_parse(answer);
	if (object == NULL)
		return EXIT_NO;
	if (client->json)
		client_print_json(object);
	else
		show(stdout, object);
	if (is_no != NULL && is_no(object))
		status = EXIT_NO;
	json_decref(object);
	return status;
}

int
client_ask_and_show(const struct client *client, const char *method, const char *path,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object))
{
	struct http_answer answer;
	int status = client_ask(client, method, path, NULL, &answer);

	if (status == EX_OK)
		status = client_show(client, &answer, show, is_no);
	buf_free(&answer.body);
	return status;
}

int
client_ask_about(const struct client *client, const char *method, const char *before,
    const char *text, const char *after, void (*show)(FILE *out, const json_t *object),
    bool (*is_no)(const json_t *object))
{
	struct domain domain;
	struct buf path = { 0 };
	int status;

	/* An option behind "--" is more likely than a domain that begins with a hyphen. */
	if (text[0] == '-' || conf_host(text, &domain) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a domain name\n", text);
		return EX_USAGE;
	}
	buf_printf(&path, "%s%s%s", before, domain.name, after);
	status = client_ask_and_show(client, method, buf_text(&path), show, is_no);
	buf_free(&path);
	return status;
}
