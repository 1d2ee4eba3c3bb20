/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/boot_id.h"
#include "base/buf.h"
#include "base/store/store_mark.h"

#define PATH_ROOM	4096
#define MARK_ROOM	4096

/* The file's text, "" when there is none. */
static void
read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t got = fd >= 0 ? read(fd, text, room - 1) : -1;

	text[got > 0 ? got : 0] = '\0';
	if (fd >= 0)
		(void)close(fd);
}

static void
mark_path(const char *directory, char path[PATH_ROOM])
{
	(void)snprintf(path, PATH_ROOM, "%s/bdb.mark", directory);
}

/* No mark is better than one that is not true any more. */
static void
write_mark(const char *directory, const char *text)
{
	char path[PATH_ROOM], fresh[PATH_ROOM + 8];
	size_t length = strlen(text);
	bool done = false;
	int fd;

	mark_path(directory, path);
	(void)snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		done = write(fd, text, length) == (ssize_t)length && fsync(fd) == 0;
		(void)close(fd);
	}
	if (!done || rename(fresh, path) != 0) {
		(void)unlink(fresh);
		(void)unlink(path);
	}
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int
choose_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* A line a file: its size, when it was changed last, and which one it is. */
static void
add_files(const char *home, struct buf *text)
{
	struct dirent **entries = NULL;
	char path[PATH_ROOM];
	struct stat status;
	int i, count = scandir(home, &entries, choose_file, by_name);

	for (i = 0; i < count; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", home, entries[i]->d_name);
		if (lstat(path, &status) == 0)
			buf_printf(text, "%s %jd %jd.%09ld %ju\n", entries[i]->d_name,
			    (intmax_t)status.st_size, (intmax_t)status.st_mtim.tv_sec,
			    status.st_mtim.tv_nsec, (uintmax_t)status.st_ino);
		free(entries[i]);
	}
	free(entries);
}

static void
closed_text(const char *home, struct buf *text)
{
	buf_add_text(text, "closed\n");
	add_files(home, text);
}

bool
store_mark_is_sound(const char *directory, const char *home)
{
	char path[PATH_ROOM], text[MARK_ROOM], id[BOOT_ID_MAX], running[2 * BOOT_ID_MAX];
	struct buf closed = { 0 };
	bool sound;

	mark_path(directory, path);
	read_text(path, text, sizeof(text));
	boot_id_read(id);
	(void)snprintf(running, sizeof(running), "open %s examined\n", id);
	closed_text(home, &closed);
	sound = strcmp(text, buf_text(&closed)) == 0 ||
	    (id[0] != '\0' && strcmp(text, running) == 0);
	buf_free(&closed);
	return sound;
}

void
store_mark_opened(const char *directory, bool examined)
{
	char path[PATH_ROOM], before[MARK_ROOM], id[BOOT_ID_MAX], text[2 * BOOT_ID_MAX];
	bool trusted;

	mark_path(directory, path);
	read_text(path, before, sizeof(before));
	boot_id_read(id);
	trusted = examined || strncmp(before, "closed\n", 7) == 0;
	(void)snprintf(text, sizeof(text), "open %s %s\n", id, trusted ? "examined" : "unexamined");
	write_mark(directory, text);
}

void
store_mark_closed(const char *directory, const char *home)
{
	char path[PATH_ROOM], before[MARK_ROOM];
	struct buf text = { 0 };

	mark_path(directory, path);
	read_text(path, before, sizeof(before));
	if (strncmp(before, "open ", 5) == 0) {
		closed_text(home, &text);
		write_mark(directory, buf_text(&text));
	}
	buf_free(&text);
}

void
store_mark_suspect(const char *directory)
{
	write_mark(directory, "suspect\n");
}
