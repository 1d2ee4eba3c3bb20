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
#include "cmd/help.h"
#include "cmd/libraries.h"
#include "cmd/stsgate_cache.h"
#include "cmd/stsgate_check.h"
#include "cmd/stsgate_client.h"
#include "cmd/stsgate_history.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_read.h"
#include "cmd/stsgate_report.h"
#include "cmd/stsgate_status.h"

#define DEFAULT_CONF	SYSCONFDIR "/stsgate/stsgate.conf"

enum { JSON = HELP_LONG_ONLY, DATE, DOMAIN, FORCE, DRY_RUN, INBOUND, WATCH, SINCE };

static const struct option options[] = { { "json", no_argument, NULL, JSON },
	{ "date", required_argument, NULL, DATE }, { "domain", required_argument, NULL, DOMAIN },
	{ "force", no_argument, NULL, FORCE }, { "inbound", no_argument, NULL, INBOUND },
	{ "watch", no_argument, NULL, WATCH }, { "dry-run", required_argument, NULL, DRY_RUN },
	{ "since", required_argument, NULL, SINCE }, HELP_ROWS };

static void
libraries(FILE *out)
{
	libraries_base(out);
	libraries_net(out);
	libraries_mail(out);
}

static const struct help help = {
	.program = "stsgate",
	.text =
	    "usage: stsgate [-c FILE] [--json] policy DOMAIN\n"
	    "       stsgate [-c FILE] [--json] check [--inbound] DOMAIN\n"
	    "       stsgate [-c FILE] [--json] why DOMAIN|ADDRESS\n"
	    "       stsgate [-c FILE] [--json] status [--watch]\n"
	    "       stsgate [-c FILE] [--json] stats\n"
	    "       stsgate [-c FILE] [--json] refused|audit [--since 7d] [--domain DOMAIN]\n"
	    "       stsgate [-c FILE] [--json] cache list|export|import\n"
	    "       stsgate [-c FILE] [--json] cache show|refresh|forget DOMAIN\n"
	    "       stsgate [-c FILE] [--json] report show|status [--date YYYY-MM-DD]"
	    " [--domain DOMAIN]\n"
	    "       stsgate [-c FILE] [--json] report send [--date YYYY-MM-DD] [--domain DOMAIN]\n"
	    "               [--force] [--dry-run DIR]\n"
	    "       stsgate [--json] report read [FILE]...\n\n"
	    "  -c FILE        find the control socket by this configuration, not\n"
	    "                 " DEFAULT_CONF "\n"
	    "  --json         print the JSON that stsgated answered\n"
	    "  --watch        status: again every two seconds\n"
	    "  --inbound      check: one's own domain, as senders see it\n"
	    "  --date DATE    report: the UTC day that reports are about\n"
	    "  --domain NAME  report, refused, audit: only this next-hop domain\n"
	    "  --force        report send: a day that is not over, too\n"
	    "  --dry-run DIR  report send: write the files there, and send nothing\n"
	    "  --since TIME   refused, audit: from then on, by default 7d\n" HELP_LINES,
	.manual = "stsgate(1)",
	.letters = "c:hV",
	.options = options,
	.libraries = libraries,
};

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
run_policy(const struct stsgate_client *client, const char *domain)
{
	int status = stsgate_client_ask_about(client, "GET", "/v1/policy/", domain, "",
	    stsgate_print_policy, policy_unknown);

	/* What the hosts do is not in their names; an older stsgated does not tell. */
	if (!client->json && status == EX_OK)
		(void)stsgate_client_ask_about(client, "GET", "/v1/why/", domain, "",
		    stsgate_print_outcome, NULL);
	return status;
}

static int
run_stats(const struct stsgate_client *client, const char *domain)
{
	(void)domain;
	return stsgate_client_ask_and_show(client, "GET", "/v1/stats", stsgate_print_stats, NULL);
}

/* An address stands for its domain. */
static int
run_why(const struct stsgate_client *client, const char *domain)
{
	const char *at = strrchr(domain, '@');

	return stsgate_client_ask_about(client, "GET", "/v1/why/", at != NULL ? at + 1 : domain, "",
	    stsgate_print_why, NULL);
}

static const struct command {
	const char *noun, *verb;	/* verb NULL: the noun alone */
	bool domain;	/* one is to follow */
	int (*run)(const struct stsgate_client *client, const char *domain);
	/* Instead of run: takes any number of files, and needs no configuration. */
	int (*read)(char *const *paths, int count, bool json);
} commands[] = {
	{ "policy", NULL, true, run_policy, NULL },
	{ "check", NULL, true, stsgate_check, NULL },
	{ "status", NULL, false, stsgate_status, NULL },
	{ "stats", NULL, false, run_stats, NULL },
	{ "why", NULL, true, run_why, NULL },
	{ "refused", NULL, false, stsgate_history_refused, NULL },
	{ "audit", NULL, false, stsgate_history_audit, NULL },
	{ "cache", "list", false, stsgate_cache_list, NULL },
	{ "cache", "export", false, stsgate_cache_export, NULL },
	{ "cache", "import", false, stsgate_cache_import, NULL },
	{ "cache", "show", true, stsgate_cache_show, NULL },
	{ "cache", "refresh", true, stsgate_cache_refresh, NULL },
	{ "cache", "forget", true, stsgate_cache_forget, NULL },
	{ "report", "show", false, stsgate_report_show, NULL },
	{ "report", "send", false, stsgate_report_send, NULL },
	{ "report", "status", false, stsgate_report_status, NULL },
	{ "report", "read", false, NULL, stsgate_read },
};
#define COMMANDS	(sizeof(commands) / sizeof(commands[0]))

