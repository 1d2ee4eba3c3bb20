/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/conf/conf_value.h"
#include "cmd/stsgate_client.h"

#define ANSWER_TIME_MS	(90 * 1000)	/* stsgated bounds its own look-ups below this */
#define SENDING_TIME_MS	(30 * 60 * 1000)	/* a page of reports, each receiver silent */
#define PROBE_MS	1000
#define STATUS_STOPPING	503

static const struct endpoint *
control_socket(const struct conf *conf)
{
	const struct conf_listener *listener = &conf->control.listener;

	for (size_t i = 0; i < listener->count; i++)
		if (endpoint_is_unix(&listener->listen[i]))
			return &listener->listen[i];
	return NULL;
}

/* "root, user stsgate and group adm may ask". */
static void
add_who_may(const struct stat *socket, struct buf *words)
{
	const struct passwd *user = getpwuid(socket->st_uid);
	const struct group *group = getgrgid(socket->st_gid);
	bool of_user = (socket->st_mode & S_IWUSR) != 0 && socket->st_uid != 0;

	buf_add_text(words, "root");
	if (of_user && user != NULL)
		buf_printf(words, ", user %s", user->pw_name);
	else if (of_user)
		buf_printf(words, ", user %u", (unsigned)socket->st_uid);
	if ((socket->st_mode & S_IWGRP) != 0 && group != NULL)
		buf_printf(words, ", group %s", group->gr_name);
	else if ((socket->st_mode & S_IWGRP) != 0)
		buf_printf(words, ", group %u", (unsigned)socket->st_gid);
	buf_printf(words,
	    " may ask (its mode is %04o); control.socket-group and socket-mode let"
	    " a group ask",
	    (unsigned)socket->st_mode & 07777);
}

/* Why a socket cannot be connected to, when that is why there is no answer. */
static void
add_reason(const struct endpoint *endpoint, const struct http_answer *answer, struct buf *words)
{
	int fd = endpoint_connect(endpoint, deadline_in(PROBE_MS));
	int error = errno;
	struct stat socket;

	if (fd >= 0) {
		close(fd);
		buf_add_text(words, answer->reason);
	} else if (error == EACCES && stat(endpoint_path(endpoint), &socket) == 0) {
		buf_printf(words, "%s: ", strerror(error));
		add_who_may(&socket, words);
	} else if (error == EACCES) {
		buf_printf(words, "%s: its directory is closed to this user; root may ask",
		    strerror(error));
	} else if (error == ENOENT || error == ECONNREFUSED) {
		buf_printf(words, "%s: stsgated does not run, or control.listen is another",
		    strerror(error));
	} else {
		buf_add_text(words, strerror(error));
	}
}

static void
complain_of_silence(const struct endpoint *endpoint, const struct http_answer *answer)
{
	struct buf words = { 0 };

	add_reason(endpoint, answer, &words);
	fprintf(stderr, "stsgate: stsgated does not answer at %s: %s\n", endpoint_path(endpoint),
	    buf_text(&words));
	buf_free(&words);
}

