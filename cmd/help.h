/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What every program says about itself: --help and --version on stdout, and the nearest known word
 * when an option or a command is unknown. It needs libc alone.
 */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>

#define HELP_LONG_ONLY	256	/* val of the first option that has no letter */

/* The rows that each program has in its table for getopt_long(), and what it does about them. */
#define HELP_ROWS	\
	{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, \
	{ \
		NULL, 0, NULL, 0 \
	}
#define HELP_LINES	\
	"  -h, --help     print this help\n" \
	"  -V, --version  print the versions of this program and of its libraries\n"

struct help {
	const char *program;
	const char *text;	/* the synopsis and the options */
	const char *manual;	/* such as "stsgate(1)" */
	const char *letters;	/* what getopt_long() gets */
	const struct option *options;
	void (*libraries)(FILE *out);	/* a line for each one's version; NULL: none but libc */
};

/* Gives EX_OK, or EX_IOERR when stdout did not take it all. */
int help_print(const struct help *help);
int help_print_version(const struct help *help);

/* After getopt_long() gave '?' with opterr 0: says what is wrong with which option. EX_USAGE. */
int help_refuse_option(const struct help *help, int argc, char **argv);
/* For another mistake. EX_USAGE. */
int help_refuse(const struct help *help, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The name that a mistyped word most likely stands for; NULL: none is near. */
const char *help_nearest(const char *word, const char *const *names, size_t count);

#endif
