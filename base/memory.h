/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Was a library refused memory? OpenSSL and libcurl then fail in words that blame the peer: only
 * what they get their memory from can tell. Any thread may call these.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* OpenSSL's memory comes from here. Before anything else: -1 where OpenSSL has some already. */
int memory_watch(void);
/* Grows with every refusal, to whatever thread. */
unsigned memory_refusals(void);

/* For curl_global_init_mem(). */
void *memory_malloc(size_t octets);
void *memory_calloc(size_t count, size_t octets);
void *memory_realloc(void *old, size_t octets);
char *memory_strdup(const char *text);
void memory_free(void *octets);

#endif
