/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/store/store_dir.h"

#define PATH_ROOM	4096
#define TRIES	50	/* of 20 ms */

static void
explain(char *why, size_t why_room, const char *path, const char *what)
{
	int error = errno;

	(void)snprintf(why, why_room, "%s%s: %s", path, what, strerror(error));
}

/* false: it is no directory that this process may keep files in. */
static bool
is_usable(const char *directory, char *why, size_t why_room)
{
	struct stat status;

	if (stat(directory, &status) != 0) {
		(void)snprintf(why, why_room,
		    "%s: %s: make the state directory and give it to the "
		    "user "
		    "that stsgated runs as",
		    directory, strerror(errno));
		return false;
	}
	if (!S_ISDIR(status.st_mode)) {
		(void)snprintf(why, why_room, "%s is no directory", directory);
		return false;
	}
	if (faccessat(AT_FDCWD, directory, R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
		(void)snprintf(why, why_room, "%s: user %u may not write here: %s", directory,
		    (unsigned)geteuid(), strerror(errno));
		return false;
	}
	return true;
}

/* 0: not known. */
static pid_t
holder(int fd)
{
	char pid[24] = "";

	return pread(fd, pid, sizeof(pid) - 1, 0) > 0 ? (pid_t)strtol(pid, NULL, 10) : 0;
}

/* The children of a process that was killed hold its lock a moment longer than itself. */
static int
lock_or_wait(int fd)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int failed, tries;
	pid_t pid;

	for (tries = 0; (failed = flock(fd, LOCK_EX | LOCK_NB)) != 0 && tries < TRIES; tries++) {
		pid = holder(fd);
		if (errno != EWOULDBLOCK || pid <= 0 || kill(pid, 0) == 0 || errno != ESRCH)
			break;
		(void)nanosleep(&pause, NULL);
	}
	return failed;
}

static void
explain_lock(int fd, const char *path, char *why, size_t why_room)
{
	pid_t pid = holder(fd);

	if (pid > 0)
		(void)snprintf(why, why_room,
		    "process %ld holds %s: stop that stsgated, or give "
		    "this one "
		    "a state-directory of its own",
		    (long)pid, path);
	else
		(void)snprintf(why, why_room, "%s cannot be locked", path);
}

static int
write_pid(int fd)
{
	char pid[24];
	int length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

	/* The lock is what counts: on a full disk the pid may be missing. */
	(void)(ftruncate(fd, 0) == 0 && pwrite(fd, pid, (size_t)length, 0) == length);
	return fd;
}

int
store_dir_lock(const char *directory, char *why, size_t why_room)
{
	char path[PATH_ROOM];
	int fd;

	if (!is_usable(directory, why, why_room))
		return -1;
	(void)snprintf(path, sizeof(path), "%s/lock", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		explain(why, why_room, path, "");
		return -1;
	}
	if (lock_or_wait(fd) == 0)
		return write_pid(fd);
	explain_lock(fd, path, why, why_room);
	(void)close(fd);
	return -1;
}

bool
store_dir_is_exposed(const char *directory, char *why, size_t why_room)
{
	struct stat status;

	if (stat(directory, &status) != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) == 0)
		return false;
	(void)snprintf(why, why_room,
	    "%s is writable for %s, and policies could be forged there: "
	    "chmod 0700",
	    directory, (status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group");
	return true;
}

bool
store_dir_exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

/* The directory is flat: Berkeley DB makes no other. */
static int
empty(const char *path, char *why, size_t why_room)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int failed = 0;

	while (directory != NULL && failed == 0 && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			failed = unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory == NULL || failed != 0)
		explain(why, why_room, path, " cannot be emptied");
	if (directory != NULL)
		(void)closedir(directory);
	return directory != NULL ? failed : -1;
}

int
store_dir_make(const char *path, char *why, size_t why_room)
{
	if (mkdir(path, 0700) == 0)
		return 0;
	if (errno == EEXIST)
		return empty(path, why, why_room);
	explain(why, why_room, path, " cannot be made");
	return -1;
}

int
store_dir_rename(const char *from, const char *to, char *why, size_t why_room)
{
	if (rename(from, to) == 0)
		return 0;
	explain(why, why_room, from, " cannot be renamed");
	return -1;
}

void
store_dir_aside(const char *path, char *aside, size_t room)
{
	time_t now = (time_t)clock_wall_s();
	char stamp[40];
	struct tm utc;
	int again;

	(void)gmtime_r(&now, &utc);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &utc);
	(void)snprintf(aside, room, "%s.damaged.%s", path, stamp);
	for (again = 2; store_dir_exists(aside) && again < 100; again++)
		(void)snprintf(aside, room, "%s.damaged.%s-%d", path, stamp, again);
}

int
store_dir_sync(const char *path, char *why, size_t why_room)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int failed = fd < 0 ? -1 : fsync(fd);

	if (failed != 0)
		explain(why, why_room, path, " cannot be synced");
	if (fd >= 0)
		(void)close(fd);
	return failed;
}
