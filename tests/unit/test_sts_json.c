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

#include "policy/facts/sts_json.h"

#define FILE_ENFORCE	"version: STSv1\\nmode: enforce\\nmx: MX.example.com\\nmax_age: 86400\\n"
#define REST	"\"id\":\"2026\",\"fetched\":\"2026-01-31T23:59:59Z\"}"

static int
read_text(struct arena *arena, const char *text, struct sts_entry *entry,
    char why[STS_JSON_WHY_MAX])
{
	return sts_json_read(arena, text, strlen(text), entry, why);
}

static void
test_read(void **state)
{
	struct arena *arena = arena_new();
	char why[STS_JSON_WHY_MAX];
	struct sts_entry entry;

	(void)state;
	assert_int_equal(read_text(arena,
			     "{\"domain\":\"B\xc3\xbc"
			     "cher.Example\",\"policy\":\"" FILE_ENFORCE "\"," REST,
			     &entry, why),
	    0);
	assert_string_equal(entry.domain, "xn--bcher-kva.example");
	assert_int_equal(entry.policy.mode, STS_MODE_ENFORCE);
	assert_string_equal(entry.policy.id, "2026");
	assert_string_equal(entry.policy.mx[0], "mx.example.com");
	assert_int_equal(entry.policy.max_age, 86400);
	assert_int_equal(entry.fetched, 1769903999);
	assert_int_equal(entry.expires, 1769903999 + 86400);
	assert_int_equal(entry.refresh, 0);
	assert_string_equal(entry.last_error, "");
	arena_free(arena);
}

/* Without the file its fields must do, and pass the same parser. */
static void
test_read_without_the_file(void **state)
{
	struct arena *arena = arena_new();
	char why[STS_JSON_WHY_MAX];
	struct sts_entry entry;

	(void)state;
	assert_int_equal(read_text(arena,
			     "{\"domain\":\"example.com\",\"mode\":\"testing\","
			     "\"mx\":[\"a.example\",\"*.b.example\"],\"max_age\":3600," REST,
			     &entry, why),
	    0);
	assert_int_equal(entry.policy.mode, STS_MODE_TESTING);
	assert_int_equal(entry.policy.mx_count, 2);
	assert_string_equal(entry.policy.mx[1], "*.b.example");
	assert_int_equal(entry.expires - entry.fetched, 3600);
	arena_free(arena);
}

static void
test_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "JSON object" },
		{ "[]", "JSON object" },
		{ "{", "JSON object" },
		{ "{} {}", "JSON object" },
		{ "{\"domain\":\"a\",\"domain\":\"b\"}", "JSON object" },
		{ "{}", "domain" },
		{ "{\"domain\":7,\"policy\":\"" FILE_ENFORCE "\"," REST, "domain" },
		{ "{\"domain\":\"a..b\",\"policy\":\"" FILE_ENFORCE "\"," REST, "domain name" },
		{ "{\"domain\":\"192.0.2.1\",\"policy\":\"" FILE_ENFORCE "\"," REST,
		    "domain name" },
		{ "{\"domain\":\"a.example\",\"policy\":\"mode: enforce\"," REST, "no version" },
		{ "{\"domain\":\"a.example\",\"policy\":[]," REST, "no text" },
		{ "{\"domain\":\"a.example\"," REST, "no mode" },
		{ "{\"domain\":\"a.example\",\"mode\":\"enforce\",\"max_age\":1," REST, "no mx" },
		{ "{\"domain\":\"a.example\",\"mode\":\"enforce\",\"max_age\":-1,\"mx\":[\"a\"]," REST,
		    "not a number" },
		{ "{\"domain\":\"a.example\",\"mode\":\"none\",\"policy\":\"" FILE_ENFORCE
		  "\"," REST,
		    "not the mode" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\","
		  "\"fetched\":\"2026-01-31T23:59:59Z\"}",
		    "no \"id\"" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\",\"id\":\"a b\","
		  "\"fetched\":\"2026-01-31T23:59:59Z\"}",
		    "\"id\"" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\",\"id\":\"a; id=b\","
		  "\"fetched\":\"2026-01-31T23:59:59Z\"}",
		    "\"id\"" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\",\"id\":\"1\"}",
		    "no \"fetched\"" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\",\"id\":\"1\","
		  "\"fetched\":\"2026-02-31T23:59:59Z\"}",
		    "not a time" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\",\"id\":\"1\","
		  "\"fetched\":\"2026-01-31\"}",
		    "not a time" },
		{ "{\"domain\":\"a.example\",\"policy\":\"" FILE_ENFORCE "\",\"id\":\"1\","
		  "\"fetched\":\"1960-01-31T23:59:59Z\"}",
		    "not a time" },
	};
	struct arena *arena = arena_new();
	char why[STS_JSON_WHY_MAX];
	struct sts_entry entry;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		why[0] = '\0';
		assert_int_equal(read_text(arena, cases[i].text, &entry, why), -1);
		if (strstr(why, cases[i].why) == NULL)
			fail_msg("%s: %s", cases[i].text, why);
	}
	arena_free(arena);
}

static void
test_there_and_back(void **state)
{
	char pattern[] = "mx.example", *mx[] = { pattern };
	static const char file[] =
	    "version: STSv1\r\nmode: none\r\nmax_age: 9\r\nnote: \xc3\xa4 \"x\"\r\n";
	struct sts_entry entry = { .domain = "example.com",
		.fetched = 1700000000,
		.expires = 1700000009,
		.refresh = 1700000005,
		.last_error = "http-404",
		.policy = { .mode = STS_MODE_NONE,
		    .max_age = 9,
		    .id = "x1",
		    .mx = mx,
		    .mx_count = 1,
		    .body = file,
		    .body_length = sizeof(file) - 1 } },
			 again;
	struct arena *arena = arena_new();
	char *text = sts_json_write(&entry), why[STS_JSON_WHY_MAX];

	(void)state;
	assert_non_null(strstr(text, "\"refresh\":\"2023-11-14T22:13:25Z\""));
	assert_non_null(strstr(text, "\"last_error\":\"http-404\""));
	assert_null(strchr(text, '\n'));
	assert_int_equal(read_text(arena, text, &again, why), 0);
	assert_string_equal(again.domain, entry.domain);
	assert_string_equal(again.policy.id, "x1");
	assert_int_equal(again.fetched, entry.fetched);
	assert_int_equal(again.expires, entry.expires);
	assert_int_equal(again.policy.body_length, sizeof(file) - 1);
	assert_memory_equal(again.policy.body, file, sizeof(file));
	free(text);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_without_the_file),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
