/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/state.h"

static const char template[] = "/tmp/stsgate-state-XXXXXX";
char state_directory[] = "/tmp/stsgate-state-XXXXXX";

/* Runs command in the state directory. */
int
state_shell(const char *command)
{
	char whole[700];

	(void)snprintf(whole, sizeof(whole), "cd %s && %s", state_directory, command);
	return system(whole);
}

int
state_set_up(void **state)
{
	(void)state;
	memcpy(state_directory, template, sizeof(template));
	return mkdtemp(state_directory) != NULL ? 0 : -1;
}

int
state_tear_down(void **state)
{
	(void)state;
	return state_shell("rm -r ../${PWD##*/}");
}

struct store *
state_open(void)
{
	char why[500] = "";
	struct store *store = store_open("bdb", state_directory, why, sizeof(why));

	if (store == NULL)
		print_error("%s\n", why);
	assert_non_null(store);
	return store;
}

static void
entry(unsigned i, char key[40], char value[200])
{
	(void)snprintf(key, 40, "d%05u.example", i);
	(void)snprintf(value, 200, "value of %s %0100u", key, i);
}

void
state_fill(struct store *store)
{
	char key[40], value[200];
	unsigned i;

	for (i = 0; i < STATE_ENTRIES; i++) {
		entry(i, key, value);
		assert_int_equal(store_put(store, STORE_POLICIES, key, value, strlen(value), 0,
				     STORE_LAZY),
		    STORE_OK);
	}
}

static bool
count(void *context, const char *key, const void *value, size_t length)
{
	char expected_key[40], expected[200];
	unsigned i;

	assert_int_equal(sscanf(key, "d%u.example", &i), 1);
	entry(i, expected_key, expected);
	assert_string_equal(key, expected_key);
	assert_true(length == strlen(expected) && memcmp(value, expected, length) == 0);
	(*(unsigned *)context)++;
	return true;
}

unsigned
state_entries(struct store *store)
{
	unsigned found = 0;

	assert_int_equal(store_scan(store, STORE_POLICIES, "", count, &found), STORE_OK);
	return found;
}
