/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <sysexits.h>

#include "base/buf.h"
#include "base/domain.h"
#include "cmd/stsgate_check.h"
#include "cmd/stsgate_doing.h"
#include "cmd/stsgate_print.h"

static bool
check_failed(const json_t *check)
{
	return !json_is_true(json_object_get(check, "verified"));
}

static bool
inbound_failed(const json_t *check)
{
	const json_t *step;
	size_t i;

	json_array_foreach (json_object_get(check, "steps"), i, step)
		if (strcmp(stsgate_print_text(step, "state"), "fail") == 0)
			return true;
	return false;
}

static void
show_doing(struct stsgate_check_rows *rows, const json_t *doing)
{
	struct buf words = { 0 };

	stsgate_doing_words(stsgate_print_text(doing, "doing"), stsgate_print_text(doing, "host"),
	    stsgate_print_text(doing, "address"), &words);
	stsgate_terminal_line_show(&rows->doing, buf_text(&words));
	buf_free(&words);
}

static void
take_line(struct stsgate_check_rows *rows)
{
	json_t *object = json_loadb(buf_text(&rows->line), rows->line.length, 0, NULL);

	buf_clear(&rows->line);
	if (json_object_get(object, "step") != NULL) {
		stsgate_terminal_line_clear(&rows->doing);
		stsgate_print_step(stdout, object);
		fflush(stdout);
	} else if (json_object_get(object, "doing") != NULL) {
		show_doing(rows, object);
	} else if (json_object_get(object, "steps") != NULL && rows->last == NULL) {
		rows->last = json_incref(object);
	}
	json_decref(object);
}

static void
hear(void *context, const char *octets, size_t length)
{
	struct stsgate_check_rows *rows = context;
	const char *end;

	while ((end = memchr(octets, '\n', length)) != NULL) {
		buf_add(&rows->line, octets, (size_t)(end - octets));
		length -= (size_t)(end - octets) + 1;
		octets = end + 1;
		take_line(rows);
	}
	buf_add(&rows->line, octets, length);
}

static void
hear_no_more(void *context)
{
	struct stsgate_check_rows *rows = context;

	stsgate_terminal_line_clear(&rows->doing);
}

/* After the last row was heard. */
static int
conclude(const struct stsgate_check_rows *rows, const struct http_answer *answer)
{
	if (answer->status != 200) {
		stsgate_client_complain(answer);
		return EXIT_NO;
	}
	if (rows->last == NULL) {
		fputs("stsgate: stsgated cancelled the check\n", stderr);
		return EXIT_NO;
	}
	stsgate_print_verdict(stdout, rows->last);
	return check_failed(rows->last) ? EXIT_NO : EX_OK;
}

static void
print_nothing(FILE *out, const json_t *check)
{
	(void)out;
	(void)check;
}

int
stsgate_check(const struct stsgate_client *client, const char *text)
{
	struct stsgate_client streaming = *client;
	struct stsgate_check_rows *rows = client->heard_by;
	struct http_answer answer;
	struct domain domain;
	struct buf path = { 0 };
	int status;

	if (client->inbound)
		return stsgate_client_ask_about(client, "GET", "/v1/check/", text, "?inbound=1",
		    stsgate_print_inbound, inbound_failed);
	/* An invalid domain is refused in the words of the other commands. */
	if (client->json || text[0] == '-' || domain_parse(text, strlen(text), &domain) != 0)
		return stsgate_client_ask_about(client, "GET", "/v1/check/", text, "",
		    print_nothing, check_failed);
	streaming.heard = hear;
	streaming.heard_all = hear_no_more;
	stsgate_terminal_line_open(&rows->doing, stdout);
	buf_printf(&path, "/v1/check/%s?stream=1%s", domain.name, rows->doing.on ? "&doing=1" : "");
	status = stsgate_client_ask(&streaming, "GET", buf_text(&path), NULL, &answer);
	if (status == EX_OK)
		status = conclude(rows, &answer);
	buf_free(&answer.body);
	buf_free(&path);
	return status;
}

void
stsgate_check_free(struct stsgate_check_rows *rows)
{
	buf_free(&rows->line);
	json_decref(rows->last);
}
