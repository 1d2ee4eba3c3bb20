/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <time.h>

#include "policy/facts/sts_clock.h"

static int64_t
read_ms(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) != 0)
		abort();
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
sts_clock_read(struct sts_reading *reading)
{
	reading->wall_ms = read_ms(CLOCK_REALTIME);
	reading->count_ms = read_ms(CLOCK_BOOTTIME);
}

void
sts_clock_boot(char boot[BOOT_ID_CLOCK_MAX])
{
	boot_id_of_clock(boot);
}
