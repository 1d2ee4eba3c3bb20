/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/descriptors.h"
#include "base/recent.h"

#define RESERVE_MAX	64
#define LIMIT_MAX	(1024 * 1024)	/* no limit at all, for calculations */

static size_t
in_bounds(rlim_t limit)
{
	return limit > LIMIT_MAX ? LIMIT_MAX : (size_t)limit;
}

size_t
descriptors_limit(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? in_bounds(limit.rlim_cur) : LIMIT_MAX;
}

size_t
descriptors_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	return descriptors_limit();
}

static size_t
reserve_of(size_t limit)
{
	return limit / 4 < RESERVE_MAX ? limit / 4 : RESERVE_MAX;
}

/* The kernel gives the lowest that is free: a high one says that all below it are in use. */
int
descriptors_spare(int fd)
{
	size_t limit;

	if (fd < 0)
		return fd;
	limit = descriptors_limit();
	if ((size_t)fd < limit - reserve_of(limit))
		return fd;
	(void)close(fd);
	recent_count(RECENT_NO_DESCRIPTOR);
	errno = EMFILE;
	return -1;
}

bool
descriptors_have_spare(void)
{
	int fd = descriptors_spare(open("/dev/null", O_RDONLY | O_CLOEXEC));

	if (fd < 0)
		return errno != EMFILE && errno != ENFILE;
	(void)close(fd);
	return true;
}

bool
descriptors_left(size_t count)
{
	int *fds = xcalloc(count, sizeof(*fds));
	size_t opened = 0;

	while (opened < count && (fds[opened] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		opened++;
	for (size_t i = 0; i < opened; i++)
		(void)close(fds[i]);
	free(fds);
	return opened == count;
}
