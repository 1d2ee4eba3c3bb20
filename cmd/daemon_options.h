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

struct daemon_options {
	const char *path;	/* of the configuration */
	bool check_only;	/* -t */
	bool done;	/* nothing is left to do but to end with status */
	int status;	/* EX_OK or EX_USAGE */
};

struct daemon_options daemon_options_read(int argc, char **argv, const char *program);

#endif
