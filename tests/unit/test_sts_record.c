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
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "policy/facts/sts_record.h"

static char first[] = "mail.example.com", second[] = "*.m\xc3\xb8x.example";
static char *patterns[] = { first, second };
static const char body[] = "version: STSv1\r\nmode: enforce\r\n";

static struct sts_entry
sample(void)
{
	struct sts_entry entry = { .domain = "example.com",
		.policy = { .mode = STS_MODE_ENFORCE,
		    .max_age = 604800,
		    .max_age_capped = true,
		    .id = "20160831085700Z",
		    .mx = patterns,
		    .mx_count = 2,
		    .body = body,
		    .body_length = sizeof(body) - 1 },
		.fetched = 1767225600,
		.expires = 1767830400,
		.refresh = 1767300000,
		.used = 1767222000,
		.last_error = "sts-policy-fetch-error: http-404" };

	return entry;
}

static void
assert_same(const struct sts_entry *a, const struct sts_entry *b)
{
	size_t i;

	assert_string_equal(a->domain, b->domain);
	assert_int_equal(a->policy.mode, b->policy.mode);
	assert_int_equal(a->policy.max_age, b->policy.max_age);
	assert_int_equal(a->policy.max_age_capped, b->policy.max_age_capped);
	assert_string_equal(a->policy.id, b->policy.id);
	assert_int_equal(a->policy.mx_count, b->policy.mx_count);
	for (i = 0; i < a->policy.mx_count; i++)
		assert_string_equal(a->policy.mx[i], b->policy.mx[i]);
	assert_int_equal(a->policy.body_length, b->policy.body_length);
	if (a->policy.body_length > 0)
		assert_memory_equal(a->policy.body, b->policy.body, a->policy.body_length);
	assert_int_equal(a->fetched, b->fetched);
	assert_int_equal(a->expires, b->expires);
	assert_int_equal(a->refresh, b->refresh);
	assert_int_equal(a->used, b->used);
	assert_string_equal(a->last_error, b->last_error);
}

static void
assert_returns(const struct sts_entry *entry)
{
	struct arena *arena = arena_new();
	struct buf octets = { 0 };
	struct sts_entry back;

	sts_record_write(entry, &octets);
	assert_int_equal(sts_record_read(arena, entry->domain, octets.data, octets.length, &back),
	    0);
	buf_free(&octets);	/* nothing may point into it */
	assert_same(entry, &back);
	arena_free(arena);
}

static void
test_there_and_back(void **state)
{
	struct sts_entry entry = sample();

	(void)state;
	assert_returns(&entry);
	entry.policy.mode = STS_MODE_TESTING;
	entry.policy.max_age = LIMIT_STS_MAX_AGE;
	entry.policy.max_age_capped = false;
	entry.last_error = "";
	entry.refresh = 0;
	entry.used = (int64_t)NUMBER_WALL_MAX;
	entry.fetched = 0;
	assert_returns(&entry);
	entry.policy.mode = STS_MODE_NONE;
	entry.policy.mx_count = 0;
	entry.policy.mx = NULL;
	entry.policy.max_age = 0;
	entry.policy.body = NULL;	/* imported */
	entry.policy.body_length = 0;
	assert_returns(&entry);
}

static void
test_a_record_is_appended(void **state)
{
	struct sts_entry entry = sample(), back;
	struct arena *arena = arena_new();
	struct buf octets = { 0 };

	(void)state;
	buf_add_text(&octets, "prefix");
	sts_record_write(&entry, &octets);
	assert_int_equal(sts_record_read(arena, "example.com", octets.data + 6, octets.length - 6,
			     &back),
	    0);
	assert_same(&entry, &back);
	buf_free(&octets);
	arena_free(arena);
}

/* F16: a damaged record is never taken for a policy, least of all for a weaker one. */
static void
test_damage(void **state)
{
	struct sts_entry entry = sample(), back;
	struct buf octets = { 0 };
	size_t i, bit;

	(void)state;
	sts_record_write(&entry, &octets);
	for (i = 0; i < octets.length; i++) {
		struct arena *arena = arena_new();
		char *cut = malloc(i > 0 ? i : 1);

		memcpy(cut, octets.data, i);
		if (sts_record_read(arena, "example.com", cut, i, &back) == 0)
			fail_msg("cut at %zu", i);
		free(cut);
		for (bit = 0; bit < 8; bit++) {
			octets.data[i] = (char)(octets.data[i] ^ 1 << bit);
			if (sts_record_read(arena, "example.com", octets.data, octets.length,
				&back) == 0)
				fail_msg("octet %zu, bit %zu", i, bit);
			octets.data[i] = (char)(octets.data[i] ^ 1 << bit);
		}
		arena_free(arena);
	}
	buf_add_char(&octets, '\0');
	assert_int_equal(sts_record_read(NULL, "example.com", octets.data, octets.length, &back),
	    -1);
	buf_free(&octets);
}

/* Records that no fetched policy could have, with a valid checksum. */
static void
test_unsound(void **state)
{
	static char *many[LIMIT_STS_MX_PATTERNS + 1];
	struct sts_entry bad[10], back;
	struct arena *arena = arena_new();
	struct buf octets = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		bad[i] = sample();
	for (i = 0; i < LIMIT_STS_MX_PATTERNS + 1; i++)
		many[i] = first;
	bad[0].policy.mx_count = 0;
	bad[1].policy.mode = (enum sts_mode)3;
	bad[2].policy.max_age = LIMIT_STS_MAX_AGE + 1;
	bad[3].policy.mx = many;
	bad[3].policy.mx_count = LIMIT_STS_MX_PATTERNS + 1;
	bad[4].policy.mode = STS_MODE_TESTING;
	bad[4].policy.mx_count = 0;
	bad[5].fetched = -1;
	bad[6].expires = INT64_MAX;
	bad[7].refresh = (int64_t)NUMBER_WALL_MAX + 1;
	bad[8].used = INT64_MIN;
	bad[9].policy.mode = (enum sts_mode)255;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		buf_clear(&octets);
		sts_record_write(&bad[i], &octets);
		if (sts_record_read(arena, "example.com", octets.data, octets.length, &back) == 0)
			fail_msg("%zu", i);
	}
	buf_free(&octets);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_a_record_is_appended),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_unsound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
