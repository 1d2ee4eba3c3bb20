/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <sysexits.h>

#include "cmd/daemon_options.h"

#define DEFAULT_CONF	SYSCONFDIR "/stsgate/stsgate.conf"

const char daemon_options_letters[] = "c:htV";
const struct option daemon_options_table[] = { HELP_ROWS };

static struct daemon_options
done(int status)
{
	return (struct daemon_options){ .done = true, .status = status };
}

struct daemon_options
daemon_options_read(int argc, char **argv, const struct help *help)
{
	struct daemon_options options = { .path = DEFAULT_CONF };
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, help->letters, help->options, NULL)) != -1) {
		switch (option) {
		case 'c':
			options.path = optarg;
			break;
		case 'h':
			return done(help_print(help));
		case 't':
			options.check_only = true;
			break;
		case 'V':
			return done(help_print_version(help));
		default:
			return done(help_refuse_option(help, argc, argv));
		}
	}
	if (optind < argc)
		return done(help_refuse(help, "\"%s\": no operand is taken", argv[optind]));
	return options;
}
