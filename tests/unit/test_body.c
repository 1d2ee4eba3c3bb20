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
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "shim/message/body.h"

static char directory[64];

static int
setup(void **state)
{
	(void)state;
	strcpy(directory, "/tmp/stsgate-body-XXXXXX");
	return mkdtemp(directory) == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	return rmdir(directory);	/* fails when something was left there */
}

static char *
read_all(const struct body *body, size_t room)
{
	uint64_t size = body_size(body), offset = 0;
	char *text = xcalloc(1, (size_t)size + 1);
	ssize_t got;

	while ((got = body_read(body, offset, text + offset,
		    size - offset < room ? (size_t)(size - offset) : room)) > 0)
		offset += (uint64_t)got;
	assert_int_equal(got, 0);
	assert_int_equal(offset, size);
	return text;
}

static struct body *
body_of(struct body_spool *spool, const char *raw, size_t length, size_t piece)
{
	struct body *body = body_new(spool);
	size_t at, part;

	for (at = 0; at < length; at += part) {
		part = length - at < piece ? length - at : piece;
		assert_int_equal(body_add(body, raw + at, part), 0);
	}
	assert_int_equal(body_end(body), 0);
	return body;
}

static void
test_line_ends(void **state)
{
	static const struct {
		const char *raw, *content;
	} cases[] = {
		{ "", "" },
		{ "a\r\n", "a\r\n" },
		{ "a\n", "a\r\n" },
		{ "a", "a\r\n" },
		{ "a\r", "a\r\n" },
		{ "\r", "" },
		{ "\n", "\r\n" },
		{ "\r\n", "\r\n" },
		{ "a\rb\r\n", "ab\r\n" },
		{ "a\r\r\nb", "a\r\nb\r\n" },
		{ "a\n\rb\n", "a\r\nb\r\n" },
		{ "a\n.\nb\r\n", "a\r\n.\r\nb\r\n" },
		{ "a\n\n\nb", "a\r\n\r\n\r\nb\r\n" },
		{ ".\r\n..\r\n", ".\r\n..\r\n" },
		{ "a\r\n\r", "a\r\n" },
		{ "a\r.\rb", "a.b\r\n" },
	};
	struct body_spool *spool = body_spool_new(directory, 1 << 20);
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (piece = 1; piece < 6; piece++) {
			struct body *body = body_of(spool, cases[i].raw, strlen(cases[i].raw),
			    piece);
			char *text = read_all(body, piece);

			assert_string_equal(text, cases[i].content);
			free(text);
			body_free(body);
		}
	}
	body_spool_free(spool);
}

static void
test_header(void **state)
{
	static const struct {
		const char *raw;
		unsigned received;
		bool header_8bit, any_8bit;
	} cases[] = {
		{ "Received: a\nreceived: b\nRECEIVED:c\n\nReceived: body\n", 3, false, false },
		{ "Subject: x\n Received: folded\nX-Received: y\nReceivedX: z\nReceived x\n\n", 0,
		    false, false },
		{ "\nReceived: body\n", 0, false, false },
		{ "\r\nReceived: body\r\n", 0, false, false },
		{ "Subject: \xc3\xa4\n\nx", 0, true, true },
		{ "Subject: x\n\n\xc3\xa4\n", 0, false, true },
		{ "Subject: x\r\n\r\n\xc3\xa4\r\n", 0, false, true },
		{ "Received: unfinished", 1, false, false },
		{ "Received : a\nReceived\t : b:c\nReceived x: d\nReceived\n : e\n\n", 2, false,
		    false },
		{ "Rec\reived: mended\n\n", 1, false, false }, { "Received", 0, false, false },
		{ "", 0, false, false }, { "\xc3", 0, true, true },
		{ "a\r\n\r\r\n\xc3", 0, false, true },	/* an empty line once it is repaired */
	};
	struct body_spool *spool = body_spool_new(directory, 1 << 20);
	size_t i, piece;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (piece = 1; piece < 100; piece += 7) {
			struct body *body = body_of(spool, cases[i].raw, strlen(cases[i].raw),
			    piece);

			assert_int_equal(body_received_headers(body), cases[i].received);
			assert_int_equal(body_header_has_8bit(body), cases[i].header_8bit);
			assert_int_equal(body_has_8bit(body), cases[i].any_8bit);
			body_free(body);
		}
	}
	body_spool_free(spool);
}

