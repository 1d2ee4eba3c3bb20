/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"

#define BLOCK_ROOM	8192
#define ALIGNMENT	_Alignof(max_align_t)

struct block {
	struct block *next;
	size_t room, used;	/* octets */
	_Alignas(max_align_t) unsigned char octets[];
};

struct arena {
	struct block *newest;	/* small values are cut from this one */
};

static _Noreturn void
die_without_memory(void)
{
	fputs("stsgate: out of memory\n", stderr);
	abort();
}

void *
xmalloc(size_t size)
{
	void *memory = malloc(size > 0 ? size : 1);

	if (memory == NULL)
		die_without_memory();
	return memory;
}

void *
xcalloc(size_t count, size_t size)
{
	void *memory = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

	if (memory == NULL)
		die_without_memory();
	return memory;
}

void *
xrealloc(void *memory, size_t size)
{
	memory = realloc(memory, size > 0 ? size : 1);
	if (memory == NULL)
		die_without_memory();
	return memory;
}

char *
xstrdup(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(xmalloc(size), text, size);
}

struct arena *
arena_new(void)
{
	return xcalloc(1, sizeof(struct arena));
}

void
arena_free(struct arena *arena)
{
	struct block *block, *next;

	if (arena == NULL)
		return;
	for (block = arena->newest; block != NULL; block = next) {
		next = block->next;
		free(block);
	}
	free(arena);
}

static struct block *
block_new(size_t room)
{
	struct block *block;

	if (room > SIZE_MAX - sizeof(*block))
		die_without_memory();
	block = xcalloc(1, sizeof(*block) + room);
	block->room = room;
	return block;
}

/* A value too large to share a block gets its own, behind the newest, whose rest stays in use. */
static void *
alloc_alone(struct arena *arena, size_t size)
{
	struct block *block = block_new(size);

	block->used = size;
	if (arena->newest == NULL) {
		arena->newest = block;
	} else {
		block->next = arena->newest->next;
		arena->newest->next = block;
	}
	return block->octets;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	struct block *block = arena->newest;
	void *value;

	if (size > SIZE_MAX - ALIGNMENT)
		die_without_memory();
	size = size > 0 ? (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT : ALIGNMENT;
	if (size > BLOCK_ROOM / 4)
		return alloc_alone(arena, size);
	if (block == NULL || size > block->room - block->used) {
		block = block_new(BLOCK_ROOM);
		block->next = arena->newest;
		arena->newest = block;
	}
	value = block->octets + block->used;
	block->used += size;
	return value;
}

void *
arena_array(struct arena *arena, size_t count, size_t size)
{
	size_t octets;

	if (__builtin_mul_overflow(count, size, &octets))
		die_without_memory();
	return arena_alloc(arena, octets);
}

char *
arena_strdup(struct arena *arena, const char *text)
{
	return arena_strndup(arena, text, strlen(text));
}

char *
arena_strndup(struct arena *arena, const char *text, size_t length)
{
	char *copy;

	length = strnlen(text, length);
	copy = arena_alloc(arena, length + 1);
	memcpy(copy, text, length);
	return copy;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args;
	char *text;
	int length;

	va_start(args, format);
	length = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (length < 0)
		abort();
	text = arena_alloc(arena, (size_t)length + 1);
	va_start(args, format);
	vsnprintf(text, (size_t)length + 1, format, args);
	va_end(args);
	return text;
}
