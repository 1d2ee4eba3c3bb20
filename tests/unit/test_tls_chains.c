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

#include "shim/smtp/tls_chains.h"

#define FROM	1000
#define UNTIL	2000

static const struct tls_chain_key first = { "first" }, second = { "second" },
				  same_place = { "firsthand" };	/* the same beginning */

static void
test_within_its_time(void **state)
{
	struct tls_chains *chains = *state;

	assert_false(tls_chains_hold(chains, &first, FROM));
	tls_chains_note(chains, tls_chains_roots(chains), &first, FROM, UNTIL);
	assert_true(tls_chains_hold(chains, &first, FROM));
	assert_true(tls_chains_hold(chains, &first, UNTIL - 1));
	assert_false(tls_chains_hold(chains, &first, UNTIL));
	assert_false(tls_chains_hold(chains, &first, FROM - 1));
	assert_false(tls_chains_hold(chains, &second, FROM));
	assert_false(tls_chains_hold(chains, &same_place, FROM));
}

static void
test_other_roots(void **state)
{
	struct tls_chains *chains = *state;
	uint64_t before = tls_chains_roots(chains);

	tls_chains_note(chains, before, &first, FROM, UNTIL);
	tls_chains_clear(chains);
	assert_false(tls_chains_hold(chains, &first, FROM));
	/* A caller that still uses the earlier roots. */
	tls_chains_note(chains, before, &first, FROM, UNTIL);
	assert_false(tls_chains_hold(chains, &first, FROM));
	tls_chains_note(chains, tls_chains_roots(chains), &first, FROM, UNTIL);
	assert_true(tls_chains_hold(chains, &first, FROM));
}

static void
test_one_place_for_two(void **state)
{
	struct tls_chains *chains = *state;

	tls_chains_note(chains, tls_chains_roots(chains), &first, FROM, UNTIL);
	tls_chains_note(chains, tls_chains_roots(chains), &same_place, FROM, UNTIL);
	assert_false(tls_chains_hold(chains, &first, FROM));
	assert_true(tls_chains_hold(chains, &same_place, FROM));
}

static int
setup(void **state)
{
	*state = tls_chains_new();
	return 0;
}

static int
teardown(void **state)
{
	tls_chains_free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_within_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_roots, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_place_for_two, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
