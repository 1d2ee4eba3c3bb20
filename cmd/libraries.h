/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The libraries' versions for --version: a file for each set that a program is linked with.
 */
#ifndef CMD_LIBRARIES_H
#define CMD_LIBRARIES_H

#include <stdio.h>

/* A line for each: its name and the version that the process runs with. */
void libraries_base(FILE *out);	/* of all programs that read the configuration */
void libraries_net(FILE *out);	/* of stsgated and stsgate */
void libraries_mail(FILE *out);	/* of stsgate alone */
void libraries_daemon(FILE *out);	/* of stsgated alone */
void libraries_milter(FILE *out);	/* of stsgate-milter alone */

#endif
