/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Stands in for libFuzzer: feeds every file of corpus/NAME to fuzz_NAME once. Fails when there is
 * no corpus, so that a target cannot pass by testing nothing.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tests/fuzz/fuzz.h"

static int
replay_file(const char *path)
{
	struct buf input = { 0 };
	char chunk[4096];
	size_t got;
	FILE *file = fopen(path, "rb");

	if (file == NULL) {
		perror(path);
		return -1;
	}
	while ((got = fread(chunk, 1, sizeof(chunk), file)) > 0)
		buf_add(&input, chunk, got);
	fclose(file);
	LLVMFuzzerTestOneInput((const uint8_t *)buf_text(&input), input.length);
	buf_free(&input);
	return 0;
}

static int
replay_directory(const char *directory)
{
	struct dirent *entry;
	struct buf path = { 0 };
	int files = 0;
	DIR *dir = opendir(directory);

	if (dir == NULL) {
		perror(directory);
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		buf_clear(&path);
		buf_printf(&path, "%s/%s", directory, entry->d_name);
		if (replay_file(buf_text(&path)) == 0)
			files++;
	}
	closedir(dir);
	buf_free(&path);
	return files;
}

int
main(int argc, char **argv)
{
	const char *source = getenv("srcdir");
	const char *name = strrchr(argv[0], '/');
	struct buf directory = { 0 };
	int files;

	name = name == NULL ? argv[0] : name + 1;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	if (argc > 1)
		buf_add_text(&directory, argv[1]);
	else
		buf_printf(&directory, "%s/tests/fuzz/corpus/%s", source == NULL ? "." : source,
		    name);
	files = replay_directory(buf_text(&directory));
	printf("%d inputs replayed\n", files);
	buf_free(&directory);
	return files > 0 ? 0 : 1;
}