int
stsgate_client_ask(const struct stsgate_client *client, const char *method, const char *path,
    const struct buf *body, struct http_answer *answer)
{
	struct buf url = { 0 };
	const struct endpoint *socket = control_socket(client->conf);
	struct http_request request = {
		.method = method,
		.host = "localhost",
		.unix_path = socket != NULL ? endpoint_path(socket) : NULL,
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
	if (socket == NULL) {
		fputs("stsgate: control.listen has no Unix socket for requests\n", stderr);
		return EX_UNAVAILABLE;
	}
	buf_printf(&url, "http://localhost%s", path);
	request.url = buf_text(&url);
	http_perform(client->http, &request, answer);
	if (client->heard_all != NULL)
		client->heard_all(client->heard_by);
	buf_free(&url);
	if (answer->outcome == HTTP_ANSWERED && answer->status == STATUS_STOPPING) {
		stsgate_client_complain(answer);
		return EX_UNAVAILABLE;
	}
	if (answer->outcome == HTTP_ANSWERED)
		return EX_OK;
	complain_of_silence(socket, answer);
	return EX_UNAVAILABLE;
}

void
stsgate_client_complain(const struct http_answer *answer)
{
	json_t *object = json_loadb(buf_text(&answer->body), answer->body.length, 0, NULL);
	const char *error = json_string_value(json_object_get(object, "error"));

	fprintf(stderr, "stsgate: %s\n", error == NULL ? "unexpected answer" : error);
	json_decref(object);
}

json_t *
stsgate_client_parse(const struct http_answer *answer)
{
	json_t *object = json_loadb(buf_text(&answer->body), answer->body.length, 0, NULL);

	if (object == NULL)
		fputs("stsgate: the answer is not JSON\n", stderr);
	return object;
}

void
stsgate_client_print_json(const json_t *object)
{
	json_dumpf(object, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
}

int
stsgate_client_show(const struct stsgate_client *client, const struct http_answer *answer,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object))
{
	json_t *object;
	int status = answer->status == 200 ? EX_OK : EXIT_NO;

	if (answer->status == 204)
		return EX_OK;
	if (answer->status != 200 && answer->status != 502) {
		stsgate_client_complain(answer);
		return EXIT_NO;
	}
	object = stsgate_client_parse(answer);
	if (object == NULL)
		return EXIT_NO;
	if (client->json)
		stsgate_client_print_json(object);
	else
		show(stdout, object);
	if (is_no != NULL && is_no(object))
		status = EXIT_NO;
	json_decref(object);
	return status;
}

int
stsgate_client_ask_and_show(const struct stsgate_client *client, const char *method,
    const char *path, void (*show)(FILE *out, const json_t *object),
    bool (*is_no)(const json_t *object))
{
	struct http_answer answer;
	int status = stsgate_client_ask(client, method, path, NULL, &answer);

	if (status == EX_OK)
		status = stsgate_client_show(client, &answer, show, is_no);
	buf_free(&answer.body);
	return status;
}

int
stsgate_client_ask_about(const struct stsgate_client *client, const char *method,
    const char *before, const char *text, const char *after,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object))
{
	struct domain domain;
	struct buf path = { 0 };
	int status;

	/* An option after "--" is more likely than a domain that begins with a hyphen. */
	if (text[0] == '-' || conf_host(text, &domain) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a domain name\n", text);
		return EX_USAGE;
	}
	buf_printf(&path, "%s%s%s", before, domain.name, after);
	status = stsgate_client_ask_and_show(client, method, buf_text(&path), show, is_no);
	buf_free(&path);
	return status;
}

/* One page of a list, or NULL with *status set. */
static json_t *
fetch_page(const struct stsgate_client *client, const char *path, int *status)
{
	struct http_answer answer;
	json_t *page = NULL;

	*status = stsgate_client_ask(client, "GET", path, NULL, &answer);
	if (*status == EX_OK && answer.status != 200)
		stsgate_client_complain(&answer);
	else if (*status == EX_OK)
		page = stsgate_client_parse(&answer);
	if (*status == EX_OK && page == NULL)
		*status = EXIT_NO;
	buf_free(&answer.body);
	return page;
}

int
stsgate_client_each_page(const struct stsgate_client *client, const char *path,
    void (*each)(void *context, const json_t *page), void *context)
{
	char separator = strchr(path, '?') != NULL ? '&' : '?';
	struct buf asked = { 0 };
	const char *next;
	json_t *page;
	int status;

	buf_add_text(&asked, path);
	while ((page = fetch_page(client, buf_text(&asked), &status)) != NULL) {
		each(context, page);
		next = json_string_value(json_object_get(page, "next"));
		buf_clear(&asked);
		if (next != NULL)
			buf_printf(&asked, "%s%cafter=%s", path, separator, next);
		json_decref(page);
		if (asked.length == 0)
			break;
	}
	buf_free(&asked);
	return status;
}
