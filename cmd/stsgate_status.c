/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_status.h"
#include "cmd/stsgate_terminal.h"

#define WATCH_S	2
#define CLEAR	"\033[H\033[2J"	/* ECMA-48: CUP, ED */

#define EXIT_WARNING	1
#define EXIT_CRITICAL	2

static double
number_of(const json_t *object, const char *section, const char *key)
{
	return json_number_value(json_object_get(json_object_get(object, section), key));
}

static int
exit_of(const json_t *status)
{
	const char *state = stsgate_print_text(status, "state");

	if (strcmp(state, "ok") == 0)
		return EX_OK;
	return strcmp(state, "warning") == 0 ? EXIT_WARNING : EXIT_CRITICAL;
}

static void
print_reason(FILE *out, const json_t *reason)
{
	fprintf(out, "  %s", stsgate_print_text(reason, "alarm"));
	if (stsgate_print_text(reason, "domain")[0] != '\0')
		fputc(' ', out);
	stsgate_terminal_print(out, stsgate_print_text(reason, "domain"));
	if (stsgate_print_text(reason, "since")[0] != '\0')
		fprintf(out, " since %s", stsgate_print_text(reason, "since"));
	fputs(": ", out);
	stsgate_terminal_print(out, stsgate_print_text(reason, "text"));
	fputc('\n', out);
}

static void
print_status(FILE *out, const json_t *status)
{
	const json_t *reason;
	size_t i;

	fprintf(out, "stsgated %s: %s, running for %.1f hours\n",
	    stsgate_print_text(status, "version"), stsgate_print_text(status, "state"),
	    json_number_value(json_object_get(status, "uptime")) / 3600);
	json_array_foreach (json_object_get(status, "reasons"), i, reason)
		print_reason(out, reason);
	fprintf(out, "resolver     %s\n",
	    stsgate_print_text(json_object_get(status, "resolver"), "state"));
	fprintf(out, "policies     %.0f enforce, %.0f testing, %.0f none; %.0f overrides\n",
	    number_of(status, "policies", "enforce"), number_of(status, "policies", "testing"),
	    number_of(status, "policies", "none"),
	    json_number_value(json_object_get(status, "overrides")));
	fprintf(out, "sessions     %.0f of %.0f\n", number_of(status, "sessions", "running"),
	    number_of(status, "sessions", "max"));
	fprintf(out, "connections  %.0f of %.0f, %.0f wait\n",
	    number_of(status, "connections", "open"), number_of(status, "connections", "max"),
	    number_of(status, "connections", "waiting"));
	fprintf(out, "spool        %.1f of %.1f MiB in memory\n",
	    number_of(status, "spool", "memory") / 1048576,
	    number_of(status, "spool", "max") / 1048576);
	fprintf(out,
	    "last 5 min   %.2f messages/s; kept %.0f %%, resumed %.0f %%, cached %.0f %%\n",
	    number_of(status, "rates", "messages"), 100 * number_of(status, "rates", "kept"),
	    100 * number_of(status, "rates", "resumed"),
	    100 * number_of(status, "rates", "cached"));
	fprintf(out, "latency      p50 %.3f s, p95 %.3f s, p99 %.3f s\n",
	    number_of(status, "latency", "p50"), number_of(status, "latency", "p95"),
	    number_of(status, "latency", "p99"));
}

static int
show(const struct stsgate_client *client)
{
	struct http_answer answer;
	json_t *status = NULL;
	int result = stsgate_client_ask(client, "GET", "/v1/status", NULL, &answer);

	if (result == EX_OK && answer.status != 200) {
		stsgate_client_complain(&answer);
		result = EX_UNAVAILABLE;
	} else if (result == EX_OK) {
		status = stsgate_client_parse(&answer);
		result = status != NULL ? exit_of(status) : EX_UNAVAILABLE;
	}
	if (status != NULL && client->watch && isatty(STDOUT_FILENO))
		fputs(CLEAR, stdout);
	if (status != NULL && client->json)
		stsgate_client_print_json(status);
	else if (status != NULL)
		print_status(stdout, status);
	fflush(stdout);
	json_decref(status);
	buf_free(&answer.body);
	return result;
}

int
stsgate_status(const struct stsgate_client *client, const char *domain)
{
	int result = show(client);

	(void)domain;
	while (client->watch && result != EX_UNAVAILABLE && !ferror(stdout)) {
		sleep(WATCH_S);
		result = show(client);
	}
	return result;
}
