/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate report read: the reports that others send about this site, from files or standard input.
 * Needs neither stsgated nor a configuration.
 */
#ifndef CMD_STSGATE_READ_H
#define CMD_STSGATE_READ_H

#include <stdbool.h>

/* No path: standard input. Each is a message, an mbox, gzip, JSON, or a directory of those, as a
 * Maildir is. EX_OK, or EXIT_NO after a message: a path has no report in it. */
int stsgate_read(char *const *paths, int count, bool json);

#endif
