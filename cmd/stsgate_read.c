/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/gzip.h"
#include "base/limits.h"
#include "report/received.h"
#include "cmd/received_mail.h"
#include "cmd/stsgate_client.h"
#include "cmd/stsgate_print.h"
#include "cmd/stsgate_read.h"

#define CHUNK	65536

struct source {
	struct received *received;
	const char *name;	/* for messages */
	unsigned reports;	/* found in it */
	bool quiet;	/* a part that is no report needs no message */
};

static void
complain_of(const char *name, const char *why)
{
	fprintf(stderr, "stsgate: %s: %s\n", name, why);
}

static size_t
blanks(const char *octets, size_t length)
{
	size_t i = 0;

	while (i < length && strchr(" \t\r\n", octets[i]) != NULL && octets[i] != '\0')
		i++;
	return i;
}

static bool
looks_like_json(const char *octets, size_t length)
{
	size_t before = blanks(octets, length);

	return before < length && octets[before] == '{';
}

static void
add_json(struct source *source, const char *octets, size_t length)
{
	const char *why = NULL;

	if (received_add(source->received, octets, length, &why) == 0)
		source->reports++;
	else if (!source->quiet)
		complain_of(source->name, why);
}

static void
add_gzip(struct source *source, const char *octets, size_t length)
{
	struct buf report = { 0 };

	if (gzip_unpack(octets, length, LIMIT_RECEIVED, &report) == 0)
		add_json(source, report.data, report.length);
	else
		complain_of(source->name, "a compressed report is damaged, or larger than 64 MiB");
	buf_free(&report);
}

/* Senders label reports in many ways, so the content decides. */
static void
add_part(void *context, const char *octets, size_t length)
{
	struct source *source = context;

	if (gzip_is(octets, length))
		add_gzip(source, octets, length);
	else if (looks_like_json(octets, length) && length <= LIMIT_RECEIVED)
		add_json(source, octets, length);
}

static void
add_octets(struct source *source, const char *octets, size_t length)
{
	if (gzip_is(octets, length) || looks_like_json(octets, length)) {
		add_part(source, octets, length);
		return;
	}
	source->quiet = true;	/* a message may have JSON of another kind in it */
	received_mail_read(octets, length, add_part, source);
	source->quiet = false;
}

/* 0, or -1 after a message. */
static int
read_all(FILE *file, const char *name, struct buf *octets)
{
	char chunk[CHUNK];
	size_t got;

	while (octets->length <= LIMIT_RECEIVED_FILE &&
	    (got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(octets, chunk, got);
	if (ferror(file)) {
		complain_of(name, strerror(errno));
		return -1;
	}
	if (octets->length > LIMIT_RECEIVED_FILE) {
		complain_of(name, "it is larger than 256 MiB: split it");
		return -1;
	}
	return 0;
}

static int
read_stream(struct source *source, FILE *file)
{
	struct buf octets = { 0 };
	int status = read_all(file, source->name, &octets);

	if (status == 0)
		add_octets(source, buf_text(&octets), octets.length);
	buf_free(&octets);
	return status;
}

static int read_path(struct source *source, const char *path, unsigned depth);

/* A Maildir has its messages in cur and new. */
static int
read_directory(struct source *source, const char *path, unsigned depth)
{
	struct dirent **entries;
	int status = 0, count = scandir(path, &entries, NULL, alphasort);
	struct buf name = { 0 };

	if (count < 0) {
		complain_of(path, strerror(errno));
		return -1;
	}
	for (int i = 0; i < count; i++) {
		buf_clear(&name);
		buf_printf(&name, "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.' &&
		    read_path(source, buf_text(&name), depth + 1) != 0)
			status = -1;
		free(entries[i]);
	}
	free(entries);
	buf_free(&name);
	return status;
}

/* Directories within a directory are read, but no deeper ones. */
static int
read_path(struct source *source, const char *path, unsigned depth)
{
	struct stat status;
	FILE *file;
	int result;

	if (stat(path, &status) != 0) {
		complain_of(path, strerror(errno));
		return -1;
	}
	if (S_ISDIR(status.st_mode))
		return depth < 2 ? read_directory(source, path, depth) : 0;
	file = fopen(path, "re");
	if (file == NULL) {
		complain_of(path, strerror(errno));
		return -1;
	}
	source->name = path;
	result = read_stream(source, file);
	fclose(file);
	return result;
}

/* true: there is a report in it, and all of it could be read. */
static bool
read_source(struct received *received, const char *path)
{
	struct source source = { .received = received,
		.name = path != NULL ? path : "standard input" };
	int status = path != NULL ? read_path(&source, path, 0) : read_stream(&source, stdin);

	if (status == 0 && source.reports == 0)
		complain_of(path != NULL ? path : source.name, "there is no TLS report in it");
	return status == 0 && source.reports > 0;
}

int
stsgate_read(char *const *paths, int count, bool json)
{
	struct received *received = received_new();
	bool good = true;
	json_t *rows;

	if (count == 0)
		good = read_source(received, NULL);
	for (int i = 0; i < count; i++)
		good = read_source(received, paths[i]) && good;
	rows = received_rows(received);
	if (json)
		stsgate_client_print_json(rows);
	else
		stsgate_print_received(stdout, rows);
	json_decref(rows);
	received_free(received);
	return good ? EX_OK : EXIT_NO;
}
