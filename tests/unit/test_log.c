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
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static char written[1 << 20];

/* Runs act with stderr in a file and gives what it wrote. */
static const char *
stderr_of(void (*act)(void *context), void *context)
{
	char path[] = "/tmp/stsgate-log-XXXXXX";
	int fd = mkstemp(path), saved = dup(STDERR_FILENO);
	ssize_t got;

	assert_true(fd >= 0 && saved >= 0);
	unlink(path);
	dup2(fd, STDERR_FILENO);
	act(context);
	dup2(saved, STDERR_FILENO);
	close(saved);
	got = pread(fd, written, sizeof(written) - 1, 0);
	close(fd);
	assert_true(got >= 0);
	written[got] = '\0';
	return written;
}

static void
log_value(void *context)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "delivery");
	log_text(&line, "to", context);
	log_end(&line);
}

static void
test_values(void **state)
{
	static const struct {
		const char *value, *line;
	} cases[] = {
		{ "a@example.com", "event=delivery to=a@example.com\n" },
		{ "", "event=delivery to=\n" },
		{ "two words", "event=delivery to=\"two words\"\n" },
		{ "a=b", "event=delivery to=\"a=b\"\n" },
		{ "say \"hi\"", "event=delivery to=\"say \\x22hi\\x22\"\n" },
		{ "a\r\nevent=fake", "event=delivery to=\"a\\x0d\\x0aevent=fake\"\n" },
		{ "\t", "event=delivery to=\"\\x09\"\n" },
		{ "\x1b[2J\x7f", "event=delivery to=\"\\x1b[2J\\x7f\"\n" },
		{ "m\xc3\xbcller", "event=delivery to=\"m\\xc3\\xbcller\"\n" },
		{ "a\\x0ab", "event=delivery to=\"a\\x5cx0ab\"\n" },
		{ "100%s%n", "event=delivery to=100%s%n\n" },
		{ NULL, "event=delivery\n" },
	};
	size_t i;
	char value[64];

	(void)state;
	log_open("test_log", false, LOG_LEVEL_INFO);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (cases[i].value != NULL)
			snprintf(value, sizeof(value), "%s", cases[i].value);
		assert_string_equal(stderr_of(log_value, cases[i].value != NULL ? value : NULL),
		    cases[i].line);
	}
}

static void
test_a_huge_value_is_cut(void **state)
{
	char *value = malloc(100001);

	(void)state;
	assert_non_null(value);
	memset(value, 'x', 100000);
	value[100000] = '\0';
	assert_int_equal(strlen(stderr_of(log_value, value)),
	    strlen("event=delivery to=") + 2048 + 1);
	free(value);
}

static void
log_all_kinds(void *context)
{
	struct log_line line;

	(void)context;
	log_begin(&line, LOG_LEVEL_WARNING, "attempt");
	log_number(&line, "ms", INT64_MIN);
	log_format(&line, "mx", "%s:%d", "m.x", 25);
	log_format(&line, "reply", "%s", "250 ok");
	log_text(&line, "ip", NULL);
	log_end(&line);
	log_message(LOG_LEVEL_ERROR, "store", "%s: %s", "/var/lib", "no space");
	log_message(LOG_LEVEL_INFO, "start", "ready");
	log_message(LOG_LEVEL_DEBUG, "dns", "never");
}

static void
test_kinds_and_levels(void **state)
{
	static const char *const lines[] = {
		"event=attempt level=warning ms=-9223372036854775808 mx=m.x:25 reply=\"250 ok\"\n",
		"event=store level=error msg=\"/var/lib: no space\"\n",
		"event=start msg=ready\n",
		"event=dns level=debug msg=never\n",
	};
	char expected[1000];

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	assert_string_equal(stderr_of(log_all_kinds, NULL), lines[1]);
	log_set_level(LOG_LEVEL_WARNING);
	snprintf(expected, sizeof(expected), "%s%s", lines[0], lines[1]);
	assert_string_equal(stderr_of(log_all_kinds, NULL), expected);
	log_set_level(LOG_LEVEL_INFO);
	snprintf(expected, sizeof(expected), "%s%s%s", lines[0], lines[1], lines[2]);
	assert_string_equal(stderr_of(log_all_kinds, NULL), expected);
	log_set_level(LOG_LEVEL_DEBUG);
	snprintf(expected, sizeof(expected), "%s%s%s%s", lines[0], lines[1], lines[2], lines[3]);
	assert_string_equal(stderr_of(log_all_kinds, NULL), expected);
}

/* Must run first: nothing has called log_open() yet. */
static void
test_before_open(void **state)
{
	const char *text = stderr_of(log_all_kinds, NULL);

	(void)state;
	assert_non_null(strstr(text, "event=attempt"));
	assert_non_null(strstr(text, "event=store"));
	assert_null(strstr(text, "event=start"));
}

static void
test_level_names(void **state)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };
	unsigned i;

	(void)state;
	for (i = 0; i < 4; i++)
		assert_string_equal(log_level_name((enum log_level)i), names[i]);
}

static void *
log_many(void *context)
{
	int i;

	for (i = 0; i < 200; i++)
		log_message(LOG_LEVEL_INFO, "many", "%s end", (const char *)context);
	return NULL;
}

static void
log_from_four_threads(void *context)
{
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_many, context), 0);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

static void
test_lines_stay_whole(void **state)
{
	char word[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
	char expected[200];
	const char *at = written;
	int count;

	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	snprintf(expected, sizeof(expected), "event=many msg=\"%s end\"\n", word);
	stderr_of(log_from_four_threads, word);
	for (count = 0; strncmp(at, expected, strlen(expected)) == 0; count++)
		at += strlen(expected);
	assert_int_equal(*at, '\0');
	assert_int_equal(count, 800);
}

static void
log_with_stderr_closed(void *context)
{
	int saved = dup(STDERR_FILENO);

	(void)context;
	close(STDERR_FILENO);
	errno = ENOTTY;
	log_message(LOG_LEVEL_ERROR, "lost", "lost");
	assert_int_equal(errno, ENOTTY);
	dup2(saved, STDERR_FILENO);
	close(saved);
}

static void
test_a_lost_line_harms_nothing(void **state)
{
	(void)state;
	assert_string_equal(stderr_of(log_with_stderr_closed, NULL), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_open),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_a_huge_value_is_cut),
		cmocka_unit_test(test_kinds_and_levels),
		cmocka_unit_test(test_level_names),
		cmocka_unit_test(test_lines_stay_whole),
		cmocka_unit_test(test_a_lost_line_harms_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
