/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "report/command.h"

#define LARGE	(1024 * 1024)

static char directory[] = "/tmp/stsgate-command.XXXXXX";
static char script[64];

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(script, sizeof(script), "%s/script", directory);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	(void)unlink(script);
	return rmdir(directory);
}

static void
write_script(const char *text)
{
	FILE *file = fopen(script, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(script, 0700), 0);
}

static bool
never(void *context)
{
	(void)context;
	return false;
}

static bool
soon(void *context)
{
	int *looks = context;

	return ++*looks > 2;
}

static int
run(const char *words, const char *input, size_t length, char why[256])
{
	static const char *const more[] = { "-f", "a b@c.example", NULL };
	char line[128];
	const struct command_run command = { .line = line,
		.more = more,
		.input = input,
		.length = length,
		.deadline = deadline_in(30000),
		.watch = { never, NULL } };

	(void)snprintf(line, sizeof(line), "%s%s", script, words);
	why[0] = '\0';
	return command_run(&command, why, 256);
}

static void
statuses(void **state)
{
	static const struct {
		const char *script, *why;
		int status;
	} table[] = {
		{ "cat >/dev/null; exit 0", "exit status 0", 0 },
		{ "cat >/dev/null; echo no room; echo more; exit 75", "exit status 75: no room",
		    75 },
		{ "echo no room >&2; exit 75", "exit status 75: no room", 75 },
		{ "printf 'a\\377\\033b\\n'; exit 1", "exit status 1: a??b", 1 },
		{ "exit 3", "exit status 3", 3 },
		{ "kill -9 $$", "was killed by signal 9", -1 },
	};
	char why[256];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		write_script(table[i].script);
		assert_int_equal(run("", "hello", 5, why), table[i].status);
		assert_string_equal(why, table[i].why);
	}
}

static void
arguments_and_input(void **state)
{
	char *large = malloc(LARGE), why[256];

	(void)state;
	memset(large, 'x', LARGE);
	write_script("echo \"$# $1 $2 $3 $4 $(wc -c) home=$HOME\"; exit 1");
	assert_int_equal(run(" -i  -t", large, LARGE, why), 1);
	assert_string_equal(why, "exit status 1: 4 -i -t -f a b@c.example 1048576 home=");
	free(large);
}

/* One that does not read its input, and writes too much. */
static void
deaf_and_talkative(void **state)
{
	char *large = malloc(LARGE), why[256];

	(void)state;
	memset(large, 'x', LARGE);
	write_script("head -c 300000 /dev/zero; exit 4");
	assert_int_equal(run("", large, LARGE, why), 4);
	write_script("exec <&-; sleep 0.1; exit 0");
	assert_int_equal(run("", large, LARGE, why), 0);
	free(large);
}

static void
cannot_be_run(void **state)
{
	char why[256];

	(void)state;
	(void)unlink(script);
	assert_int_equal(run("", "", 0, why), -1);
	assert_string_equal(why, "cannot be run: No such file or directory");
}

/* With its children, which would hold on to what they were given. */
static void
is_killed_when_its_time_is_over(void **state)
{
	static const char *const more[] = { NULL };
	char why[256], line[128];
	int looks = 0;
	struct command_run command = { .line = line,
		.more = more,
		.input = "",
		.deadline = deadline_in(200),
		.watch = { never, &looks } };
	int64_t began = clock_monotonic_ms();

	(void)state;
	(void)snprintf(line, sizeof(line), "%s", script);
	write_script("sleep 60 & sleep 60");
	assert_int_equal(command_run(&command, why, sizeof(why)), -1);
	assert_string_equal(why, "did not end in time");
	command.deadline = deadline_in(60000);
	command.watch.ended = soon;
	assert_int_equal(command_run(&command, why, sizeof(why)), -1);
	assert_true(clock_monotonic_ms() - began < 30000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(arguments_and_input),
		cmocka_unit_test(deaf_and_talkative),
		cmocka_unit_test(cannot_be_run),
		cmocka_unit_test(is_killed_when_its_time_is_over),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
