/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/thread.h"

static int
start(pthread_t *thread, size_t stack_octets, int detach_state, void *(*run)(void *context),
    void *context)
{
	size_t least = (size_t)PTHREAD_STACK_MIN;
	pthread_attr_t attributes;
	sigset_t all;
	int error;

	error = pthread_attr_init(&attributes);
	if (error != 0)
		return error;
	(void)sigfillset(&all);
	error = pthread_attr_setstacksize(&attributes, stack_octets > least ? stack_octets : least);
	if (error == 0)
		error = pthread_attr_setdetachstate(&attributes, detach_state);
	if (error == 0)
		error = pthread_attr_setsigmask_np(&attributes, &all);
	if (error == 0)
		error = pthread_create(thread, &attributes, run, context);
	(void)pthread_attr_destroy(&attributes);
	return error;
}

int
thread_start(pthread_t *thread, size_t stack_octets, void *(*run)(void *context), void *context)
{
	return start(thread, stack_octets, PTHREAD_CREATE_JOINABLE, run, context);
}

int
thread_start_detached(size_t stack_octets, void *(*run)(void *context), void *context)
{
	pthread_t thread;

	return start(&thread, stack_octets, PTHREAD_CREATE_DETACHED, run, context);
}

void
thread_release_stack(void)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), lowest, unused;
	pthread_attr_t attributes;
	void *stack;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	if (pthread_attr_getstack(&attributes, &stack, &size) == 0) {
		lowest = (uintptr_t)stack;
		/* A page for the call that does it. */
		unused = ((uintptr_t)__builtin_frame_address(0) - page) / page * page;
		if (unused > lowest && unused < lowest + size)
			(void)madvise(stack, unused - lowest, MADV_DONTNEED);
	}
	(void)pthread_attr_destroy(&attributes);
}

void
thread_condition(pthread_cond_t *condition)
{
	pthread_condattr_t attributes;

	if (pthread_condattr_init(&attributes) != 0 ||
	    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
	    pthread_cond_init(condition, &attributes) != 0)
		abort();
	(void)pthread_condattr_destroy(&attributes);
}
