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
#include <string.h>

#include "base/limits.h"
#include "policy/dns/dns_data.h"
#include "report/rua.h"

#define T(text)	\
	{ \
		text, sizeof(text) - 1 \
	}
#define RECORDS_MAX	3
#define V	"v=TLSRPTv1;"
#define A50	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* The result, as "mailto:target https:target". The numbers are those of the facts. */
struct rua_case {
	const char *name;
	const char *expected;	/* "": no reports are wanted */
	struct sts_text records[RECORDS_MAX];
};

static const struct rua_case cases[] = {
	{ "17", "mailto=a@x.example", { T(V " rua=mailto:a@x.example") } },
	{ "18", "mailto=a@x https=https://y.example/t",
	    { T(V "foo=bar;rua=mailto:a@x , https://y.example/t;") } },
	{ "19 two valid", "", { T(V "rua=mailto:a@x"), T(V "rua=mailto:a@x") } },
	{ "19 two, one without rua", "", { T(V "rua=mailto:a@x"), T(V "a=b") } },
	{ "20", "mailto=a@x",
	    { T("v=spf1 -all"), T("v=TLSRPTv2;rua=mailto:b@x"), T(V "rua=mailto:a@x") } },
	{ "20 alone", "", { T("v=spf1 -all") } },
	{ "22 capital V", "", { T("V=TLSRPTv1;rua=mailto:a@x") } },
	{ "22 lower case", "", { T("v=tlsrptv1;rua=mailto:a@x") } },
	{ "22 version alone", "", { T("v=TLSRPTv1") } },
	{ "22 version and ;", "", { T(V) } },
	{ "22 no rua", "", { T(V "foo=bar") } },
	{ "22 RUA is not rua", "", { T(V "RUA=mailto:a@x") } },
	{ "22 space round =", "", { T(V "rua =mailto:a@x") } },
	{ "23", "mailto=a@x", { T(V "rua=mailto:a@x,b@x") } },
	{ "24 http", "", { T(V "rua=http://y.example/") } },
	{ "24 ftp", "", { T(V "rua=ftp://y.example/") } },
	{ "24 beside a good one", "mailto=a@x", { T(V "rua=http://y/, mailto:a@x ,ftp:z") } },
	{ "25", "mailto=a,b@x", { T(V "rua=mailto:a%2Cb@x") } },
	{ "I4 empty", "", { T(V "rua=") } },
	{ "I4 noscheme", "", { T(V "rua=noscheme") } },
	{ "I4 commas", "", { T(V "rua=,,") } },
	{ "I4 a comma before", "", { T(V "rua=,mailto:a@x") } },
	{ "I4 a comma too many", "", { T(V "rua=mailto:a@x,,mailto:b@x") } },
	{ "I4 a comma behind", "", { T(V "rua=mailto:a@x,") } },
	{ "I4 scheme alone", "", { T(V "rua=mailto:") } },
	{ "I4 https alone", "", { T(V "rua=https://") } },
	{ "I5", "mailto=a,b!c;d@x", { T(V "rua=mailto:a%2cb%21c%3Bd@x") } },
	{ "I5 cut", "", { T(V "rua=mailto:a%2") } },
	{ "I5 no hex", "", { T(V "rua=mailto:a%zz@x") } },
	{ "I5 CR LF", "", { T(V "rua=mailto:a%0d%0aBcc:b@x") } },
	{ "I5 NUL", "", { T(V "rua=mailto:a%00@x") } },
	{ "I5 space", "", { T(V "rua=mailto:a%20b@x") } },
	{ "I5 beyond ASCII", "", { T(V "rua=mailto:%c3%a9@x") } },
	{ "I5 a second @", "", { T(V "rua=mailto:a%40b@x") } },
	{ "I5 angle brackets", "", { T(V "rua=mailto:%3Ca@x%3E") } },
	{ "I5 a quote", "", { T(V "rua=mailto:%22a b%22@x") } },
	{ "I7", "", { T("v=TLSRPTv10;rua=mailto:a@x") } },
	{ "I8", "mailto=b@x", { T(V "rua=mailto:a@x!10m,mailto:b@x") } },
	{ "I8 alone", "", { T(V "rua=mailto:a@x!10m") } },
	{ "one string without a ;", "", { T("v=TLSRPTv1 rua=mailto:a@x") } },
	{ "WSP before ;", "mailto=a@x", { T("v=TLSRPTv1 \t; rua=mailto:a@x") } },
	{ "WSP before ;, not alone", "", { T("v=TLSRPTv1 ; rua=mailto:a@x"), T("v=spf1 -all") } },
	{ "WSP at the end", "mailto=a@x", { T(V "rua=mailto:a@x \t; ") } },
	{ "leading space", "", { T(" " V "rua=mailto:a@x") } },
	{ "rua twice", "mailto=a@x mailto=b@x", { T(V "rua=mailto:a@x;rua=mailto:b@x") } },
	{ "the same twice", "mailto=a@x", { T(V "rua=mailto:a@x,MAILTO:a@X") } },
	{ "the same address in other letters", "mailto=a@x", { T(V "rua=mailto:a@x,mailto:A@x") } },
	{ "the same URI written otherwise", "https=https://y/",
	    { T(V "rua=https://y/,HTTPS://Y:443,https://y,https://y./#b") } },
	{ "another path", "https=https://y/t https=https://y/T",
	    { T(V "rua=https://y/t,https://y/T") } },
	{ "slashes as of a web address", "mailto=a@x", { T(V "rua=mailto://a@x") } },
	{ "slashes, and once without", "mailto=a@x", { T(V "rua=mailto://a@x,mailto:a@x") } },
	{ "slashes alone", "", { T(V "rua=mailto://") } },
	{ "three slashes", "mailto=/a@x", { T(V "rua=mailto:///a@x") } },
	{ "a slash is part of the address", "mailto=/a@x", { T(V "rua=mailto:/a@x") } },
	{ "slashes that are escaped", "mailto=//a@x", { T(V "rua=mailto:%2F%2Fa@x") } },
	{ "slashes behind", "", { T(V "rua=mailto://a@x/") } },
	{ "query", "mailto=a@x", { T(V "rua=mailto:a@x?subject=b") } },
	{ "scheme in capitals", "mailto=a@x https=HTTPS://y/",
	    { T(V "rua=MailTo:a@x,HTTPS://y/") } },
	{ "A-labels", "mailto=a@xn--bcher-kva.example",
	    { T(V "rua=mailto:a@XN--bcher-kva.example.") } },
	{ "no address", "", { T(V "rua=mailto:a@[192.0.2.1]") } },
	{ "no local part", "", { T(V "rua=mailto:@x") } },
	{ "no domain", "", { T(V "rua=mailto:a@") } },
	{ "local part too long", "", { T(V "rua=mailto:" A50 A50 "@x") } },
	{ "port 443", "https=https://y:443/t?a=b", { T(V "rua=https://y:443/t?a=b") } },
	{ "port 22", "", { T(V "rua=https://y:22/") } },
	{ "user", "", { T(V "rua=https://u:p@y/") } },
	{ "IPv6", "", { T(V "rua=https://[::1]/") } },
	{ "space in it", "", { T(V "rua=https://y/a b") } },
	{ "escape stays", "https=https://y/a%2Cb", { T(V "rua=https://y/a%2Cb") } },
	{ "white space round =", "", { T(V "rua = mailto:a@x") } },
	{ "white space behind =", "", { T(V "rua= mailto:a@x") } },
	{ "white space within a URI", "", { T(V "rua=mailto:a @x,mailto:b@x") } },
	{ "white space round a comma", "mailto=a@x mailto=b@x",
	    { T(V "rua=mailto:a@x\t ,\t mailto:b@x") } },
	{ "extension of white space", "", { T(V "rua=mailto:a@x; p= ") } },
	{ "extension of white space in the middle", "", { T(V "p= ; rua=mailto:a@x") } },
	{ "two delimiters at the end", "", { T(V "rua=mailto:a@x;;") } },
	{ "two delimiters at the end, apart", "", { T(V "rua=mailto:a@x ; ; ") } },
	{ "two delimiters in the middle", "", { T(V "rua=mailto:a@x;;a=b") } },
	{ "extension name of 32", "mailto=a@x",
	    { T(V "a123456789012345678901234567890b=c;rua=mailto:a@x") } },
	{ "extension name of 33", "",
	    { T(V "a1234567890123456789012345678901b=c;rua=mailto:a@x") } },
	{ "empty field", "", { T(V ";rua=mailto:a@x") } },
	{ "a field without =", "", { T(V "foo;rua=mailto:a@x") } },
	{ "extension", "mailto=a@x", { T(V "1.a_-=<>!\"$;rua=mailto:a@x") } },
	{ "bad extension", "", { T(V "-a=b;rua=mailto:a@x") } },
	{ "extension with two =", "", { T(V "a=b=c;rua=mailto:a@x") } },
	{ "extension without value", "", { T(V "a=;rua=mailto:a@x") } },
	{ "not ASCII", "", { T(V "rua=mailto:a@x;b=\xc3\xa9") } },
	{ "a control", "", { T(V "rua=mailto:a@x;\r\n") } },
	{ "NUL", "", { T(V "rua=mailto:a@x;\0") } },
	{ "eleven are ten",
	    "mailto=a@x mailto=b@x mailto=c@x mailto=d@x mailto=e@x mailto=f@x "
	    "mailto=g@x mailto=h@x mailto=i@x mailto=j@x",
	    { T(V "rua=mailto:a@x,mailto:b@x,mailto:c@x,mailto:d@x,mailto:e@x,mailto:f@x,"
		  "mailto:g@x,mailto:h@x,mailto:i@x,mailto:j@x,mailto:k@x") } },
};

