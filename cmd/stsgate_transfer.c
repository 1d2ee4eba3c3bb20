/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate cache export and import: the cache as JSON lines.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/limits.h"
#include "cmd/stsgate_cache.h"

#define BATCH_OCTETS	(1024 * 1024)	/* a request that is longer takes no further line */

/* The fields that make the policy; the rest is how stsgated deals with it. */
static void
export_page(void *context, const json_t *page)
{
	static const char *const fields[] = { "domain", "mode", "id", "mx", "max_age", "fetched",
		"expires", "policy" };
	json_t *entry, *line;
	size_t i, field;

	json_array_foreach (json_object_get(page, "policies"), i, entry) {
		line = json_object();
		for (field = 0; field < sizeof(fields) / sizeof(fields[0]); field++)
			json_object_set(line, fields[field], json_object_get(entry, fields[field]));
		json_dumpf(line, context, JSON_COMPACT | JSON_ENSURE_ASCII);
		fputc('\n', context);
		json_decref(line);
	}
}

int
stsgate_cache_export(const struct stsgate_client *client, const char *domain)
{
	int status;

	(void)domain;
	status = stsgate_client_each_page(client, "/v1/cache", export_page, stdout);
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("stsgate: standard output");
	return EXIT_NO;
}

struct import {
	const struct stsgate_client *client;
	struct buf batch;
	json_int_t before;	/* lines before the batch */
	json_int_t lines;	/* read so far */
	json_int_t imported, unwritten, rejected;
	json_t *reasons;	/* for --json */
};

static json_int_t
number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void
say_reason(const json_t *reason)
{
	const char *domain = json_string_value(json_object_get(reason, "domain"));
	const char *text = json_string_value(json_object_get(reason, "reason"));

	fprintf(stderr, "stsgate: ");
	if (number_of(reason, "line") != 0)
		fprintf(stderr, "line %" JSON_INTEGER_FORMAT ": ", number_of(reason, "line"));
	fprintf(stderr, "%s%s%s\n", domain == NULL ? "" : domain,
	    domain == NULL || domain[0] == '\0' ? "" : ": ", text == NULL ? "" : text);
}

static void
take_answer(struct import *import, const json_t *answer)
{
	json_t *reasons = json_object_get(answer, "reasons"), *reason;
	json_int_t untold = number_of(answer, "rejected") + number_of(answer, "unwritten") -
	    (json_int_t)json_array_size(reasons),
		   line;
	size_t i;

	import->imported += number_of(answer, "imported");
	import->unwritten += number_of(answer, "unwritten");
	import->rejected += number_of(answer, "rejected");
	json_array_foreach (reasons, i, reason) {
		line = number_of(reason, "line");
		if (line != 0)	/* not of a line, but of all */
			json_object_set_new(reason, "line", json_integer(import->before + line));
		if (!import->client->json)
			say_reason(reason);
	}
	if (untold > 0 && !import->client->json)
		fprintf(stderr,
		    "stsgate: and %" JSON_INTEGER_FORMAT
		    " more of the lines up to %" JSON_INTEGER_FORMAT "\n",
		    untold, import->lines);
	if (import->client->json)
		json_array_extend(import->reasons, reasons);
}

static int
send_batch(struct import *import)
{
	struct http_answer answer;
	json_t *object = NULL;
	int status;

	status = stsgate_client_ask(import->client, "POST", "/v1/cache", &import->batch, &answer);
	if (status == EX_OK && answer.status != 200)
		stsgate_client_complain(&answer);
	else if (status == EX_OK)
		object = stsgate_client_parse(&answer);
	if (object != NULL)
		take_answer(import, object);
	else if (status == EX_OK)
		status = EXIT_NO;
	json_decref(object);
	buf_free(&answer.body);
	buf_clear(&import->batch);
	import->before = import->lines;
	return status;
}

static int
add_line(struct import *import, const char *line, size_t length)
{
	int status = EX_OK;

	if (import->batch.length > 0 && import->batch.length + length > BATCH_OCTETS)
		status = send_batch(import);
	if (length > LIMIT_CONTROL_BODY) {
		fprintf(stderr, "stsgate: line %" JSON_INTEGER_FORMAT ": too long\n",
		    import->lines + 1);
		return EXIT_NO;
	}
	buf_add(&import->batch, line, length);
	import->lines++;
	return status;
}

static int
read_lines(struct import *import, FILE *in)
{
	int status = EX_OK;
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	while (status == EX_OK && (length = getline(&line, &room, in)) > 0)
		status = add_line(import, line, (size_t)length);
	free(line);
	if (status == EX_OK && ferror(in)) {
		perror("stsgate: standard input");
		status = EXIT_NO;
	}
	/* Without a line too, so that a stsgated that is away is noticed. */
	return status == EX_OK ? send_batch(import) : status;
}

static void
print_import(const struct import *import)
{
	json_t *object;

	if (!import->client->json) {
		printf("%" JSON_INTEGER_FORMAT " imported, ", import->imported);
		if (import->unwritten > 0)
			printf("%" JSON_INTEGER_FORMAT " kept in memory and not written, ",
			    import->unwritten);
		printf("%" JSON_INTEGER_FORMAT " rejected\n", import->rejected);
		return;
	}
	object = json_pack("{s:I, s:I, s:I, s:O}", "imported", import->imported, "unwritten",
	    import->unwritten, "rejected", import->rejected, "reasons", import->reasons);
	stsgate_client_print_json(object);
	json_decref(object);
}

int
stsgate_cache_import(const struct stsgate_client *client, const char *domain)
{
	struct import import = { .client = client, .reasons = json_array() };
	int status;

	(void)domain;
	status = read_lines(&import, stdin);
	print_import(&import);
	if (status == EX_OK && (import.rejected > 0 || import.unwritten > 0))
		status = EXIT_NO;
	json_decref(import.reasons);
	buf_free(&import.batch);
	return status;
}
