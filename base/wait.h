/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Is a descriptor ready yet, and does anybody still want to know? Any thread.
 */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <stdbool.h>

#include "base/deadline.h"

#define WAIT_LOOK_MS	250	/* between two questions whether anybody still waits */

/* Whoever the waiting is for may leave. ended is asked on the waiting thread, at the start of a
 * wait and every WAIT_LOOK_MS; true breaks it off. */
struct watch {
	bool (*ended)(void *context);
	void *context;
};

bool wait_is_over(const struct watch *watch);	/* what ended says; NULL: false */

enum wait_end {
	WAIT_READY,
	WAIT_TIMEOUT,
	WAIT_STOPPED,	/* the watch said so */
	WAIT_FAILED	/* errno */
};
/* Until poll() events come on fd, which an error or a hang-up is as well. watch may be NULL. */
enum wait_end wait_for(int fd, short events, struct deadline deadline, const struct watch *watch);

#endif
