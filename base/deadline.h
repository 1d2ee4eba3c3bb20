/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * When must this be over? An absolute point on the monotonic clock, passed by value, so that
 * nested calls share one budget instead of adding theirs up.
 */
#ifndef BASE_DEADLINE_H
#define BASE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/clock.h"

struct deadline {
	int64_t at_ms;	/* CLOCK_MONOTONIC, milliseconds */
};

struct deadline deadline_in(int64_t ms);	/* ms from now */
struct deadline deadline_earlier(struct deadline a, struct deadline b);
bool deadline_passed(struct deadline deadline);
int deadline_left_ms(struct deadline deadline);	/* for poll(): 0 when passed, at most INT_MAX */
struct timespec deadline_timespec(struct deadline deadline);	/* for pthread_cond_timedwait() on
								   a CLOCK_MONOTONIC condition */
#endif
