/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "tests/unit/conf_file.h"

static char directory[64], path[80], *written;

int
conf_file_setup(void **state)
{
	(void)state;
	(void)strcpy(directory, "/tmp/stsgate-conf-XXXXXX");
	if (mkdtemp(directory) == NULL)
		return -1;
	(void)snprintf(path, sizeof(path), "%s/stsgate.conf", directory);
	return 0;
}

int
conf_file_teardown(void **state)
{
	(void)state;
	free(written);
	written = NULL;
	(void)unlink(path);
	return rmdir(directory);
}

const char *
conf_file_directory(void)
{
	return directory;
}

struct conf *
conf_file_load(const char *octets, size_t length)
{
	FILE *file = fopen(path, "w"), *errors;
	struct conf *conf;
	size_t size;

	free(written);
	written = NULL;
	errors = open_memstream(&written, &size);
	if (file == NULL || errors == NULL || fwrite(octets, 1, length, file) != length)
		abort();
	(void)fclose(file);
	conf = conf_load(path, errors);
	(void)fclose(errors);
	return conf;
}

struct conf *
conf_file_load_text(const char *text)
{
	return conf_file_load(text, strlen(text));
}

const char *
conf_file_errors(void)
{
	size_t length = strlen(path);

	if (strncmp(written, path, length) == 0 && written[length] == ':')
		return written + length + 1;
	return written;
}
