/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/daemon_options.h"

#define DEFAULT_CONF	SYSCONFDIR "/stsgate/stsgate.conf"

static struct daemon_options
usage(const char *program)
{
	fprintf(stderr, "usage: %s [-tV] [-c FILE]\n", program);
	return (struct daemon_options){ .done = true, .status = EX_USAGE };
}

struct daemon_options
daemon_options_read(int argc, char **argv, const char *program)
{
	struct daemon_options options = { .path = DEFAULT_CONF };
	int option;

	while ((option = getopt(argc, argv, "c:tV")) != -1) {
		switch (option) {
		case 'c':
			options.path = optarg;
			break;
		case 't':
			options.check_only = true;
			break;
		case 'V':
			printf("%s %s\n", program, PACKAGE_VERSION);
			return (struct daemon_options){ .done = true, .status = EX_OK };
		default:
			return usage(program);
		}
	}
	return optind < argc ? usage(program) : options;
}
