/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/store/child.h"

static int
answer(void *context)
{
	return *(int *)context;
}

static int
raise_it(void *context)
{
	(void)signal(*(int *)context, SIG_DFL);	/* whatever a sanitizer makes of it */
	(void)raise(*(int *)context);
	return 0;
}

static int
leave(void *context)
{
	(void)context;
	_exit(0);
}

static void
test_result(void **state)
{
	static const int numbers[] = { 0, 1, -30970, ENOSPC };
	bool crashed = true;
	size_t i;
	int number;

	(void)state;
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		number = numbers[i];
		assert_int_equal(child_run(answer, &number, &crashed), number);
		assert_false(crashed);
	}
}

static void
test_crash(void **state)
{
	int faults[] = { SIGSEGV, SIGBUS, SIGABRT };
	bool crashed = false;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		(void)child_run(raise_it, &faults[i], &crashed);
		assert_true(crashed);
	}
}

/* An administrator's kill, or the kernel's for want of memory, says nothing about the files. */
static void
test_killed(void **state)
{
	int signals[] = { SIGTERM, SIGKILL };
	bool crashed = true;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(child_run(raise_it, &signals[i], &crashed), EINTR);
		assert_false(crashed);
	}
	assert_int_equal(child_run(leave, NULL, &crashed), EINTR);
	assert_false(crashed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result),
		cmocka_unit_test(test_crash),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
