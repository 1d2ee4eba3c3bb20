/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Runs a command of the administrator's, with octets on its standard input. Any thread.
 */
#ifndef REPORT_COMMAND_H
#define REPORT_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/deadline.h"
#include "base/wait.h"

struct command_run {
	const char *line;	/* path and arguments, divided by blanks; no shell sees it */
	const char *const *more;	/* further arguments, up to a NULL */
	const void *input;
	size_t length;
	struct deadline deadline;	/* past it, it and its children are killed */
	struct watch watch;	/* is it to be killed? */
};

/* Its exit status. -1 when it could not be run, was killed or out of time; for anything but 0 why
 * says more, with the first line that it wrote. */
int command_run(const struct command_run *run, char *why, size_t why_room);

#endif
