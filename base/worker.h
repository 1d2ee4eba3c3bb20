/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A thread that runs one function, and is joined.
 */
#ifndef BASE_WORKER_H
#define BASE_WORKER_H

#include <stddef.h>

struct worker;

/* NULL: cannot create a thread. */
struct worker *worker_start(size_t stack_octets, void (*run)(void *context), void *context);
void worker_join(struct worker *worker);	/* NULL is allowed */

#endif
