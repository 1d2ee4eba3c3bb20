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

#include "base/buf.h"
#include "policy/sts.h"

#define HEAD	"version: STSv1\nmode: enforce\n"
#define AGE	"max_age: 86400\n"
#define MX	"mx: a.example\n"
#define B(text)	text, sizeof(text) - 1

struct good_case {
	const char *name;
	const char *body;
	size_t length;
	enum sts_mode mode;
	uint32_t max_age;
	const char *mx;	/* patterns, joined by a space */
};

static const struct good_case good_cases[] = {
	{ "B1",
	    B("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
	      "mx: backupmx.example.com\r\nmax_age: 604800\r\n"),
	    STS_MODE_ENFORCE, 604800, "mail.example.com *.example.net backupmx.example.com" },
	{ "B1 LF", B(HEAD MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B1 LF and CRLF mixed", B("version: STSv1\r\nmode: testing\n" MX "max_age: 86400\r\n"),
	    STS_MODE_TESTING, 86400, "a.example" },
	{ "B3", B(HEAD MX "max_age: 86400"), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B3 WSP at the end", B(HEAD MX "max_age: 86400 \t"), STS_MODE_ENFORCE, 86400,
	    "a.example" },
	{ "B4", B("version:STSv1\nmode:\tenforce\nmx:  \t *.e.com\nmax_age:1\n"), STS_MODE_ENFORCE,
	    1, "*.e.com" },
	{ "B5", B("version: STSv1 \nmode: enforce\t\t\nmx: a.example \r\nmax_age: 1 \t \r\n"),
	    STS_MODE_ENFORCE, 1, "a.example" },
	{ "B6", B(AGE MX "mode: enforce\nversion: STSv1\nmx: b.example\n"), STS_MODE_ENFORCE, 86400,
	    "a.example b.example" },
	{ "B15", B(HEAD MX "max_age: 0\n"), STS_MODE_ENFORCE, 0, "a.example" },
	{ "B16", B(HEAD MX "max_age: 31557600\n"), STS_MODE_ENFORCE, 31557600, "a.example" },
	{ "B17", B(HEAD MX "max_age: 31557601\n"), STS_MODE_ENFORCE, 31557600, "a.example" },
	{ "B18", B(HEAD MX "max_age: 9999999999\n"), STS_MODE_ENFORCE, 31557600, "a.example" },
	{ "B18 beyond 32 bits", B(HEAD MX "max_age: 4294967296\n"), STS_MODE_ENFORCE, 31557600,
	    "a.example" },
	{ "B18 ten digits, small", B(HEAD MX "max_age: 0000000001\n"), STS_MODE_ENFORCE, 1,
	    "a.example" },
	{ "B19", B(HEAD MX "max_age: 0086400\n"), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B20", B(HEAD MX "max_age: 60\n"), STS_MODE_ENFORCE, 60, "a.example" },
	{ "B21 mode", B(HEAD "mode: none\n" MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B21 mode, second is none at all", B(HEAD "mode: bogus\n" MX AGE), STS_MODE_ENFORCE,
	    86400, "a.example" },
	{ "B21 version", B(HEAD "version: STSv2\n" MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B21 max_age", B(HEAD MX AGE "max_age: 0\n"), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B21 max_age, second is none", B(HEAD MX AGE "max_age: xxx\n"), STS_MODE_ENFORCE, 86400,
	    "a.example" },
	{ "B24", B("version: STSv1\nmode: none\nmax_age: 86400\n"), STS_MODE_NONE, 86400, "" },
	{ "B24 with mx", B("version: STSv1\nmode: none\n" MX AGE), STS_MODE_NONE, 86400,
	    "a.example" },
	{ "B25", B(HEAD MX MX AGE), STS_MODE_ENFORCE, 86400, "a.example a.example" },
	{ "B26", B(HEAD "note: hi there\n" MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B26 UTF-8",
	    B(HEAD "note: gr\xc3\xb6\xc3\x9f"
		   "e \xe2\x82\xac \xf0\x9f\x93\xa7\n" MX AGE),
	    STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B26 colons", B(HEAD "url: https://a.example:443/\n" MX AGE), STS_MODE_ENFORCE, 86400,
	    "a.example" },
	{ "B26 keys are case-sensitive", B(HEAD "MX: evil.example\nMode: none\n" MX AGE),
	    STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B28", B(HEAD "note: {x}\n" MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B29 33 characters", B(HEAD "abcdefghijklmnopqrstuvwxyz0123456: a\n" MX AGE),
	    STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B29 _bad", B(HEAD "_bad: a\n" MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B29 x+y", B(HEAD "x+y: a\n" MX AGE), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B29 comment", B(HEAD "#mx: evil.example\n" MX AGE), STS_MODE_ENFORCE, 86400,
	    "a.example" },
	{ "B31 trailing LF", B(HEAD MX AGE "\n\n"), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B31 trailing CRLF", B(HEAD MX AGE "\r\n\r\n"), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B31 trailing WSP", B(HEAD MX AGE " \t\n  "), STS_MODE_ENFORCE, 86400, "a.example" },
	{ "B43 kept, matching nothing",
	    B(HEAD "mx: *\nmx: *.\nmx: .example.com\nmx: mx.*.com\n" MX AGE), STS_MODE_ENFORCE,
	    86400, "* * .example.com mx.*.com a.example" },
	{ "B44", B(HEAD "mx: mail.example.com.\nmx: *.example.net.\n" AGE), STS_MODE_ENFORCE, 86400,
	    "mail.example.com *.example.net" },
	{ "B44 two dots", B(HEAD "mx: a.example..\n" AGE), STS_MODE_ENFORCE, 86400, "a.example.." },
	{ "B45", B(HEAD "mx: m\xc3\xb8x.example\n" AGE), STS_MODE_ENFORCE, 86400,
	    "m\xc3\xb8x.example" },
	{ "B46", B(HEAD "mx: MAIL.Example.COM\n" AGE), STS_MODE_ENFORCE, 86400,
	    "mail.example.com" },
	{ "B48", B(HEAD "mx: a_b.example.com\n" AGE), STS_MODE_ENFORCE, 86400, "a_b.example.com" },
	{ "two names on one line match nothing", B(HEAD "mx: a.example b.example\n" AGE),
	    STS_MODE_ENFORCE, 86400, "a.example b.example" },
};

static void
test_good(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(good_cases) / sizeof(good_cases[0]); i++) {
		const struct good_case *c = &good_cases[i];
		struct arena *arena = arena_new();
		char *body = malloc(c->length);	/* so that a sanitizer sees any step too far */
		struct sts_policy policy;
		struct finding why = { .reason = "" };
		struct buf mx = { 0 };

		memcpy(body, c->body, c->length);
		if (sts_policy_parse(arena, body, c->length, &policy, &why) != 0)
			fail_msg("%s: %s", c->name, why.reason);
		free(body);
		for (j = 0; j < policy.mx_count; j++)
			buf_printf(&mx, "%s%s", j > 0 ? " " : "", policy.mx[j]);
		if (policy.mode != c->mode || policy.max_age != c->max_age)
			fail_msg("%s: %s %u", c->name, sts_mode_name(policy.mode), policy.max_age);
		if (strcmp(buf_text(&mx), c->mx) != 0)
			fail_msg("%s: mx %s", c->name, buf_text(&mx));
		assert_string_equal(policy.id, "");
		assert_int_equal(policy.body_length, c->length);
		assert_memory_equal(policy.body, c->body, c->length);	/* RFC 8460 policy-string */
		buf_free(&mx);
		arena_free(arena);
	}
}

static const struct {
	const char *name;
	const char *body;
	size_t length;
	const char *why;	/* part of the reason */
} bad_cases[] = {
	{ "B8", B("version: STSv1\nmode : none\n" AGE), "line 2" },
	{ "B8 tab", B("version\t: STSv1\nmode: none\n" AGE), "line 1" },
	{ "B8 leading", B("version: STSv1\n mode: none\n" AGE), "line 2" },
	{ "B8 unknown field", B("note : x\nversion: STSv1\nmode: none\n" AGE), "line 1" },
	{ "B9", B("mode: enforce\n" MX AGE), "no version" },
	{ "B9 capitals", B("Version: STSv1\nmode: enforce\n" MX AGE), "no version" },
	{ "B10 STSv2", B("version: STSv2\nmode: enforce\n" MX AGE), "line 1: unknown version" },
	{ "B10 STSv10", B("version: STSv10\nmode: enforce\n" MX AGE), "line 1: unknown version" },
	{ "B10 stsv1", B("version: stsv1\nmode: enforce\n" MX AGE), "line 1: unknown version" },
	{ "B10 STSv", B("version: STSv\nmode: enforce\n" MX AGE), "line 1: unknown version" },
	{ "B10 more", B("version: STSv1 x\nmode: enforce\n" MX AGE), "line 1: unknown version" },
	{ "B10 STSv2 before STSv1", B("version: STSv2\n" HEAD MX AGE), "line 1: unknown version" },
	{ "B11", B("version: STSv1\n" MX AGE), "no mode" },
	{ "B11 capitals", B("version: STSv1\nmode: Enforce\n" MX AGE), "line 2: unknown mode" },
	{ "B11 report", B("version: STSv1\nmode: report\n" MX AGE), "line 2: unknown mode" },
	{ "B11 prefix", B("version: STSv1\nmode: enforced\n" MX AGE), "line 2: unknown mode" },
	{ "B11 empty", B("version: STSv1\nmode:\n" MX AGE), "line 2" },
	{ "B11 bad before good", B("version: STSv1\nmode: x\nmode: enforce\n" MX AGE), "line 2" },
	{ "B13", B(HEAD MX), "no max_age" },
	{ "B13 max-age", B(HEAD MX "max-age: 86400\n"), "no max_age" },
	{ "B14 xxx", B(HEAD MX "max_age: xxx\n"), "line 4" },
	{ "B14 -1", B(HEAD MX "max_age: -1\n"), "line 4" },
	{ "B14 +1", B(HEAD MX "max_age: +1\n"), "line 4" },
	{ "B14 1.5", B(HEAD MX "max_age: 1.5\n"), "line 4" },
	{ "B14 empty", B(HEAD MX "max_age:\n"), "line 4" },
	{ "B14 space", B(HEAD MX "max_age: 86 400\n"), "line 4" },
	{ "B14 0x", B(HEAD MX "max_age: 0x10\n"), "line 4" },
	{ "B14 unit", B(HEAD MX "max_age: 1d\n"), "line 4" },
	{ "B14 Arabic digits", B(HEAD MX "max_age: \xd9\xa1\n"), "line 4" },
	{ "B18 11 digits", B(HEAD MX "max_age: 10000000000\n"), "line 4" },
	{ "B18 11 digits, small", B(HEAD MX "max_age: 00000000001\n"), "line 4" },
	{ "B23 enforce", B(HEAD AGE), "no mx" },
	{ "B23 testing", B("version: STSv1\nmode: testing\n" AGE), "no mx" },
	{ "B23 empty mx", B(HEAD "mx:\n" AGE), "line 3" },
	{ "B23 mx of blanks", B(HEAD "mx: \t\n" AGE), "line 3" },
	{ "B26 empty value", B(HEAD "note:\n" MX AGE), "line 3" },
	{ "B26 tab inside", B(HEAD "note: a\tb\n" MX AGE), "line 3" },
	{ "B29 no key", B(HEAD ": a\n" MX AGE), "line 3" },
	{ "B30", B("garbage\n" HEAD MX AGE), "line 1: no colon" },
	{ "B30 comment", B(HEAD MX AGE "# hello\n"), "line 5: no colon" },
	{ "B30 last line", B(HEAD MX AGE "x"), "line 5: no colon" },
	{ "B31 mid-file", B(HEAD "\n" MX AGE), "line 4: an empty line" },
	{ "B31 mid-file CRLF", B("version: STSv1\r\n\r\nmode: none\r\n" AGE),
	    "line 3: an empty line" },
	{ "B31 mid-file blanks", B(HEAD " \t\n" MX AGE), "line 4: an empty line" },
	{ "B31 first", B("\n" HEAD MX AGE), "line 2: an empty line" },
	{ "B33", B("\xef\xbb\xbf" HEAD MX AGE), "byte order mark" },
	{ "B33 UTF-16", B("\xff\xfev\0e\0r\0"), "line 1" },
	{ "B34", B(""), "no version" },
	{ "B34 blank", B("\r\n \n"), "no version" },
	{ "B35", B("<!DOCTYPE html>\n<html><body>Not found</body></html>\n"), "line 1: no colon" },
	{ "B35 with colons", B("<a href=\"https://e.example\">x</a>\n"), "line 1" },
	{ "B49 in a value", B("version: STSv1\nmode: enf\0orce\n" MX AGE), "line 2" },
	{ "B49 in a key", B(HEAD "no\0te: x\n" MX AGE), "line 3" },
	{ "B49 at the end", B(HEAD MX AGE "\0"), "line 5" },
	{ "B49 in mx", B(HEAD "mx: a.example\0.evil.example\n" AGE), "line 3" },
	{ "control", B(HEAD "note: \x01\n" MX AGE), "line 3" },
	{ "DEL", B(HEAD "note: \x7f\n" MX AGE), "line 3" },
	{ "bare CR ends no line", B("version: STSv1\rmode: none\r" AGE), "line 1" },
	{ "bare CR at the end", B(HEAD MX "max_age: 86400\r"), "line 4" },
	{ "two CR", B(HEAD MX "max_age: 86400\r\r\n"), "line 4" },
	{ "form feed", B(HEAD MX "max_age: 86400\f\n"), "line 4" },
	{ "Latin-1", B(HEAD "note: gr\xfc\xdf\n" MX AGE), "line 3" },
	{ "overlong UTF-8", B(HEAD "note: \xc0\xaf\n" MX AGE), "line 3" },
	{ "overlong UTF-8, three", B(HEAD "note: \xe0\x9f\xbf\n" MX AGE), "line 3" },
	{ "overlong UTF-8, four", B(HEAD "note: \xf0\x8f\xbf\xbf\n" MX AGE), "line 3" },
	{ "surrogate", B(HEAD "note: \xed\xa0\x80\n" MX AGE), "line 3" },
	{ "beyond U+10FFFF", B(HEAD "note: \xf4\x90\x80\x80\n" MX AGE), "line 3" },
	{ "cut UTF-8", B(HEAD "note: a\xe2\x82\n" MX AGE), "line 3" },
	{ "cut UTF-8 at the end", B(HEAD MX AGE "note: \xf0\x9f\x93"), "line 5" },
	{ "stray tail", B(HEAD "note: \x80\n" MX AGE), "line 3" },
	{ "comma for colon", B("version= STSv1\n"), "line 1: no colon" },
	{ "JSON", B("{\"version\": \"STSv1\"}\n"), "no version" },
};

static void
test_bad(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad_cases) / sizeof(bad_cases[0]); i++) {
		struct arena *arena = arena_new();
		char *body = malloc(bad_cases[i].length + 1);
		struct sts_policy policy;
		struct finding why = { .type = RESULT_OK };

		memcpy(body, bad_cases[i].body, bad_cases[i].length);
		if (sts_policy_parse(arena, body, bad_cases[i].length, &policy, &why) == 0)
			fail_msg("%s: accepted", bad_cases[i].name);
		free(body);
		if (why.type != RESULT_STS_POLICY_INVALID ||
		    strstr(why.reason, bad_cases[i].why) == NULL)
			fail_msg("%s: %s %s", bad_cases[i].name, result_type_name(why.type),
			    why.reason);
		arena_free(arena);
	}
}

/* B17, B18. */
static void
test_max_age_says_when_it_was_capped(void **state)
{
	static const struct {
		const char *body;
		bool capped;
	} rows[] = {
		{ HEAD MX "max_age: 31557600\n", false },
		{ HEAD MX "max_age: 31557601\n", true },
		{ HEAD MX "max_age: 9999999999\n", true },
	};
	struct arena *arena = arena_new();
	struct sts_policy policy;
	struct finding why;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(sts_policy_parse(arena, rows[i].body, strlen(rows[i].body),
				     &policy, &why),
		    0);
		assert_int_equal(policy.max_age_capped, rows[i].capped);
	}
	arena_free(arena);
}

/* B41. */
static void
test_many_patterns(void **state)
{
	struct arena *arena = arena_new();
	struct buf body = { 0 };
	struct sts_policy policy;
	struct finding why;
	int i;

	(void)state;
	buf_add_text(&body, HEAD AGE);
	for (i = 0; i < LIMIT_STS_MX_PATTERNS; i++)
		buf_add_text(&body, "mx:a.b\n");
	assert_int_equal(sts_policy_parse(arena, body.data, body.length, &policy, &why), 0);
	assert_int_equal(policy.mx_count, LIMIT_STS_MX_PATTERNS);
	for (i = 0; i < 9000; i++)
		buf_add_text(&body, "mx:a.b\n");
	assert_int_equal(sts_policy_parse(arena, body.data, body.length, &policy, &why), -1);
	assert_int_equal(why.type, RESULT_STS_POLICY_FETCH_ERROR);
	buf_free(&body);
	arena_free(arena);
}

/* B36, B40. */
static void
test_one_endless_line(void **state)
{
	struct arena *arena = arena_new();
	struct buf body = { 0 };
	struct sts_policy policy;
	struct finding why;
	int i;

	(void)state;
	buf_add_text(&body, HEAD AGE MX "mx: ");
	for (i = 0; i < 65536; i++)
		buf_add_char(&body, 'a');
	assert_int_equal(sts_policy_parse(arena, body.data, body.length, &policy, &why), 0);
	assert_true(sts_mx_match(&policy, "a.example"));
	assert_false(sts_mx_match(&policy, "b.example"));
	memcpy(body.data, "x:", 2);
	for (i = 2; i < (int)body.length; i++)
		body.data[i] = 'a';
	assert_int_equal(sts_policy_parse(arena, body.data, body.length, &policy, &why), -1);
	buf_free(&body);
	arena_free(arena);
}

/* B43, B45: no such pattern matches anything, and the good one beside it still does. */
static void
test_patterns_that_match_nothing(void **state)
{
	static const char *const patterns[] = { "*", "*.", "*..", ".example.com", "**.example.com",
		"*.*.example.com", "a*.example.com", "*a.example.com", "mx.*.com",
		"m\xc3\xb8x.example.com", "a.example.com b.example.com", "a.example.com,",
		"\"a.example.com\"", "-", ".", "..", "a..example.com", "a.example.com..",
		"192.0.2.1", "[192.0.2.1]", "*.*" };
	static const char *const hosts[] = { "a.example.com", "mx.example.com", "example.com",
		"b.com", "mx1", "a.b.example.com", "192.0.2.1", "xn--mx-lka.example.com", "" };
	struct buf body = { 0 };
	struct sts_policy policy;
	struct finding why;
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
		struct arena *arena = arena_new();

		buf_clear(&body);
		buf_printf(&body, HEAD AGE "mx: %s\nmx: good.example\n", patterns[i]);
		assert_int_equal(sts_policy_parse(arena, body.data, body.length, &policy, &why), 0);
		for (j = 0; j < sizeof(hosts) / sizeof(hosts[0]); j++)
			if (sts_mx_match(&policy, hosts[j]))
				fail_msg("%s matches %s", patterns[i], hosts[j]);
		assert_true(sts_mx_match(&policy, "good.example"));
		arena_free(arena);
	}
	buf_free(&body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_max_age_says_when_it_was_capped),
		cmocka_unit_test(test_many_patterns),
		cmocka_unit_test(test_one_endless_line),
		cmocka_unit_test(test_patterns_that_match_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
