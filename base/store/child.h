/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Runs what may crash in a process of its own. On one thread, before others start: of the locks
 * that another thread holds at the fork, none would ever be released in the child.
 */
#ifndef BASE_STORE_CHILD_H
#define BASE_STORE_CHILD_H

#include <stdbool.h>

/*
 * task's result. Without one: *crashed when task has ended by a fault of its own, else an errno
 * (EINTR: it was killed). The child dies with the parent, and then releases its locks.
 */
int child_run(int (*task)(void *context), void *context, bool *crashed);

#endif
