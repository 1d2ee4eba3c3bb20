/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sysexits.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "cmd/help.h"

#define NAMES_MAX	32	/* long options of a program */
#define WORD_MAX	32	/* a longer word is no mistyped one */

static int
finish(const struct help *help)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return EX_OK;
	fprintf(stderr, "%s: cannot write to standard output\n", help->program);
	return EX_IOERR;
}

int
help_print(const struct help *help)
{
	printf("%s\nThe manual page is %s.\n", help->text, help->manual);
	return finish(help);
}

int
help_print_version(const struct help *help)
{
	printf("%s %s\n", help->program, PACKAGE_VERSION);
	if (help->libraries != NULL)
		help->libraries(stdout);
#ifdef __GLIBC__
	printf("glibc %s\n", gnu_get_libc_version());
#endif
	return finish(help);
}

static int
see_help(const struct help *help)
{
	fprintf(stderr, "%s: see %s --help\n", help->program, help->program);
	return EX_USAGE;
}

int
help_refuse(const struct help *help, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", help->program);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return see_help(help);
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Letters to insert, leave out, replace or swap with a neighbour until a is b, of WORD_MAX letters
 * at most each. */
static unsigned
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned rows[3][WORD_MAX + 1], *before = rows[0], *last = rows[1], *row = rows[2], *free;
	size_t i, j;

	for (j = 0; j <= b_length; j++)
		before[j] = last[j] = (unsigned)j;
	for (i = 1; i <= a_length; i++) {
		row[0] = (unsigned)i;
		for (j = 1; j <= b_length; j++) {
			row[j] = least(last[j - 1] + (a[i - 1] != b[j - 1]),
			    1 + least(last[j], row[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				row[j] = least(row[j], 1 + before[j - 2]);
		}
		free = before;
		before = last;
		last = row;
		row = free;
	}
	return last[b_length];
}

const char *
help_nearest(const char *word, const char *const *names, size_t count)
{
	size_t length = strcspn(word, "="), i;	/* of an option with its argument, the option */
	unsigned best = (unsigned)(length + 2) / 3 + 1, far;
	const char *nearest = NULL;

	if (length < 2 || length > WORD_MAX)
		return NULL;
	for (i = 0; i < count; i++) {
		if (strlen(names[i]) > WORD_MAX)
			continue;
		far = distance(word, length, names[i], strlen(names[i]));
		if (far > 1 && strncmp(word, names[i], length) == 0)
			far = 1;	/* the beginning of it */
		if (far < best) {
			best = far;
			nearest = names[i];
		}
	}
	return nearest;
}

static const char *
nearest_option(const struct help *help, const char *word)
{
	const char *names[NAMES_MAX];
	size_t count = 0;

	while (count < NAMES_MAX && help->options[count].name != NULL) {
		names[count] = help->options[count].name;
		count++;
	}
	return help_nearest(word, names, count);
}

static int
refuse_long(const struct help *help, const char *word)
{
	const char *nearest;

	if (optopt != 0)	/* it is known */
		return help_refuse(help,
		    strchr(word, '=') != NULL ? "option \"%s\" takes no argument"
					      : "option \"%s\" needs an argument",
		    word);
	nearest = nearest_option(help, word + 2);
	if (nearest == NULL)
		return help_refuse(help, "unknown option \"%s\"", word);
	return help_refuse(help, "unknown option \"%s\": did you mean --%s?", word, nearest);
}

/* The word of one hyphen in which an unknown letter stands. */
static const char *
word_of(char letter, int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (argv[i][0] == '-' && argv[i][1] != '-' && strchr(argv[i], letter) != NULL)
			return argv[i];
	return "";
}

/* Where a letter stands among those that are known, or NULL. */
static const char *
place_of(const struct help *help, char letter)
{
	return isalpha((unsigned char)letter) ? strchr(help->letters, letter) : NULL;
}

static const char *
option_of_letter(const struct help *help, char letter)
{
	const struct option *option;

	for (option = help->options; option->name != NULL; option++)
		if (option->name[0] == letter)
			return option->name;
	return NULL;
}

static int
refuse_letter(const struct help *help, char letter, const char *word)
{
	char other = (char)(islower((unsigned char)letter) ? toupper((unsigned char)letter)
							   : tolower((unsigned char)letter));
	const char *nearest = strlen(word) > 2 ? nearest_option(help, word + 1) : NULL;

	if (place_of(help, letter) != NULL)
		return help_refuse(help, "option -%c needs an argument", letter);
	if (nearest != NULL)
		return help_refuse(help, "unknown option \"%s\": did you mean --%s?", word,
		    nearest);
	if (place_of(help, other) != NULL)
		return help_refuse(help, "unknown option \"-%c\": did you mean -%c?", letter,
		    other);
	nearest = option_of_letter(help, letter);
	if (nearest != NULL)
		return help_refuse(help, "unknown option \"-%c\": did you mean --%s?", letter,
		    nearest);
	return help_refuse(help, "unknown option \"-%c\"", letter);
}

/* Nothing can be wrong with a letter that is known and takes no argument: then the fault is in its
 * long option. */
static bool
is_letter(const struct help *help)
{
	const char *at;

	if (optopt <= 0 || optopt >= HELP_LONG_ONLY)
		return false;
	at = place_of(help, (char)optopt);
	return at == NULL || at[1] == ':';
}

int
help_refuse_option(const struct help *help, int argc, char **argv)
{
	if (is_letter(help))
		return refuse_letter(help, (char)optopt, word_of((char)optopt, argc, argv));
	return refuse_long(help, argv[optind - 1]);
}
