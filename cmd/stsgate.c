/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate(1): the administrator's command. It asks stsgated over the control socket and prints the
 * answer; it never looks anything up itself, so that what it shows is what stsgated does.
 */
#include "config.h"

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/arena.h"
#include "base/conf.h"
#include "base/domain.h"
#include "base/http.h"
#include "base/limits.h"
#include "base/log.h"
#include "cmd/stsgate_print.h"

#define DEFAULT_CONF	SYSCONFDIR "/stsgate/stsgate.conf"
#define ANSWER_TIME_MS	(90 * 1000)	/* stsgated bounds its own look-ups below this */
#define EXIT_NO	1	/* the answer is no */

struct client {
	const struct conf *conf;
	struct http *http;
	bool json;	/* print what stsgated said as it is */
};

static const char usage_text[] =
    "usage: stsgate [-c FILE] [--json] policy DOMAIN\n"
    "       stsgate [-c FILE] [--json] cache list\n"
    "       stsgate [-c FILE] [--json] cache show|refresh|forget DOMAIN\n"
    "       stsgate -V\n";

static int
usage(void)
{
	fputs(usage_text, stderr);
	return EX_USAGE;
}

static const char *
control_path(const struct conf *conf)
{
	const struct conf_listener *listener = &conf->control.listener;

	for (size_t i = 0; i < listener->count; i++)
		if (endpoint_path(&listener->listen[i]) != NULL)
			return endpoint_path(&listener->listen[i]);
	return NULL;
}

/* EX_OK with the whole answer, or EX_UNAVAILABLE after a message. */
static int
ask(const struct client *client, const char *method, const char *path, struct http_answer *answer)
{
	struct buf url = { 0 };
	const char *socket_path = control_path(client->conf);
	struct http_request request = {
		.method = method,
		.host = "localhost",
		.unix_path = socket_path,
		.max_body = LIMIT_CONTROL_BODY,
		.allow_private = true,
		.deadline = deadline_in(ANSWER_TIME_MS),
	};

	memset(answer, 0, sizeof(*answer));
	if (socket_path == NULL) {
		fputs("stsgate: control.listen has no Unix socket to ask stsgated by\n", stderr);
		return EX_UNAVAILABLE;
	}
	buf_printf(&url, "http://localhost%s", path);
	request.url = buf_text(&url);
	http_perform(client->http, &request, answer);
	buf_free(&url);
	if (answer->outcome == HTTP_ANSWERED)
		return EX_OK;
	fprintf(stderr, "stsgate: stsgated does not answer at %s: %s\n", socket_path,
	    answer->reason);
	return EX_UNAVAILABLE;
}

/* Says in stsgated's own words why an answer is not what was asked for. */
static void
print_error(const struct http_answer *answer)
{
	json_t *object = json_loadb(buf_text(&answer->body), answer->body.length, 0, NULL);
	const char *error = json_string_value(json_object_get(object, "error"));

	fprintf(stderr, "stsgate: %s\n", error == NULL ? "unexpected answer" : error);
	json_decref(object);
}

static json_t *
parse_answer(const struct http_answer *answer)
{
	json_t *object = json_loadb(buf_text(&answer->body), answer->body.length, 0, NULL);

	if (object == NULL)
		fputs("stsgate: the answer is not JSON\n", stderr);
	return object;
}

static void
print_json(const json_t *object)
{
	json_dumpf(object, stdout, JSON_INDENT(2));
	fputc('\n', stdout);
}

/* Shows the object of a 200 or 502; 204 has none. EX_OK, or EXIT_NO. */
static int
show_answer(const struct client *client, const struct http_answer *answer,
    void (*show)(FILE *out, const json_t *object), bool (*is_no)(const json_t *object))
{
	json_t *object;
	int status = answer->status == 200 ? EX_OK : EXIT_NO;

	if (answer->status == 204)
		return EX_OK;
	if (answer->status != 200 && answer->status != 502) {
		print_error(answer);
		return EXIT_NO;
	}
	object = parse_answer(answer);
	if (object == NULL)
		return EXIT_NO;
	if (client->json)
		print_json(object);
	else
		show(stdout, object);
	if (is_no != NULL && is_no(object))
		status = EXIT_NO;
	json_decref(object);
	return status;
}

/* One request about one domain. is_no tells whether a 200 means no all the same; NULL: never. */
static int
ask_about(const struct client *client, const char *method, const char *before, const char *text,
    const char *after, void (*show)(FILE *out, const json_t *object),
    bool (*is_no)(const json_t *object))
{
	struct domain domain;
	struct buf path = { 0 };
	struct http_answer answer;
	int status;

	/* An option behind "--" is more likely than a domain that begins with a hyphen. */
	if (text[0] == '-' || domain_parse(text, strlen(text), &domain) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a domain name\n", text);
		return EX_USAGE;
	}
	buf_printf(&path, "%s%s%s", before, domain.name, after);
	status = ask(client, method, buf_text(&path), &answer);
	buf_free(&path);
	if (status == EX_OK)
		status = show_answer(client, &answer, show, is_no);
	buf_free(&answer.body);
	return status;
}

