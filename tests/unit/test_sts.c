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

#include "base/domain.h"
#include "policy/sts.h"

#define T(text)	\
	{ \
		text, sizeof(text) - 1 \
	}
#define ID32	"0123456789abcdefghijABCDEFGHIJxy"
#define RECORDS_MAX	4

struct txt_case {
	const char *name;
	enum sts_txt_state state;
	const char *id;
	struct sts_text records[RECORDS_MAX];	/* up to the first without octets */
};

static const struct txt_case txt_cases[] = {
	{ "A1", STS_TXT_VALID, "20160831085700Z", { T("v=STSv1; id=20160831085700Z;") } },
	{ "A2", STS_TXT_VALID, "a", { T("v=STSv1; id=a") } },
	{ "A3", STS_TXT_VALID, "a", { T("v=STSv1;id=a;") } },
	{ "A3 none at the end", STS_TXT_VALID, "a", { T("v=STSv1;id=a") } },
	{ "A4", STS_TXT_VALID, "X", { T("v=STSv1; \t id=X  \t;") } },
	{ "A4 WSP behind the last", STS_TXT_VALID, "X", { T("v=STSv1;\tid=X\t; \t ") } },
	{ "A4 CR is no WSP", STS_TXT_INVALID, NULL, { T("v=STSv1;\rid=X") } },
	{ "A4 LF is no WSP", STS_TXT_INVALID, NULL, { T("v=STSv1; id=X;\n") } },
	{ "A5", STS_TXT_VALID, "a", { T("v=STSv1 ; id=a") } },
	{ "A5 tabs", STS_TXT_VALID, "a", { T("v=STSv1\t \t;id=a;") } },
	{ "A5 not alone: discarded", STS_TXT_NONE, NULL,
	    { T("v=STSv1 ; id=a"), T("v=spf1 -all") } },
	{ "A5 beside a proper one", STS_TXT_VALID, "b",
	    { T("v=STSv1 ; id=a"), T("v=STSv1; id=b") } },
	{ "A5 no semicolon", STS_TXT_INVALID, NULL, { T("v=STSv1 id=a") } },
	{ "A6", STS_TXT_VALID, "policy1",
	    { T("v=STSv1; id="
		"policy1;") } },
	{ "A7", STS_TXT_VALID, "a", { T("v=STSv1; id=a; more=a; ext=2") } },
	{ "A7 before the id", STS_TXT_VALID, "a", { T("v=STSv1; more=a; ext=2;id=a") } },
	{ "A7 odd but allowed", STS_TXT_VALID, "a",
	    { T("v=STSv1; 1a.b-c_d=!\"#$%&'()*+,-./:<>?@[\\]^_`{|}~; id=a") } },
	{ "A8", STS_TXT_INVALID, NULL, { T("v=STSv1") } },
	{ "A8 semicolon", STS_TXT_INVALID, NULL, { T("v=STSv1;") } },
	{ "A8 semicolon, space", STS_TXT_INVALID, NULL, { T("v=STSv1; ") } },
	{ "A8 space", STS_TXT_INVALID, NULL, { T("v=STSv1 ") } },
	{ "A8 empty id", STS_TXT_INVALID, NULL, { T("v=STSv1; id=") } },
	{ "A8 empty id, more", STS_TXT_INVALID, NULL, { T("v=STSv1; id=; more=a") } },
	{ "A8 id alone", STS_TXT_INVALID, NULL, { T("v=STSv1; id") } },
	{ "A8 beside a proper one", STS_TXT_VALID, "a", { T("v=STSv1"), T("v=STSv1; id=a") } },
	{ "A9", STS_TXT_INVALID, NULL, { T("v=STSv1; ext=1") } },
	{ "A9 ID is not id", STS_TXT_INVALID, NULL, { T("v=STSv1; ID=a") } },
	{ "A9 idx is not id", STS_TXT_INVALID, NULL, { T("v=STSv1; idx=a") } },
	{ "A11 32", STS_TXT_VALID, ID32, { T("v=STSv1; id=" ID32 ";") } },
	{ "A11 33", STS_TXT_INVALID, NULL, { T("v=STSv1; id=" ID32 "z;") } },
	{ "A12 hyphen", STS_TXT_INVALID, NULL, { T("v=STSv1; id=test-123") } },
	{ "A12 underscore", STS_TXT_INVALID, NULL, { T("v=STSv1; id=bad_value") } },
	{ "A12 dot", STS_TXT_INVALID, NULL, { T("v=STSv1; id=1.2") } },
	{ "A12 colon", STS_TXT_INVALID, NULL, { T("v=STSv1; id=2016-08-31T08:57:00Z") } },
	{ "A12 quoted", STS_TXT_INVALID, NULL, { T("v=STSv1; id=\"a\"") } },
	{ "A12 space in it", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a b") } },
	{ "A12 space round =", STS_TXT_INVALID, NULL, { T("v=STSv1; id = a") } },
	{ "A12 space behind =", STS_TXT_INVALID, NULL, { T("v=STSv1; id= a") } },
	{ "A12 two =", STS_TXT_INVALID, NULL, { T("v=STSv1; id==a") } },
	{ "A13 v0", STS_TXT_NONE, NULL, { T("v=STSv0; id=a") } },
	{ "A13 v2", STS_TXT_NONE, NULL, { T("v=STSv2; id=a") } },
	{ "A13 v10", STS_TXT_NONE, NULL, { T("v=STSv10; id=a") } },
	{ "A13 v12", STS_TXT_NONE, NULL, { T("v=STSv12; id=a") } },
	{ "A13 v10 beside v1", STS_TXT_VALID, "b", { T("v=STSv10; id=a"), T("v=STSv1; id=b") } },
	{ "A13 lower case", STS_TXT_NONE, NULL, { T("v=stsv1; id=a") } },
	{ "A13 capital V", STS_TXT_NONE, NULL, { T("V=STSv1; id=a") } },
	{ "A14", STS_TXT_NONE, NULL, { T("id=x; v=STSv1;") } },
	{ "A14 leading space", STS_TXT_NONE, NULL, { T(" v=STSv1; id=a") } },
	{ "A14 leading semicolon", STS_TXT_NONE, NULL, { T(";v=STSv1; id=a") } },
	{ "A16", STS_TXT_NONE, NULL, { T("v = STSv1; id=a") } },
	{ "A16 behind =", STS_TXT_NONE, NULL, { T("v= STSv1; id=a") } },
	{ "A17", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a;;") } },
	{ "A17 space between", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; ;") } },
	{ "A17 before the id", STS_TXT_INVALID, NULL, { T("v=STSv1;; id=a") } },
	{ "A18", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; more=") } },
	{ "A18 in the middle", STS_TXT_INVALID, NULL, { T("v=STSv1; more=; id=a") } },
	{ "A18 no =", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; more") } },
	{ "A19 32", STS_TXT_VALID, "a", { T("v=STSv1; id=a; " ID32 "=a") } },
	{ "A19 33", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; " ID32 "z=a") } },
	{ "A19 1%", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; 1%=a") } },
	{ "A19 leading _", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; _x=a") } },
	{ "A19 leading -", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; -x=a") } },
	{ "A19 leading .", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; .x=a") } },
	{ "A19 no name", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; =a") } },
	{ "A21", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; note=has space") } },
	{ "A21 tab", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; note=has\ttab") } },
	{ "A21 = in the value", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; note=b64==") } },
	{ "A13 comma", STS_TXT_NONE, NULL, { T("v=STSv1, id=a") } },
	{ "A22", STS_TXT_INVALID, NULL, { T("v=STSv1; id=policy1 ") } },
	{ "A22 tab", STS_TXT_INVALID, NULL, { T("v=STSv1; id=policy1\t") } },
	{ "A22 behind an extension", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; b=c ") } },
	{ "A23 in an extension", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; note=caf\xc3\xa9") } },
	{ "A23 in the id", STS_TXT_INVALID, NULL, { T("v=STSv1; id=\xc3\xa9") } },
	{ "A23 at the end", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a;\xff") } },
	{ "A23 DEL", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a; b=\x7f") } },
	{ "A23 NUL", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a\0") } },
	{ "A23 NUL behind the version", STS_TXT_NONE, NULL, { T("v=STSv1\0; id=a") } },
	{ "A24", STS_TXT_VALID, "a", { T("v=STSv1; id=a; id=b") } },
	{ "A24 second is no id", STS_TXT_VALID, "a", { T("v=STSv1; id=a; id=bad_value") } },
	{ "A24 first is no id", STS_TXT_INVALID, NULL, { T("v=STSv1; id=bad_value; id=a") } },
	{ "A24 second v is an extension", STS_TXT_VALID, "a", { T("v=STSv1; v=STSv2; id=a") } },
	{ "A26", STS_TXT_VALID, "a",
	    { T("v=spf1 -all"), T("v=STSv1; id=a"), T("site-verification=abc") } },
	{ "A26 empty record", STS_TXT_VALID, "a", { T(""), T("v=STSv1; id=a") } },
	{ "A26 TLSRPT", STS_TXT_VALID, "a",
	    { T("v=TLSRPTv1; rua=mailto:a@b.example"), T("v=STSv1; id=a") } },
	{ "A27", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a;"), T("v=STSv1; id=test-1;") } },
	{ "A27 both valid", STS_TXT_INVALID, NULL, { T("v=STSv1; id=a;"), T("v=STSv1; id=b;") } },
	{ "A27 both the same", STS_TXT_INVALID, NULL,
	    { T("v=STSv1; id=a;"), T("v=STSv1; id=a;") } },
	{ "A27 third", STS_TXT_INVALID, NULL,
	    { T("v=STSv1; id=a;"), T("inbound"), T("v=STSv1;") } },
	{ "A28", STS_TXT_NONE, NULL, { T("v=spf1 -all"), T("hello") } },
	{ "A28 one", STS_TXT_NONE, NULL, { T("v=spf1 -all") } },
	{ "A29", STS_TXT_NONE, NULL, { { NULL, 0 } } },
	{ "A29 empty record", STS_TXT_NONE, NULL, { T("") } },
	{ "A34", STS_TXT_NONE, NULL, { T("inbound") } },
	{ "A34 begins as one", STS_TXT_NONE, NULL, { T("v=STS") } },
};

/* On the heap at their exact size, so that a sanitizer sees any step too far. */
static size_t
copy_records(const struct sts_text *records, char *memory[RECORDS_MAX],
    struct sts_text copies[RECORDS_MAX])
{
	size_t count;

	for (count = 0; count < RECORDS_MAX && records[count].octets != NULL; count++) {
		memory[count] = malloc(records[count].length + 1);
		memcpy(memory[count] + 1, records[count].octets, records[count].length);
		copies[count].octets = memory[count] + 1;
		copies[count].length = records[count].length;
	}
	return count;
}

static void
test_txt(void **state)
{
	struct sts_text copies[RECORDS_MAX];
	char *memory[RECORDS_MAX];
	size_t i, count;

	(void)state;
	for (i = 0; i < sizeof(txt_cases) / sizeof(txt_cases[0]); i++) {
		const struct txt_case *c = &txt_cases[i];
		char id[LIMIT_STS_ID + 1] = "untouched";
		const char *why = NULL;
		enum sts_txt_state got;

		count = copy_records(c->records, memory, copies);
		got = sts_txt_parse(copies, count, id, &why);
		while (count > 0)
			free(memory[--count]);
		if (got != c->state)
			fail_msg("%s: state %d (%s)", c->name, (int)got, why != NULL ? why : "-");
		if (got == STS_TXT_VALID && strcmp(id, c->id) != 0)
			fail_msg("%s: id %s", c->name, id);
		if ((got == STS_TXT_INVALID) != (why != NULL))
			fail_msg("%s: why is %s", c->name, why != NULL ? why : "missing");
	}
}

static void
test_txt_of_any_size(void **state)
{
	static char large[65000];
	struct sts_text records[300] = { { NULL, 0 } };
	char id[LIMIT_STS_ID + 1];
	const char *why = NULL;
	size_t i;

	(void)state;
	memset(large, 'a', sizeof(large));
	for (i = 0; i < 300; i++)
		records[i] = (struct sts_text){ large, sizeof(large) };
	assert_int_equal(sts_txt_parse(records, 300, id, &why), STS_TXT_NONE);	/* A38 */
	memcpy(large, "v=STSv1; id=a; b=", 17);
	assert_int_equal(sts_txt_parse(records, 1, id, &why), STS_TXT_INVALID);
	records[0].length = LIMIT_TXT_RECORD;
	assert_int_equal(sts_txt_parse(records, 1, id, &why), STS_TXT_VALID);
	assert_string_equal(id, "a");
	assert_int_equal(sts_txt_parse(records, 300, id, &why), STS_TXT_INVALID);
}

#define L63	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0123456789a"
#define D191	L63 "." L63 "." L63	/* 191 octets */

static const struct {
	const char *name;
	const char *pattern, *host;
	bool match;
} match_cases[] = {
	{ "C1", "mail.example.com", "mail.example.com", true },
	{ "C1 other", "mail.example.com", "mail2.example.com", false },
	{ "C2 one label", "*.example.com", "mail.example.com", true },
	{ "C2 no label", "*.example.com", "example.com", false },
	{ "C2 two labels", "*.example.com", "foo.bar.example.com", false },
	{ "C2 empty label", "*.example.com", ".example.com", false },
	{ "C2 part of a label", "*.example.com", "mailexample.com", false },
	{ "C2 part of a label before", "*.example.com", "a.notexample.com", false },
	{ "C2 the pattern itself", "*.example.com", "*.example.com", false },
	{ "C3 host", "mail.example.com", "mail.example.com.", true },
	{ "C3 pattern", "mail.example.com.", "mail.example.com", true },
	{ "C3 both", "mail.example.com.", "mail.example.com.", true },
	{ "C3 wildcard", "*.example.com.", "mail.example.com", true },
	{ "C3 two dots", "mail.example.com..", "mail.example.com", false },
	{ "C3 two dots of the host", "mail.example.com", "mail.example.com..", false },
	{ "C5", "*.com", "abc.com", true },
	{ "C6 longer", "x.abc.com", "abc.com", false },
	{ "C6 inner wildcard", "abc.*.com", "abc.com", false },
	{ "C6 inner wildcard, three labels", "abc.*.com", "abc.x.com", false },
	{ "C6 two wildcards", "*.*.com", "abc.com", false },
	{ "C6 two wildcards, three labels", "*.*.com", "a.abc.com", false },
	{ "C7 leading dot", ".aa.b.cc.com", "zz.aa.b.cc.com", false },
	{ "C7", "*.aa.b.cc.com", "zz.aa.b.cc.com", true },
	{ "C8 other A-label", "x.xn--aca-6ma.com", "x.naca.com", false },
	{ "C8 wildcard", "*.xn--aca-6ma.com", "x.xn--aca-6ma.com", true },
	{ "C8 raw U-label", "x.xn--aca-6ma.com",
	    "x.\xc3\xb1"
	    "aca.com",
	    false },
	{ "C10", "example.com", "example.com.attacker.net", false },
	{ "C10 wildcard", "*.example.com", "mail.example.com.attacker.net", false },
	{ "C10 prefix", "example.com", "attackerexample.com", false },
	{ "C10 NUL cannot be said, escaped", "example.com", "example.com\\000.attacker.net",
	    false },
	{ "C11 IPv4", "192.0.2.1", "192.0.2.1", false },
	{ "C11 IPv4 wildcard", "*.0.2.1", "192.0.2.1", false },
	{ "C11 IPv4 with dot", "192.0.2.1", "192.0.2.1.", false },
	{ "C11 IPv6", "2001:db8::1", "2001:db8::1", false },
	{ "C11 literal", "[192.0.2.1]", "[192.0.2.1]", false },
	{ "C11 IPv6 literal", "[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]", false },
	{ "C12 the domain", "example.com", "example.com", true },
	{ "C12 only its hosts", "*.example.com", "example.com", false },
	{ "C13", "*.e", "mx1", false },
	{ "C13 itself", "mx1", "mx1", true },
	{ "C13 suffix", "*.e", "e", false },
	{ "C13 no host", "*.e", "", false },
	{ "C13 root", "*.e", ".", false },
	{ "C13 no pattern", "", "", false },
	{ "C17 leading dot", "example.com", ".example.com", false },
	{ "B43 *", "*", "mail.example.com", false },
	{ "B43 * and one label", "*", "mx1", false },
	{ "B43 *.", "*.", "mail.example.com", false },
	{ "B43 *. and one label", "*.", "mx1", false },
	{ "B43 *..", "*..", "mx1", false },
	{ "B43 .example.com", ".example.com", "mail.example.com", false },
	{ "B43 .example.com and its domain", ".example.com", "example.com", false },
	{ "B43 **", "**.e", "a.e", false },
	{ "B43 *.*", "*.*.e", "a.b.e", false },
	{ "B43 a*", "a*.e.com", "ab.e.com", false },
	{ "B43 *a", "*a.e.com", "ba.e.com", false },
	{ "B43 inner", "mx.*.com", "mx.e.com", false },
	{ "B43 last", "mx.e.*", "mx.e.com", false },
	{ "B43 ?", "m?.e.com", "mx.e.com", false },
	{ "B43 space", "* .e.com", "mx.e.com", false },
	{ "B45", "m\xc3\xb8x.example", "xn--mx-lka.example", false },
	{ "B45 wildcard", "*.m\xc3\xb8x.example", "a.xn--mx-lka.example", false },
	{ "B46 pattern", "MAIL.Example.COM", "mail.example.com", true },
	{ "B46 host", "mail.example.com", "MAIL.Example.COM", true },
	{ "B46 wildcard", "*.EXAMPLE.com", "Mail.example.COM", true },
	{ "B48", "a_b.example.com", "a_b.example.com", true },
	{ "B48 literally", "a_b.example.com", "a-b.example.com", false },
	{ "B48 wildcard", "*.example.com", "a_b.example.com", true },
	{ "label of 63", "*.example.com", L63 ".example.com", true },
	{ "label of 64", "*.example.com", "x" L63 ".example.com", false },
	{ "name of 253",
	    D191 "."
		 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz123456789",
	    D191 "."
		 "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz123456789",
	    true },
	{ "name of 255", D191 "." L63, D191 "." L63, false },
};

static void
test_match(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(match_cases) / sizeof(match_cases[0]); i++)
		if (sts_pattern_match(match_cases[i].pattern, match_cases[i].host) !=
		    match_cases[i].match)
			fail_msg("%s: %s and %s", match_cases[i].name, match_cases[i].pattern,
			    match_cases[i].host);
}

/* C8: hosts are A-labels before they are matched. */
static void
test_match_after_a_label(void **state)
{
	static const char host[] = "x.\xc3\xb1"
				   "aca.com";
	struct domain domain;

	(void)state;
	assert_int_equal(domain_parse(host, strlen(host), &domain), 0);
	assert_true(sts_pattern_match("x.xn--aca-6ma.com", domain.name));
}

/* C15, C17, C18. */
static void
test_match_a_policy(void **state)
{
	char one[] = "example.com", two[] = "*.example.com";
	char *mx[] = { one, two };
	struct sts_policy policy = { .mode = STS_MODE_ENFORCE, .mx = mx, .mx_count = 2 };

	(void)state;
	assert_true(sts_mx_match(&policy, "example.com"));
	assert_true(sts_mx_match(&policy, "mail.example.com"));
	assert_false(sts_mx_match(&policy, ".example.com"));
	assert_false(sts_mx_match(&policy, "foo.bar.example.com"));
	policy.mx_count = 0;
	assert_false(sts_mx_match(&policy, "example.com"));
}

/* C16. */
static void
test_match_an_endless_host(void **state)
{
	static char host[65537];

	(void)state;
	memset(host, 'a', sizeof(host) - 1);
	assert_false(sts_pattern_match("*.example.com", host));
	assert_false(sts_pattern_match(host, host));
	host[1] = '.';
	assert_false(sts_pattern_match(host, host));
	memset(host, '.', sizeof(host) - 1);
	assert_false(sts_pattern_match("*.example.com", host));
}

/* Records that count as none and were most likely meant as one. */
static void
test_near_misses(void **state)
{
	static const struct {
		struct sts_text record;
		const char *word;	/* in the explanation; NULL: there is none */
	} rows[] = {
		{ T(" v=STSv1; id=a;"), "space" },
		{ T("\tv=STSv1; id=a;"), "space" },
		{ T("\"v=STSv1; id=a;\""), "quotation marks" },
		{ T("v=stsv1; id=a;"), "upper and lower case" },
		{ T("V=STSv1; id=a;"), "upper and lower case" },
		{ T("v=STSv10; id=a;"), "semicolon" },
		{ T("v = STSv1; id=a;"), "without spaces" },
		{ T("id=a; v=STSv1;"), "first" },
		{ T("STSv1; id=a"), "first" },
		{ T("v=spf1 -all"), NULL },
		{ T("v=TLSRPTv1; rua=mailto:a@b.example"), NULL },
		{ T("notes: we publish v=STSv1 next year"), NULL },
		{ T(""), NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *why = sts_txt_near_miss(&rows[i].record, 1);

		if (rows[i].word == NULL ? why != NULL
					 : why == NULL || strstr(why, rows[i].word) == NULL)
			fail_msg("%s: %s", rows[i].record.octets, why != NULL ? why : "nothing");
	}
	assert_null(sts_txt_near_miss(NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_txt),
		cmocka_unit_test(test_txt_of_any_size),
		cmocka_unit_test(test_near_misses),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_after_a_label),
		cmocka_unit_test(test_match_a_policy),
		cmocka_unit_test(test_match_an_endless_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
