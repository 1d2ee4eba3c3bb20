/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What was a daemon called to do? stsgated(8) and stsgate-milter(8) take the same options.
 */
#ifndef CMD_DAEMON_OPTIONS_H
#define CMD_DAEMON_OPTIONS_H

#include <stdbool.h>

#include "cmd/help.h"

/* The options for --help to show. */
#define DAEMON_OPTIONS_LINES	\
	"  -c FILE        read this configuration, not " SYSCONFDIR "/stsgate/stsgate.conf\n" \
	"  -t             check the configuration, and exit\n" HELP_LINES

struct daemon_options {
	const char *path;	/* of the configuration */
	bool check_only;	/* -t */
	bool done;	/* nothing is left to do but to end with status */
	int status;	/* EX_OK, or EX_USAGE and the like after a message */
};

extern const char daemon_options_letters[];
extern const struct option daemon_options_table[];

struct daemon_options daemon_options_read(int argc, char **argv, const struct help *help);

#endif
