/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Where do the many small values of one transaction live? In an arena: one lifetime, one free.
 * An arena belongs to one thread at a time. Allocation never fails: without memory the process
 * aborts, since the MTA still holds every message.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);	/* NULL is allowed */

void *arena_alloc(struct arena *arena, size_t size);	/* zeroed, aligned for any type */
void *arena_array(struct arena *arena, size_t count, size_t size);	/* zeroed */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Heap memory outside an arena: the same promise, an abort instead of NULL. Freed with free(). */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *memory, size_t size);
char *xstrdup(const char *text);

#endif