/* How many of our descriptors are open files below the spool directory? -1: one has a name. */
static int
spool_files(void)
{
	struct dirent *entry;
	char link[300], target[300];
	struct stat status;
	ssize_t length;
	int files = 0;
	DIR *dir = opendir("/proc/self/fd");

	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL) {
		snprintf(link, sizeof(link), "/proc/self/fd/%s", entry->d_name);
		length = readlink(link, target, sizeof(target) - 1);
		if (length < 0 || strncmp(target, directory, strlen(directory)) != 0)
			continue;
		assert_int_equal(stat(link, &status), 0);
		assert_int_equal(status.st_nlink, 0);
		assert_int_equal(status.st_mode & 0777, 0600);
		files++;
	}
	closedir(dir);
	return files;
}

static struct body *
body_with_pattern(struct body_spool *spool, size_t lines)
{
	struct body *body = body_new(spool);
	char line[32];
	size_t i;

	for (i = 0; i < lines; i++) {
		snprintf(line, sizeof(line), "line %09zu\n", i);	/* 15 octets, 16 with CR */
		assert_int_equal(body_add(body, line, 15), 0);
	}
	assert_int_equal(body_end(body), 0);
	return body;
}

static void
assert_pattern(const struct body *body, size_t lines)
{
	char *text = read_all(body, 10007), line[32];
	size_t i;

	assert_int_equal(body_size(body), lines * 16);
	for (i = 0; i < lines; i++) {
		snprintf(line, sizeof(line), "line %09zu\r\n", i);
		assert_memory_equal(text + i * 16, line, 16);
	}
	free(text);
}

static void
test_memory_then_file(void **state)
{
	static const size_t limit = LIMIT_BODY_IN_MEMORY / 16;
	struct body_spool *spool = body_spool_new(directory, 256 << 20);
	struct body *body;

	(void)state;
	body = body_with_pattern(spool, limit);
	assert_int_equal(spool_files(), 0);
	assert_pattern(body, limit);
	body_free(body);
	body = body_with_pattern(spool, limit + 1);
	assert_int_equal(spool_files(), 1);
	assert_pattern(body, limit + 1);
	body_free(body);
	assert_int_equal(spool_files(), 0);
	body_spool_free(spool);
}

/* spool-memory is the process's: what one message holds another must do without. */
static void
test_memory_is_shared(void **state)
{
	struct body_spool *spool = body_spool_new(directory, 600 * 1024);
	struct body *first, *second, *third;

	(void)state;
	first = body_with_pattern(spool, 500 * 1024 / 16);
	assert_int_equal(spool_files(), 0);
	second = body_with_pattern(spool, 200 * 1024 / 16);
	assert_int_equal(spool_files(), 1);
	assert_pattern(first, 500 * 1024 / 16);
	assert_pattern(second, 200 * 1024 / 16);
	body_free(first);
	third = body_with_pattern(spool, 200 * 1024 / 16);
	assert_int_equal(spool_files(), 1);
	assert_pattern(third, 200 * 1024 / 16);
	body_free(third);
	body_free(second);
	/* All of it has come back: the first message again fits. */
	first = body_with_pattern(spool, 500 * 1024 / 16);
	assert_int_equal(spool_files(), 0);
	body_free(first);
	body_spool_free(spool);
}

