/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/thread.h"

#define STACK	(512 * 1024)
#define DEEP	(300 * 1024)

static size_t
resident_octets(void *stack, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = size / page, i, count = 0;
	unsigned char *in_memory = calloc(pages, 1);

	if (in_memory == NULL || mincore(stack, pages * page, in_memory) != 0)
		abort();
	for (i = 0; i < pages; i++)
		count += in_memory[i] & 1;
	free(in_memory);
	return count * page;
}

static void __attribute__((noinline)) go_deep(void)
{
	volatile char deep[DEEP];
	size_t i;

	for (i = 0; i < sizeof(deep); i++)
		deep[i] = 7;
}

struct seen {
	size_t before, after;
	bool kept;
};

static void *
go_deep_and_pause(void *context)
{
	struct seen *seen = context;
	volatile int mine = 42;
	pthread_attr_t attributes;
	void *stack;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attributes) != 0 ||
	    pthread_attr_getstack(&attributes, &stack, &size) != 0)
		abort();
	pthread_attr_destroy(&attributes);
	go_deep();
	seen->before = resident_octets(stack, size);
	thread_release_stack();
	seen->after = resident_octets(stack, size);
	seen->kept = mine == 42;
	go_deep();
	return NULL;
}

/* What is above stays, what was below can be used again. */
static void
test_a_stack_is_released(void **state)
{
	struct seen seen;
	pthread_t thread;

	(void)state;
	assert_int_equal(thread_start(&thread, STACK, go_deep_and_pause, &seen), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(seen.kept);
	assert_true(seen.before >= DEEP);
	assert_true(seen.after < 64 * 1024);
}

/* Where nobody said how large it is. */
static void
test_the_first_thread_may_try(void **state)
{
	volatile int mine = 42;

	(void)state;
	go_deep();
	thread_release_stack();
	assert_int_equal(mine, 42);
	go_deep();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_stack_is_released),
		cmocka_unit_test(test_the_first_thread_may_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
