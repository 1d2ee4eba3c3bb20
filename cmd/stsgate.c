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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/http.h"
#include "base/log.h"
#include "base/conf/conf.h"
#include "cmd/stsgate_cache.h"
#include "cmd/stsgate_check.h"
#include "cmd/stsgate_client.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_report.h"

#define DEFAULT_CONF	SYSCONFDIR "/stsgate/stsgate.conf"

static const char usage_text[] =
    "usage: stsgate [-c FILE] [--json] policy DOMAIN\n"
    "       stsgate [-c FILE] [--json] check DOMAIN\n"
    "       stsgate [-c FILE] [--json] stats\n"
    "       stsgate [-c FILE] [--json] cache list|export|import\n"
    "       stsgate [-c FILE] [--json] cache show|refresh|forget DOMAIN\n"
    "       stsgate [-c FILE] [--json] report show|status [--date YYYY-MM-DD] [--domain DOMAIN]\n"
    "       stsgate [-c FILE] [--json] report send [--date YYYY-MM-DD] [--domain DOMAIN]\n"
    "               [--force] [--dry-run DIR]\n"
    "       stsgate -V\n";

static int
usage(void)
{
	fputs(usage_text, stderr);
	return EX_USAGE;
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
	return client_ask_about(client, "GET", "/v1/policy/", domain, "", print_policy,
	    policy_unknown);
}

static int
run_stats(const struct client *client, const char *domain)
{
	(void)domain;
	return client_ask_and_show(client, "GET", "/v1/stats", print_stats, NULL);
}

static const struct command {
	const char *noun, *verb;	/* verb NULL: the noun alone */
	bool domain;	/* one is to follow */
	int (*run)(const struct client *client, const char *domain);
} commands[] = {
	{ "policy", NULL, true, run_policy },
	{ "check", NULL, true, stsgate_check },
	{ "stats", NULL, false, run_stats },
	{ "cache", "list", false, stsgate_cache_list },
	{ "cache", "export", false, stsgate_cache_export },
	{ "cache", "import", false, stsgate_cache_import },
	{ "cache", "show", true, stsgate_cache_show },
	{ "cache", "refresh", true, stsgate_cache_refresh },
	{ "cache", "forget", true, stsgate_cache_forget },
	{ "report", "show", false, stsgate_report_show },
	{ "report", "send", false, stsgate_report_send },
	{ "report", "status", false, stsgate_report_status },
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

/* The options of reports mean nothing elsewhere. */
static bool
options_fit(const struct command *command, const struct client *client)
{
	bool any = client->date != NULL || client->domain != NULL;
	bool sending = client->force || client->dry_run != NULL;

	if (sending && command->run != stsgate_report_send)
		return false;
	return !any || strcmp(command->noun, "report") == 0;
}

/* false: an option that is none. version: nothing else is wanted. */
static bool
read_options(int argc, char **argv, struct client *client, const char **path, bool *version)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "date", required_argument, NULL, 'd' },
		{ "domain", required_argument, NULL, 'n' },
		{ "force", no_argument, NULL, 'f' },
		{ "dry-run", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 }
	};
	int option;

	while (!*version && (option = getopt_long(argc, argv, "c:V", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			*path = optarg;
			break;
		case 'j':
			client->json = true;
			break;
		case 'd':
			client->date = optarg;
			break;
		case 'n':
			client->domain = optarg;
			break;
		case 'f':
			client->force = true;
			break;
		case 'r':
			client->dry_run = optarg;
			break;
		case 'V':
			*version = true;
			break;
		default:
			return false;
		}
	}
	return true;
}

int
main(int argc, char **argv)
{
	const char *path = DEFAULT_CONF, *domain;
	const struct command *command;
	struct check_rows rows = { .last = NULL };
	struct client client = { .heard_by = &rows };
	bool version = false;
	struct conf *conf;
	char why[256];
	int status;

	if (!read_options(argc, argv, &client, &path, &version))
		return usage();
	if (version) {
		printf("stsgate %s\n", PACKAGE_VERSION);
		return EX_OK;
	}
	command = find_command(argc - optind, argv + optind, &domain);
	if (command == NULL || !options_fit(command, &client))
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
	stsgate_check_free(&rows);
	conf_free(conf);
	return status;
}
