/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

#include "policy/dns/resolver_trouble.h"

static atomic_uint count;
static FILE *_Atomic stream;

/* Local failures, in the words of strerror(3) and of libunbound. */
static const int errors[] = { EMFILE, ENFILE, ENOMEM, ENOBUFS, EPERM, EACCES };
static const char *const words[] = { "malloc fail", "out of memory" };

static int
tells_of_trouble(const char *line, size_t length)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		const char *text = strerrordesc_np(errors[i]);

		if (memmem(line, length, text, strlen(text)) != NULL)
			return 1;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (memmem(line, length, words[i], strlen(words[i])) != NULL)
			return 1;
	return 0;
}

static ssize_t
hear(void *cookie, const char *octets, size_t length)
{
	(void)cookie;
	if (tells_of_trouble(octets, length))
		atomic_fetch_add(&count, 1);
	return (ssize_t)length;
}

/* By libunbound, should it do so: it has one log for all contexts. */
static int
forget(void *cookie)
{
	(void)cookie;
	atomic_store(&stream, NULL);
	return 0;
}

FILE *
resolver_trouble_stream(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	FILE *made;

	pthread_mutex_lock(&lock);
	made = atomic_load(&stream);
	if (made == NULL) {
		made = fopencookie(NULL, "w",
		    (cookie_io_functions_t){ .write = hear, .close = forget });
		if (made != NULL)
			(void)setvbuf(made, NULL, _IOLBF, 0);
		atomic_store(&stream, made);
	}
	pthread_mutex_unlock(&lock);
	return made;
}

unsigned
resolver_trouble_count(void)
{
	return atomic_load(&count);
}