static void
test_no_memory_at_all(void **state)
{
	struct body_spool *spool = body_spool_new(directory, 0);
	struct body *body = body_with_pattern(spool, 10);

	(void)state;
	assert_int_equal(spool_files(), 1);
	assert_pattern(body, 10);
	body_free(body);
	body = body_new(spool);	/* an empty message needs no room */
	assert_int_equal(body_end(body), 0);
	assert_int_equal(body_size(body), 0);
	assert_int_equal(spool_files(), 0);
	body_free(body);
	body_spool_free(spool);
}

static void
test_no_room(void **state)
{
	struct body_spool *spool = body_spool_new("/nonexistent/directory", 8192);
	struct body *body = body_new(spool);
	char block[4096];
	int i;

	(void)state;
	memset(block, 'x', sizeof(block));
	assert_int_equal(body_add(body, block, 4096), 0);
	assert_int_equal(body_add(body, block, 4096), 0);
	assert_int_equal(body_add(body, block, 1), -1);
	/* A message with a hole in it must never pass for a whole one. */
	for (i = 0; i < 3; i++)
		assert_int_equal(body_add(body, block, 1), -1);
	assert_int_equal(body_end(body), -1);
	body_free(body);
	body = body_new(spool);
	assert_int_equal(body_add(body, block, 4096), 0);
	assert_int_equal(body_end(body), 0);
	body_free(body);
	body_spool_free(spool);
}

/* A disk that fills up in the middle, played by the limit on a file's size. */
static void
test_disk_full(void **state)
{
	struct rlimit old, small = { 1 << 20, 1 << 20 };
	struct body_spool *spool = body_spool_new(directory, 0);
	struct body *body = body_new(spool);
	char block[4096];
	int i, result = 0;

	(void)state;
	memset(block, 'x', sizeof(block));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (i = 0; i < 257 && result == 0; i++)
		result = body_add(body, block, sizeof(block));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(result, -1);
	assert_int_equal(i, 257);
	assert_int_equal(body_add(body, block, 1), -1);
	body_free(body);
	body_spool_free(spool);
}

static void
test_read_bounds(void **state)
{
	struct body_spool *spool = body_spool_new(directory, 1 << 20);
	struct body *body = body_of(spool, "abc\n", 4, 4);
	char octets[10] = "";

	(void)state;
	assert_int_equal(body_read(body, 0, octets, sizeof(octets)), 5);
	assert_int_equal(body_read(body, 3, octets, sizeof(octets)), 2);
	assert_memory_equal(octets, "\r\n", 2);
	assert_int_equal(body_read(body, 1, octets, 1), 1);
	assert_int_equal(octets[0], 'b');
	assert_int_equal(body_read(body, 5, octets, sizeof(octets)), 0);
	assert_int_equal(body_read(body, UINT64_MAX, octets, sizeof(octets)), 0);
	body_free(body);
	body_free(NULL);
	body_spool_free(spool);
	body_spool_free(NULL);
}

#define READERS	4
#define READER_LINES	100000

static void *
reader(void *context)
{
	char octets[4000], line[32];
	uint64_t offset = 0;
	size_t i;
	ssize_t got;

	while ((got = body_read(context, offset, octets, sizeof(octets))) > 0) {
		for (i = 0; i < (size_t)got; i += 16) {
			snprintf(line, sizeof(line), "line %09zu\r\n", (size_t)(offset + i) / 16);
			if (memcmp(octets + i, line, 16) != 0)
				return context;
		}
		offset += (uint64_t)got;
	}
	return got == 0 && offset == READER_LINES * 16 ? NULL : context;
}

static void
test_many_readers(void **state)
{
	struct body_spool *spool = body_spool_new(directory, 1 << 20);
	struct body *body = body_with_pattern(spool, READER_LINES);
	pthread_t threads[READERS];
	void *wrong;
	int i;

	(void)state;
	for (i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, body), 0);
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	body_free(body);
	body_spool_free(spool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_line_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_header, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_then_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory_is_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory_at_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_readers, setup, teardown),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
