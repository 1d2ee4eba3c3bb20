/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <time.h>

#include "base/deadline.h"
#include "policy/sts_clock.h"

static int64_t
count_s(void)
{
	struct timespec now;

	if (clock_gettime(CLOCK_BOOTTIME, &now) != 0)
		abort();
	return now.tv_sec;
}

void
sts_clock_start(struct sts_clock *clock)
{
	clock->wall_s = clock_wall_s();
	clock->count_s = count_s();
}

struct sts_now
sts_clock_at(const struct sts_clock *clock, int64_t wall_s, int64_t counted_s)
{
	int64_t counted = clock->wall_s + (counted_s - clock->count_s);
	struct sts_now now = { .earlier = counted, .later = wall_s, .step = wall_s - counted };

	if (now.step >= -1 && now.step <= 1) {	/* the two do not turn seconds together */
		now.earlier = wall_s;
	} else if (now.step < 0) {
		now.earlier = wall_s;
		now.later = counted;
	}
	return now;
}

struct sts_now
sts_clock_now(const struct sts_clock *clock)
{
	return sts_clock_at(clock, clock_wall_s(), count_s());
}
