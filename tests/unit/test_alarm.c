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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/limits.h"

static char written[1 << 16];
static int saved, file;

static int catch (void **state)
{
	char path[] = "/tmp/stsgate-alarm-XXXXXX";

	(void)state;
	file = mkstemp(path);
	saved = dup(STDERR_FILENO);
	assert_true(file >= 0 && saved >= 0);
	unlink(path);
	dup2(file, STDERR_FILENO);
	return 0;
}

static int
release(void **state)
{
	(void)state;
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(file);
	return 0;
}

/* The lines since the last call. */
static const char *
lines(void)
{
	ssize_t got = pread(file, written, sizeof(written) - 1, 0);

	assert_true(got >= 0);
	written[got] = '\0';
	assert_int_equal(ftruncate(file, 0), 0);
	lseek(file, 0, SEEK_SET);
	return written;
}

static void
assert_line(const char *line, const char *before, const char *after)
{
	const char *since = strstr(line, " since=");

	assert_non_null(since);
	assert_int_equal(strncmp(line, before, (size_t)(since - line)), 0);
	assert_int_equal(strlen(before), since - line);
	since += strlen(" since=");
	assert_int_equal(strcspn(since, " "), strlen("2026-01-31T12:00:00Z"));
	assert_string_equal(strchr(since, ' '), after);
}

static void
test_one_line_at_begin_and_end(void **state)
{
	(void)state;
	assert_false(alarm_stands(ALARM_STORE, ""));
	alarm_end(ALARM_STORE, "", "never begun");
	assert_string_equal(lines(), "");
	assert_true(alarm_begin(ALARM_STORE, "", "no %s", "room"));
	assert_true(alarm_stands(ALARM_STORE, ""));
	assert_line(lines(),
	    "event=alarm level=error alarm=store domain=", " ended=no msg=\"no room\"\n");
	assert_false(alarm_begin(ALARM_STORE, "", "still none"));
	assert_string_equal(lines(), "");
	alarm_end(ALARM_STORE, "", "room");
	assert_false(alarm_stands(ALARM_STORE, ""));
	assert_line(lines(),
	    "event=alarm level=error alarm=store domain=", " ended=yes msg=room\n");
	alarm_end(ALARM_STORE, "", "room");
	assert_string_equal(lines(), "");
	alarm_begin(ALARM_STORE, "", "again");
	assert_line(lines(),
	    "event=alarm level=error alarm=store domain=", " ended=no msg=again\n");
	alarm_end(ALARM_STORE, "", "room");
}

static void
test_kinds_and_domains_are_apart(void **state)
{
	(void)state;
	alarm_begin(ALARM_RAN_OUT, "a.example", "over");
	assert_line(lines(), "event=alarm level=error alarm=ran-out domain=a.example",
	    " ended=no msg=over\n");
	assert_false(alarm_stands(ALARM_RAN_OUT, "b.example"));
	assert_false(alarm_stands(ALARM_STORE, "a.example"));
	alarm_end(ALARM_RAN_OUT, "b.example", "fetched");
	alarm_end(ALARM_CLOCK, "a.example", "set");
	assert_true(alarm_stands(ALARM_RAN_OUT, "a.example"));
	lines();
	alarm_end(ALARM_RAN_OUT, "a.example", "fetched");
	assert_line(lines(), "event=alarm level=error alarm=ran-out domain=a.example",
	    " ended=yes msg=fetched\n");
}

/* Domains that a stranger makes up push out one another, and nothing that concerns all mail. */
static void
test_alarms_are_bounded(void **state)
{
	char name[32];

	(void)state;
	alarm_begin(ALARM_CLOCK, "", "stepped");
	for (int i = 0; i < 2 * LIMIT_ALARMS; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		alarm_begin(ALARM_RAN_OUT, name, "over");
		assert_true(alarm_stands(ALARM_RAN_OUT, name));
	}
	assert_true(alarm_stands(ALARM_CLOCK, ""));
	assert_false(alarm_stands(ALARM_RAN_OUT, "d1000.example"));
	assert_true(alarm_stands(ALARM_RAN_OUT, "d1001.example"));
	for (int i = 0; i < 2 * LIMIT_ALARMS; i++) {
		snprintf(name, sizeof(name), "d%d.example", i);
		alarm_end(ALARM_RAN_OUT, name, "fetched");
	}
	alarm_end(ALARM_CLOCK, "", "set right");
	assert_false(alarm_stands(ALARM_CLOCK, ""));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_line_at_begin_and_end, catch, release),
		cmocka_unit_test_setup_teardown(test_kinds_and_domains_are_apart, catch, release),
		cmocka_unit_test_setup_teardown(test_alarms_are_bounded, catch, release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