/* The command that the words name, with *domain set when it takes one; NULL when none does. */
static const struct command *
find_command(int count, char **words, const char **domain)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &commands[i];
		int named = command->verb == NULL ? 1 : 2;

		if (count < named ||
		    (command->read == NULL && count != named + (command->domain ? 1 : 0)) ||
		    strcmp(words[0], command->noun) != 0 ||
		    (command->verb != NULL && strcmp(words[1], command->verb) != 0))
			continue;
		*domain = command->domain ? words[named] : NULL;
		return command;
	}
	return NULL;
}

/* The noun, or the verb of the noun, that a mistyped word most likely stands for. */
static const char *
nearest_word(const char *noun, const char *word)
{
	const char *names[COMMANDS];
	size_t count = 0;

	for (size_t i = 0; i < COMMANDS; i++)
		if (noun == NULL)
			names[count++] = commands[i].noun;
		else if (commands[i].verb != NULL && strcmp(commands[i].noun, noun) == 0)
			names[count++] = commands[i].verb;
	return help_nearest(word, names, count);
}

/* The first command of this noun and, unless NULL, this verb; with noun NULL, of the verb alone. */
static const struct command *
first_command(const char *noun, const char *verb)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *command = &commands[i];

		if ((noun == NULL || strcmp(command->noun, noun) == 0) &&
		    (verb == NULL || (command->verb != NULL && strcmp(command->verb, verb) == 0)))
			return command;
	}
	return NULL;
}

static int
refuse_noun(const char *word)
{
	const struct command *command = first_command(NULL, word);
	const char *nearest = nearest_word(NULL, word);

	if (command != NULL)
		return help_refuse(&help, "unknown command \"%s\": did you mean %s %s?", word,
		    command->noun, command->verb);
	if (nearest != NULL)
		return help_refuse(&help, "unknown command \"%s\": did you mean %s?", word,
		    nearest);
	return help_refuse(&help, "unknown command \"%s\"", word);
}

static int
refuse_verb(const char *noun, const char *word)
{
	const char *nearest = nearest_word(noun, word);

	if (nearest != NULL)
		return help_refuse(&help, "unknown command \"%s %s\": did you mean %s %s?", noun,
		    word, noun, nearest);
	return help_refuse(&help, "unknown command \"%s %s\"", noun, word);
}

/* The words name no command. */
static int
refuse_command(int count, char **words)
{
	const struct command *command;

	if (count == 0)
		return help_refuse(&help, "a command is missing");
	command = first_command(words[0], NULL);
	if (command == NULL)
		return refuse_noun(words[0]);
	if (command->verb != NULL && count == 1)
		return help_refuse(&help, "the second word of a \"%s\" command is missing",
		    words[0]);
	if (command->verb != NULL)
		command = first_command(words[0], words[1]);
	if (command == NULL)
		return refuse_verb(words[0], words[1]);
	return help_refuse(&help, "\"%s%s%s\" takes %s", command->noun,
	    command->verb != NULL ? " " : "", command->verb != NULL ? command->verb : "",
	    command->domain ? "one domain" : "no operand");
}

static bool
asks_history(const struct command *command)
{
	return command->run == stsgate_history_refused || command->run == stsgate_history_audit;
}

/* The options of reports and of the history mean nothing elsewhere. */
static bool
options_fit(const struct command *command, const struct stsgate_client *client)
{
	bool any = client->date != NULL || client->domain != NULL;
	bool sending = client->force || client->dry_run != NULL;

	if (sending && command->run != stsgate_report_send)
		return false;
	if (asks_history(command))
		return client->date == NULL;
	if (client->since != NULL)
		return false;
	if (any && command->read != NULL)
		return false;
	return !any || strcmp(command->noun, "report") == 0;
}

/* false: *status is the exit status, and nothing else is wanted. */
static bool
read_options(int argc, char **argv, struct stsgate_client *client, const char **path, int *status)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, help.letters, options, NULL)) != -1) {
		switch (option) {
		case 'c':
			*path = optarg;
			break;
		case JSON:
			client->json = true;
			break;
		case DATE:
			client->date = optarg;
			break;
		case DOMAIN:
			client->domain = optarg;
			break;
		case SINCE:
			client->since = optarg;
			break;
		case FORCE:
			client->force = true;
			break;
		case INBOUND:
			client->inbound = true;
			break;
		case WATCH:
			client->watch = true;
			break;
		case DRY_RUN:
			client->dry_run = optarg;
			break;
		case 'h':
			*status = help_print(&help);
			return false;
		case 'V':
			*status = help_print_version(&help);
			return false;
		default:
			*status = help_refuse_option(&help, argc, argv);
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
	struct stsgate_check_rows rows = { .last = NULL };
	struct stsgate_client client = { .heard_by = &rows };
	struct conf *conf;
	char why[256];
	int status;

	if (!read_options(argc, argv, &client, &path, &status))
		return status;
	command = find_command(argc - optind, argv + optind, &domain);
	if (command == NULL)
		return refuse_command(argc - optind, argv + optind);
	if (!options_fit(command, &client))
		return help_refuse(&help, "an option does not fit this command");
	if (client.inbound && command->run != stsgate_check)
		return help_refuse(&help, "--inbound does not fit this command");
	if (client.watch && command->run != stsgate_status)
		return help_refuse(&help, "--watch does not fit this command");
	if (command->read != NULL)
		return command->read(argv + optind + 2, argc - optind - 2, client.json);
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
