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
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"

static void
test_values_are_zeroed_aligned_and_apart(void **state)
{
	static const size_t sizes[] = { 0, 1, 7, 16, 100, 2047, 2048, 2049, 8192, 100000, 3 };
	unsigned char *values[200];
	struct arena *arena = arena_new();
	size_t i, j, size;

	(void)state;
	for (i = 0; i < 200; i++) {
		size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
		values[i] = arena_alloc(arena, size);
		assert_non_null(values[i]);
		assert_int_equal((uintptr_t)values[i] % _Alignof(max_align_t), 0);
		for (j = 0; j < size; j++)
			assert_int_equal(values[i][j], 0);
		memset(values[i], (int)i + 1, size);
	}
	for (i = 0; i < 200; i++) {
		size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
		for (j = 0; j < size; j++)
			assert_int_equal(values[i][j], (unsigned char)(i + 1));
	}
	arena_free(arena);
}

static void
test_empty_values_have_addresses_of_their_own(void **state)
{
	struct arena *arena = arena_new();
	void *a = arena_alloc(arena, 0), *b = arena_alloc(arena, 0);

	(void)state;
	assert_non_null(a);
	assert_ptr_not_equal(a, b);
	arena_free(arena);
	arena_free(NULL);
}

static void
test_strings(void **state)
{
	static const char unterminated[3] = { 'a', 'b', 'c' };
	struct arena *arena = arena_new();
	char *large = xmalloc(50001);

	(void)state;
	memset(large, 'x', 50000);
	large[50000] = '\0';
	assert_string_equal(arena_strdup(arena, "hello"), "hello");
	assert_string_equal(arena_strdup(arena, ""), "");
	assert_string_equal(arena_strndup(arena, unterminated, 3), "abc");
	assert_string_equal(arena_strndup(arena, "abcdef", 2), "ab");
	assert_string_equal(arena_strndup(arena, "ab", 100), "ab");
	assert_string_equal(arena_strndup(arena, "ab", 0), "");
	assert_string_equal(arena_printf(arena, "%d %s", 7, "of 9"), "7 of 9");
	assert_string_equal(arena_printf(arena, "%s", large), large);
	free(large);
	arena_free(arena);
}

static void
test_array(void **state)
{
	struct arena *arena = arena_new();
	uint64_t *numbers = arena_array(arena, 1000, sizeof(*numbers));
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++)
		assert_int_equal(numbers[i], 0);
	assert_non_null(arena_array(arena, 0, 8));
	arena_free(arena);
}

static void
test_heap(void **state)
{
	char *text = xstrdup("abc");
	int *numbers = xcalloc(3, sizeof(int));

	(void)state;
	assert_string_equal(text, "abc");
	text = xrealloc(text, 100);
	assert_string_equal(text, "abc");
	assert_int_equal(numbers[0] + numbers[1] + numbers[2], 0);
	free(text);
	free(numbers);
	text = xmalloc(0);
	assert_non_null(text);
	text = xrealloc(text, 0);
	assert_non_null(text);
	free(text);
}

static void
alloc_overflow(void)
{
	(void)arena_array(arena_new(), SIZE_MAX / 2, 3);
}

static void
alloc_huge(void)
{
	(void)arena_alloc(arena_new(), SIZE_MAX);
}

static void
alloc_nearly_huge(void)
{
	(void)arena_alloc(arena_new(), SIZE_MAX - 40);
}

/* Runs act in a child with a quiet stderr and says which signal ended it. */
static int
signal_of(void (*act)(void))
{
	const struct rlimit no_core = { 0, 0 };
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		close(STDERR_FILENO);
		act();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void
test_impossible_sizes_abort(void **state)
{
	(void)state;
	assert_int_equal(signal_of(alloc_overflow), SIGABRT);
	assert_int_equal(signal_of(alloc_huge), SIGABRT);
	assert_int_equal(signal_of(alloc_nearly_huge), SIGABRT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_are_zeroed_aligned_and_apart),
		cmocka_unit_test(test_empty_values_have_addresses_of_their_own),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_array),
		cmocka_unit_test(test_heap),
		cmocka_unit_test(test_impossible_sizes_abort),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