/* The reason for the administrator. */
static const struct {
	const char *why;	/* begins with */
	struct sts_text records[RECORDS_MAX];
} faults[] = {
	{ "", { T("v=spf1 -all") } },
	{ "the record does not begin with v=TLSRPTv1;", { T("V=TLSRPTv1;rua=mailto:a@x") } },
	{ "the record does not begin with v=TLSRPTv1;", { T("v=TLSRPTv2;rua=mailto:a@x") } },
	{ "the record does not begin with v=TLSRPTv1;", { T(" " V "rua=mailto:a@x") } },
	{ "no ; follows the version: \"rua=mailto:a@x\"", { T("v=TLSRPTv1 rua=mailto:a@x") } },
	{ "2 records begin with v=TLSRPTv1;", { T(V "rua=mailto:a@x"), T(V "a=b") } },
	{ "a field is empty: \"v=TLSRPTv1;rua=mailto:a@x;;\"", { T(V "rua=mailto:a@x;;") } },
	{ "a field is not name=value (RFC 8460 3): \"rua = mailto:a@x\"",
	    { T(V "rua = mailto:a@x") } },
	{ "a field is not name=value (RFC 8460 3): \"p=\"", { T(V "rua=mailto:a@x; p= ") } },
	{ "white space follows the = of a field: \"rua= mailto:a@x\"", { T(V "rua= mailto:a@x") } },
	{ "a URI is missing in a field: \"rua=mailto:a@x,\"", { T(V "rua=mailto:a@x,") } },
	{ "a URI contains white space: \"mailto:a @x\"", { T(V "rua=mailto:a @x") } },
	{ "no usable mailto: or https: address", { T(V "rua=http://y/") } },
	{ "the record is too long, or not ASCII", { T(V "rua=mailto:\xc3\xa9@x") } },
};

