/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How does a thread of ours begin, and what does it wait on? With a stack of a stated size, since
 * there may be thousands, and no signal let through: those are for the main thread. Conditions
 * count on the monotonic clock, as deadlines do. Any thread may call these.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* 0 or an errno. To be joined. */
int thread_start(pthread_t *thread, size_t stack_octets, void *(*run)(void *context),
    void *context);
int thread_start_detached(size_t stack_octets, void *(*run)(void *context), void *context);

/* Gives back what earlier calls of this thread took of its stack. For who is about to wait for
 * long: thousands may. */
void thread_release_stack(void);

/* For pthread_cond_timedwait() with deadline_timespec(). */
void thread_condition(pthread_cond_t *condition);

#endif
