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

/* One request about one domain; show prints a 200 or 502. Both statuses carry the object asked for. */
static int
ask_about(const struct client *client, const char *method, const char *before, const char *text,
    const char *after, void (*show)(FILE *out, const json_t *object), json_t **object)
{
	struct domain domain;
	struct buf path = { 0 };
	struct http_answer answer;
	int status;

	*object = NULL;
	if (domain_parse(text, strlen(text), &domain) != 0) {
		fprintf(stderr, "stsgate: \"%s\" is not a domain name\n", text);
		return EX_USAGE;
	}
	buf_printf(&path, "%s%s%s", before, domain.name, after);
	status = ask(client, method, buf_text(&path), &answer);
	buf_free(&path);
	if (status != EX_OK)
		goto out;
	if (answer.status == 204)
		goto out;
	status = answer.status == 200 ? EX_OK : EXIT_NO;
	if (answer.status != 200 && answer.status != 502) {
		print_error(&answer);
		goto out;
	}
	*object = parse_answer(&answer);
	if (*object == NULL) {
		status = EXIT_NO;
		goto out;
	}
	if (client->json)
		print_json(*object);
	else
		show(stdout, *object);
out:
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
	json_t *policy;
	int status = ask_about(client, "GET", "/v1/policy/", domain, "", print_policy, &policy);

	if (status == EX_OK && policy_unknown(policy))
		status = EXIT_NO;
	json_decref(policy);
	return status;
}

/* Asks page after page until all policies are in one array. NULL with *status set on failure. */
static json_t *
fetch_cache(const struct client *client, int *status)
{
	json_t *all = json_array(), *page;
	struct http_answer answer;
	struct buf path = { 0 };
	const char *next;
	bool more;

	buf_add_text(&path, "/v1/cache");
	do {
		*status = ask(client, "GET", buf_text(&path), &answer);
		if (*status == EX_OK && answer.status != 200) {
			print_error(&answer);
			*status = EXIT_NO;
		}
		page = *status == EX_OK ? parse_answer(&answer) : NULL;
		buf_free(&answer.body);
		if (page == NULL) {
			if (*status == EX_OK)
				*status = EXIT_NO;
			json_decref(all);
			all = NULL;
			break;
		}
		json_array_extend(all, json_object_get(page, "policies"));
		next = json_string_value(json_object_get(page, "next"));
		more = next != NULL;
		buf_clear(&path);
		buf_printf(&path, "/v1/cache?after=%s", more ? next : "");
		json_decref(page);
	} while (more);
	buf_free(&path);
	return all;
}

static int
run_cache_list(const struct client *client)
{
	json_t *policies, *object;
	const json_t *entry;
	int status;
	size_t i;

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
run_cache(const struct client *client, const char *verb, const char *domain)
{
	json_t *object = NULL;
	int status;

	if (strcmp(verb, "list") == 0 && domain == NULL)
		return run_cache_list(client);
	if (domain == NULL)
		return usage();
	if (strcmp(verb, "show") == 0)
		status = ask_about(client, "GET", "/v1/cache/", domain, "", print_entry, &object);
	else if (strcmp(verb, "refresh") == 0)
		status = ask_about(client, "POST", "/v1/cache/", domain, "/refresh", print_sts,
		    &object);
	else if (strcmp(verb, "forget") == 0)
		status = ask_about(client, "DELETE", "/v1/cache/", domain, "", print_entry,
		    &object);
	else
		status = usage();
	json_decref(object);
	return status;
}

static int
run(const struct client *client, int count, char **words)
{
	if (count == 2 && strcmp(words[0], "policy") == 0)
		return run_policy(client, words[1]);
	if ((count == 2 || count == 3) && strcmp(words[0], "cache") == 0)
		return run_cache(client, words[1], count == 3 ? words[2] : NULL);
	return usage();
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ NULL, 0, NULL, 0 }
	};
	const char *path = DEFAULT_CONF;
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
	if (optind >= argc)
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
		status = run(&client, argc - optind, argv + optind);
	}
	http_free(client.http);
	conf_free(conf);
	return status;
}