static void
tells_what_is_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct arena *arena = arena_new();
		struct rua_list list;
		size_t count = 0;

		while (count < RECORDS_MAX && faults[i].records[count].octets != NULL)
			count++;
		assert_false(rua_parse(arena, faults[i].records, count, &list));
		if (strncmp(list.why, faults[i].why, strlen(faults[i].why)) != 0 ||
		    (faults[i].why[0] == '\0' && list.why[0] != '\0'))
			fail_msg("%s: \"%s\"", faults[i].why, list.why);
		arena_free(arena);
	}
}

static void
names_the_receiver(void **state)
{
	static const struct {
		const char *uri, *receiver;
	} cases_of[] = {
		{ "mailto:Reports@X.example", "reports@x.example" },
		{ "https://Y.example:443/a?b#c", "y.example" },
		{ "HTTPS://y.example.?q", "y.example" },
		{ "https://y.example", "y.example" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases_of) / sizeof(cases_of[0]); i++) {
		struct arena *arena = arena_new();
		struct rua rua;

		assert_true(rua_parse_uri(arena, cases_of[i].uri, strlen(cases_of[i].uri), &rua));
		assert_string_equal(rua_receiver(arena, &rua), cases_of[i].receiver);
		arena_free(arena);
	}
}

static const char *
words_of(struct arena *arena, const struct rua_list *list)
{
	const char *words = "";

	for (size_t i = 0; i < list->count; i++)
		words = arena_printf(arena, "%s%s%s=%s", words, i > 0 ? " " : "",
		    rua_scheme_name(list->at[i].scheme), list->at[i].target);
	return words;
}

