/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <limits.h>
#include <stdlib.h>

#include "base/deadline.h"

struct deadline
deadline_in(int64_t ms)
{
	struct deadline deadline;

	if (__builtin_add_overflow(clock_monotonic_ms(), ms, &deadline.at_ms))
		deadline.at_ms = ms > 0 ? INT64_MAX : INT64_MIN;
	return deadline;
}

struct deadline
deadline_earlier(struct deadline a, struct deadline b)
{
	return a.at_ms < b.at_ms ? a : b;
}

bool
deadline_passed(struct deadline deadline)
{
	return clock_monotonic_ms() >= deadline.at_ms;
}

int
deadline_left_ms(struct deadline deadline)
{
	int64_t now = clock_monotonic_ms();

	if (now >= deadline.at_ms)
		return 0;
	if (deadline.at_ms - now > INT_MAX)
		return INT_MAX;
	return (int)(deadline.at_ms - now);
}

struct timespec
deadline_timespec(struct deadline deadline)
{
	struct timespec at = { 0 };

	/* A negative time is EINVAL to pthread_cond_timedwait(), where it should be long over. */
	if (deadline.at_ms > 0) {
		at.tv_sec = (time_t)(deadline.at_ms / 1000);
		at.tv_nsec = (long)(deadline.at_ms % 1000) * 1000000;
	}
	return at;
}