/* Is what is in force not known, because a look-up failed? */
static bool
policy_unknown(const json_t *policy)
{
	const json_t *sts = json_object_get(policy, "sts");
	const char *state = json_string_value(json_object_get(sts, "state"));
	const char *verdict = json_string_value(json_object_get(policy, "verdict"));

	if (state != NULL && strcmp(state, "error") == 0)
		return true;
	return verdict != NULL && strcmp(verdict, "defer") == 0 &&
	    json_array_size(json_object_get(policy, "hosts")) == 0;
}

static int
run_policy(const struct client *client, const char *domain)
{
	return ask_about(client, "GET", "/v1/policy/", domain, "", print_policy, policy_unknown);
}

/* One page of the cache, or NULL with *status set. */
static json_t *
fetch_page(const struct client *client, const char *path, int *status)
{
	struct http_answer answer;
	json_t *page = NULL;

	*status = ask(client, "GET", path, &answer);
	if (*status == EX_OK && answer.status != 200)
		print_error(&answer);
	else if (*status == EX_OK)
		page = parse_answer(&answer);
	if (*status == EX_OK && page == NULL)
		*status = EXIT_NO;
	buf_free(&answer.body);
	return page;
}

/* All pages in one array, or NULL with *status set. */
static json_t *
fetch_cache(const struct client *client, int *status)
{
	json_t *all = json_array(), *page;
	struct buf path = { 0 };
	const char *next;

	buf_add_text(&path, "/v1/cache");
	while ((page = fetch_page(client, buf_text(&path), status)) != NULL) {
		json_array_extend(all, json_object_get(page, "policies"));
		next = json_string_value(json_object_get(page, "next"));
		buf_clear(&path);
		if (next != NULL)
			buf_printf(&path, "/v1/cache?after=%s", next);
		json_decref(page);
		if (path.length == 0)
			break;
	}
	buf_free(&path);
	if (*status == EX_OK)
		return all;
	json_decref(all);
	return NULL;
}

static int
run_cache_list(const struct client *client, const char *domain)
{
	json_t *policies, *object;
	const json_t *entry;
	int status;
	size_t i;

	(void)domain;
	policies = fetch_cache(client, &status);
	if (policies == NULL)
		return status;
	if (client->json) {
		object = json_pack("{s:O}", "policies", policies);
		print_json(object);
		json_decref(object);
	} else {
		print_entry_head(stdout);
		json_array_foreach(policies, i, entry)
			print_entry_row(stdout, entry);
	}
	json_decref(policies);
	return EX_OK;
}

static int
run_cache_show(const struct client *client, const char *domain)
{
	return ask_about(client, "GET", "/v1/cache/", domain, "", print_entry, NULL);
}

static int
run_cache_refresh(const struct client *client, const char *domain)
{
	return ask_about(client, "POST", "/v1/cache/", domain, "/refresh", print_sts, NULL);
}

static int
run_cache_forget(const struct client *client, const char *domain)
{
	return ask_about(client, "DELETE", "/v1/cache/", domain, "", print_entry, NULL);
}

static const struct command {
	const char *noun, *verb;	/* verb NULL: the noun alone */
	bool domain;	/* one is to follow */
	int (*run)(const struct client *client, const char *domain);
} commands[] = {
	{ "policy", NULL, true, run_policy },
	{ "cache", "list", false, run_cache_list },
	{ "cache", "show", true, run_cache_show },
	{ "cache", "refresh", true, run_cache_refresh },
	{ "cache", "forget", true, run_cache_forget },
};

/* The command that the words name, with *domain set when it takes one; NULL when none does. */
static const struct command *
find_command(int count, char **words, const char **domain)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *command = &commands[i];
		int named = command->verb == NULL ? 1 : 2;

		if (count != named + (command->domain ? 1 : 0) ||
		    strcmp(words[0], command->noun) != 0 ||
		    (command->verb != NULL && strcmp(words[1], command->verb) != 0))
			continue;
		*domain = command->domain ? words[named] : NULL;
		return command;
	}
	return NULL;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	const char *path = DEFAULT_CONF, *domain;
	const struct command *command;
	struct client client = { NULL, NULL, false };
	struct conf *conf;
	char why[256];
	int option, status;

	while ((option = getopt_long(argc, argv, "c:V", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'j':
			client.json = true;
			break;
		case 'V':
			printf("stsgate %s\n", PACKAGE_VERSION);
			return EX_OK;
		default:
			return usage();
		}
	}
	command = find_command(argc - optind, argv + optind, &domain);
	if (command == NULL)
		return usage();
	conf = conf_load(path, stderr);
	if (conf == NULL)
		return EX_CONFIG;
	log_open("stsgate", false, LOG_LEVEL_ERROR);
	client.conf = conf;
	client.http = http_new("", "", why, sizeof(why));
	if (client.http == NULL) {
		fprintf(stderr, "stsgate: %s\n", why);
		status = EX_UNAVAILABLE;
	} else {
		status = command->run(&client, domain);
	}
	http_free(client.http);
	conf_free(conf);
	return status;
}