static void
reads_records_as_the_rfc_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new();
		struct rua_list list;
		size_t count = 0;
		bool wanted;

		while (count < RECORDS_MAX && cases[i].records[count].octets != NULL)
			count++;
		wanted = rua_parse(arena, cases[i].records, count, &list);
		if (wanted != (cases[i].expected[0] != '\0') ||
		    strcmp(wanted ? words_of(arena, &list) : "", cases[i].expected) != 0)
			fail_msg("%s: \"%s\"", cases[i].name, words_of(arena, &list));
		if (!wanted && list.count > 0)
			fail_msg("%s: %zu of what counts for nothing", cases[i].name, list.count);
		if (wanted && strncmp(list.record, "v=TLSRPTv1", 10) != 0)
			fail_msg("%s: record \"%s\"", cases[i].name, list.record);
		arena_free(arena);
	}
}

/* 21 */
static void
strings_are_joined_without_space(void **state)
{
	static const char data[] = "\x15"
				   "v=TLSRPTv1;rua=mailto"
				   "\x05"
				   ":a@x;";
	struct arena *arena = arena_new();
	struct sts_text record;
	struct rua_list list;

	(void)state;
	assert_int_equal(dns_txt_join(arena, (const uint8_t *)data, sizeof(data) - 1,
			     &record.octets, &record.length),
	    0);
	assert_true(rua_parse(arena, &record, 1, &list));
	assert_string_equal(words_of(arena, &list), "mailto=a@x");
	assert_string_equal(list.record, "v=TLSRPTv1;rua=mailto:a@x;");
	arena_free(arena);
}

static void
nothing_and_too_much_are_no_record(void **state)
{
	static char large[LIMIT_TXT_RECORD + 2] = V "rua=mailto:a@x;b=";
	struct sts_text record = { large, LIMIT_TXT_RECORD };
	struct arena *arena = arena_new();
	struct rua_list list;

	(void)state;
	assert_false(rua_parse(arena, NULL, 0, &list));
	memset(large + strlen(large), 'b', sizeof(large) - strlen(large));
	assert_true(rua_parse(arena, &record, 1, &list));
	record.length++;
	assert_false(rua_parse(arena, &record, 1, &list));
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_records_as_the_rfc_says),
		cmocka_unit_test(tells_what_is_wrong),
		cmocka_unit_test(names_the_receiver),
		cmocka_unit_test(strings_are_joined_without_space),
		cmocka_unit_test(nothing_and_too_much_are_no_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
