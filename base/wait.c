/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "base/wait.h"

bool
wait_is_over(const struct watch *watch)
{
	return watch != NULL && watch->ended(watch->context);
}

enum wait_end
wait_for(int fd, short events, struct deadline deadline, const struct watch *watch)
{
	struct pollfd ready = { .fd = fd, .events = events };
	struct deadline look = deadline;
	int count;

	for (;;) {
		if (deadline_passed(deadline))
			return WAIT_TIMEOUT;
		if (wait_is_over(watch))
			return WAIT_STOPPED;
		if (watch != NULL)
			look = deadline_earlier(deadline, deadline_in(WAIT_LOOK_MS));
		count = poll(&ready, 1, deadline_left_ms(look));
		if (count > 0)
			return WAIT_READY;
		if (count < 0 && errno != EINTR)
			return WAIT_FAILED;
	}
}
