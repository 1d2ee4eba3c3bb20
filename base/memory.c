/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/memory.h"

static atomic_uint refusals;

static void *
noted(void *got, size_t octets)
{
	if (got == NULL && octets > 0)
		atomic_fetch_add(&refusals, 1);
	return got;
}

unsigned
memory_refusals(void)
{
	return atomic_load(&refusals);
}

void *
memory_malloc(size_t octets)
{
	return noted(malloc(octets), octets);
}

void *
memory_calloc(size_t count, size_t octets)
{
	return noted(calloc(count, octets), count > 0 ? octets : 0);
}

void *
memory_realloc(void *old, size_t octets)
{
	return noted(realloc(old, octets), octets);
}

char *
memory_strdup(const char *text)
{
	return noted(strdup(text), 1);
}

void
memory_free(void *octets)
{
	free(octets);
}

/* OpenSSL passes the place in its source. */
static void *
openssl_malloc(size_t octets, const char *file, int line)
{
	(void)file, (void)line;
	return octets > 0 ? memory_malloc(octets) : NULL;
}

static void *
openssl_realloc(void *old, size_t octets, const char *file, int line)
{
	(void)file, (void)line;
	if (octets > 0)
		return memory_realloc(old, octets);
	memory_free(old);
	return NULL;
}

static void
openssl_free(void *octets, const char *file, int line)
{
	(void)file, (void)line;
	memory_free(octets);
}

int
memory_watch(void)
{
	return CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) == 1 ? 0
											    : -1;
}
