/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * To be preloaded: the wall clock is ahead by as many seconds as the file named by WALL_CLOCK says,
 * and CLOCK_BOOTTIME by what BOOT_CLOCK says; both may change at any time. The kernel's boot id is
 * what the file named by BOOT_ID holds. All else stays as it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int
open_file(const char *path, int flags, mode_t mode)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static long
ahead(const char *name)
{
	char text[32] = "";
	const char *path = getenv(name);
	int before = errno, fd = path == NULL ? -1 : open_file(path, O_RDONLY | O_CLOEXEC, 0);
	ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	errno = before;
	return length > 0 ? strtol(text, NULL, 10) : 0;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int failed = (int)syscall(SYS_clock_gettime, clock, now);

	if (failed == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		now->tv_sec += ahead("WALL_CLOCK");
	if (failed == 0 && clock == CLOCK_BOOTTIME)
		now->tv_sec += ahead("BOOT_CLOCK");
	return failed;
}

static int
open_boot_id(const char *path, int flags, mode_t mode)
{
	const char *other = getenv("BOOT_ID");

	if (other != NULL && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
		path = other;
	return open_file(path, flags, mode);
}

int
open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_boot_id(path, flags, mode);
}

int
open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t) : 0;
	va_end(args);
	return open_boot_id(path, flags | O_LARGEFILE, mode);
}

int
__open_2(const char *path, int flags)
{
	return open_boot_id(path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return open_boot_id(path, flags | O_LARGEFILE, 0);
}

time_t
time(time_t *at)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (at != NULL)
		*at = now.tv_sec;
	return now.tv_sec;
}

int
gettimeofday(struct timeval *at, void *zone)
{
	struct timespec now;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	at->tv_sec = now.tv_sec;
	at->tv_usec = now.tv_nsec / 1000;
	return 0;
}
