/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>

#include "base/wait.h"
#include "policy/facts/gather_wait.h"

bool
gather_wait_is_wanted(const struct gatherer *gatherer, const char *what)
{
	const struct gather_watch *watch = gatherer->watch;

	return watch == NULL || !watch->ended(watch->context, what);
}

struct deadline
gather_wait_policy(const struct gatherer *gatherer, const struct sts_inquiry *inquiry,
    struct deadline deadline)
{
	while (gatherer->watch != NULL && !deadline_passed(deadline) &&
	    !sts_cache_await(gatherer->sts_cache, inquiry, deadline_in(0))) {
		if (!gather_wait_is_wanted(gatherer, "policy"))
			deadline = deadline_in(0);
		(void)sts_cache_await(gatherer->sts_cache, inquiry,
		    deadline_earlier(deadline, deadline_in(WAIT_LOOK_MS)));
	}
	return deadline;
}
