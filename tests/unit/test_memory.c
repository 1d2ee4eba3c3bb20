/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/crypto.h>

#include "base/memory.h"

/* More than any machine has. */
static volatile size_t too_much = SIZE_MAX / 4;

/* Under a sanitizer: as the system's, which refuses and lets the program go on. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *
__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void
test_what_is_given_is_no_refusal(void **state)
{
	unsigned before = memory_refusals();
	char *text, *zeros;

	(void)state;
	zeros = memory_calloc(2, 4);
	assert_memory_equal(zeros, "\0\0\0\0\0\0\0\0", 8);
	memory_free(zeros);
	text = memory_malloc(1);
	text = memory_realloc(text, 6);
	strcpy(text, "hello");
	zeros = memory_strdup(text);
	assert_string_equal(zeros, "hello");
	memory_free(zeros);
	memory_free(memory_realloc(text, 0));
	memory_free(memory_malloc(0));
	assert_int_equal(memory_refusals(), before);
}

static void
test_each_refusal_counts(void **state)
{
	unsigned before = memory_refusals();
	void *kept = memory_malloc(4);

	(void)state;
	assert_null(memory_malloc(too_much));
	assert_null(memory_calloc(too_much, 2));
	assert_null(memory_realloc(kept, too_much));
	assert_int_equal(memory_refusals(), before + 3);
	memory_free(kept);
}

static void
test_openssl_is_watched(void **state)
{
	unsigned before = memory_refusals();
	void *kept = OPENSSL_malloc(4);

	(void)state;
	assert_non_null(kept);
	assert_null(OPENSSL_malloc(too_much));
	assert_null(OPENSSL_realloc(kept, too_much));
	assert_int_equal(memory_refusals(), before + 2);
	OPENSSL_free(kept);
	assert_null(OPENSSL_malloc(0));
	assert_int_equal(memory_refusals(), before + 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_given_is_no_refusal),
		cmocka_unit_test(test_each_refusal_counts),
		cmocka_unit_test(test_openssl_is_watched),
	};

	if (memory_watch() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
