/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * To be preloaded: while the file named by NO_MEMORY is there, one request for memory within each
 * TLS handshake of a client is refused, by turns another one. For glibc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define TURNS	80

extern void *__libc_malloc(size_t octets);
extern void *__libc_realloc(void *old, size_t octets);

static atomic_int turn;
static _Thread_local int left;	/* requests to the one that is refused; 0: none is */

static int
refuses(void)
{
	return left > 0 && --left == 0;
}

void *
malloc(size_t octets)
{
	if (!refuses())
		return __libc_malloc(octets);
	errno = ENOMEM;
	return NULL;
}

void *
realloc(void *old, size_t octets)
{
	if (!refuses())
		return __libc_realloc(old, octets);
	errno = ENOMEM;
	return NULL;
}

int
SSL_connect(void *ssl)
{
	static int (*next)(void *ssl);
	const char *path = getenv("NO_MEMORY");
	int result;

	if (next == NULL)
		next = (int (*)(void *))dlsym(RTLD_NEXT, "SSL_connect");
	if (path != NULL && access(path, F_OK) == 0)
		left = 1 + atomic_fetch_add(&turn, 1) % TURNS;
	result = next(ssl);
	left = 0;
	return result;
}
