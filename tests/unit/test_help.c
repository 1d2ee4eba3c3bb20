/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/help.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX	4

enum { JSON = HELP_LONG_ONLY, DOMAIN };

static const struct option options[] = { { "json", no_argument, NULL, JSON },
	{ "domain", required_argument, NULL, DOMAIN }, HELP_ROWS };

static const struct help help = {
	.program = "prog",
	.letters = "c:hV",
	.options = options,
};

static void
test_nearest(void **state)
{
	static const char *const names[] = { "cache", "check", "policy", "report", "stats" };
	static const struct {
		const char *word, *nearest;
	} rows[] = {
		{ "chekc", "check" },
		{ "chcek", "check" },
		{ "cach", "cache" },
		{ "policies", "policy" },
		{ "po", "policy" },
		{ "rep", "report" },
		{ "stat", "stats" },
		{ "sttas", "stats" },
		{ "reprot", "report" },
		{ "check", "check" },
		{ "stats=yes", "stats" },
		{ "", NULL },
		{ "c", NULL },
		{ "=", NULL },
		{ "zz", NULL },
		{ "example.net", NULL },
		{ "ssssssssssssssssssssssssssssssssssssssssssssssssss", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *nearest = help_nearest(rows[i].word, names, COUNT(names));

		if ((nearest == NULL) != (rows[i].nearest == NULL) ||
		    (nearest != NULL && strcmp(nearest, rows[i].nearest) != 0))
			fail_msg("%s: %s", rows[i].word, nearest != NULL ? nearest : "none");
	}
}

/* The first line that the words make the program say on stderr; the caller frees it. */
static char *
refusal(const char *const *words)
{
	char *arguments[WORDS_MAX + 2] = { NULL }, *said = NULL;
	FILE *errors, *kept = stderr;
	size_t size;
	int count, option, status = EX_OK;

	arguments[0] = strdup("prog");
	for (count = 1; words[count - 1] != NULL; count++)
		arguments[count] = strdup(words[count - 1]);
	errors = open_memstream(&said, &size);
	assert_non_null(errors);
	stderr = errors;
	optind = 0;	/* begin again */
	opterr = 0;
	while ((option = getopt_long(count, arguments, help.letters, options, NULL)) != -1)
		if (option == '?') {
			status = help_refuse_option(&help, count, arguments);
			break;
		}
	stderr = kept;
	fclose(errors);
	assert_int_equal(status, EX_USAGE);
	while (count > 0)
		free(arguments[--count]);
	said[strcspn(said, "\n")] = '\0';
	return said;
}

static void
test_refused_options(void **state)
{
	static const struct {
		const char *words[WORDS_MAX + 1], *said;
	} rows[] = {
		{ { "--jsno" }, "unknown option \"--jsno\": did you mean --json?" },
		{ { "--jsno=x" }, "unknown option \"--jsno=x\": did you mean --json?" },
		{ { "--json", "--vresion" },
		    "unknown option \"--vresion\": did you mean --version?" },
		{ { "--nonsense" }, "unknown option \"--nonsense\"" },
		{ { "--json=x" }, "option \"--json=x\" takes no argument" },
		{ { "--help=x" }, "option \"--help=x\" takes no argument" },
		{ { "--domain" }, "option \"--domain\" needs an argument" },
		{ { "-c" }, "option -c needs an argument" },
		{ { "--json", "-hc" }, "option -c needs an argument" },
		{ { "-json" }, "unknown option \"-json\": did you mean --json?" },
		{ { "word", "-xhV" }, "unknown option \"-x\"" },
		{ { "-v" }, "unknown option \"-v\": did you mean -V?" },
		{ { "-d" }, "unknown option \"-d\": did you mean --domain?" },
		{ { "-:" }, "unknown option \"-:\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *said = refusal(rows[i].words);

		if (strncmp(said, "prog: ", 6) != 0 || strcmp(said + 6, rows[i].said) != 0)
			fail_msg("%s: %s", rows[i].words[0], said);
		free(said);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_refused_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
