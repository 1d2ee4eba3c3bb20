/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What time is it, for policies that outlive the process? They carry wall-clock times, and a wall
 * clock that steps must never be the reason why one is forgotten. So the process counts seconds
 * by itself as well, from the wall clock at its start. The later of the two stamps, the earlier
 * judges: a policy may live too long for a while, never too short. Any thread.
 */
#ifndef POLICY_STS_CLOCK_H
#define POLICY_STS_CLOCK_H

#include <stdint.h>

struct sts_clock {
	int64_t wall_s;	/* at start */
	int64_t count_s;	/* at start, of a clock that is never set and runs on in suspend */
};

struct sts_now {
	int64_t earlier, later;	/* seconds since 1970; equal unless the clock stepped */
	int64_t step;	/* seconds by which the wall clock is ahead of the count */
};

void sts_clock_start(struct sts_clock *clock);
struct sts_now sts_clock_now(const struct sts_clock *clock);
/* The same for given readings of both clocks. Pure. */
struct sts_now sts_clock_at(const struct sts_clock *clock, int64_t wall_s, int64_t count_s);

#endif
