/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A library to preload: while the file named by NO_MEMORY exists, libunbound gets no memory for the
 * answers that it hands over. It then stops with an error. For glibc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

extern void *__libc_malloc(size_t octets);

static _Thread_local int refuses;

void *
malloc(size_t octets)
{
	if (!refuses)
		return __libc_malloc(octets);
	errno = ENOMEM;
	return NULL;
}

int
ub_process(void *context)
{
	static int (*next)(void *context);
	const char *path = getenv("NO_MEMORY");
	int result;

	if (next == NULL)
		next = (int (*)(void *))dlsym(RTLD_NEXT, "ub_process");
	refuses = path != NULL && access(path, F_OK) == 0;
	result = next(context);
	refuses = 0;
	return result;
}
