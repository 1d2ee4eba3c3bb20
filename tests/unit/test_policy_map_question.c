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

#include "integration/policymap/policy_map_question.h"

#define D	"example.com"
#define H	"mx.example.com"

struct question_case {
	const char *text;
	size_t length;
	bool known;
	enum plan_map_key key;
	const char *domain, *host;	/* NULL: there is none */
};

#define TEXT(text)	text, sizeof(text) - 1
#define UNKNOWN	false, MAP_KEY_BAD, NULL, NULL
#define BAD	true, MAP_KEY_BAD, NULL, NULL
#define WITHOUT	true, MAP_KEY_WITHOUT_POLICY, NULL, NULL

static const struct question_case lines[] = {
	{ TEXT("policy " D), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("policy Example.COM."), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("  policy \t " D " "), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("policy [" D "]:25"), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("policy b\xc3\xbc"
	       "cher.example"),
	    true, MAP_KEY_DOMAIN, "xn--bcher-kva.example", NULL },
	{ TEXT("policy i\xe2\x9d\xa4.example"), true, MAP_KEY_DOMAIN, "xn--i-7iq.example", NULL },
	{ TEXT("mx " D " " H), true, MAP_KEY_DOMAIN, D, H },
	{ TEXT("mx " D " MX.Example.com."), true, MAP_KEY_DOMAIN, D, H },
	{ TEXT("mx " D " b\xc3\xbc"
	       "cher.example"),
	    true, MAP_KEY_DOMAIN, D, "xn--bcher-kva.example" },
	{ TEXT("mx " D " 192.0.2.1"), true, MAP_KEY_DOMAIN, D, "192.0.2.1" },
	{ TEXT("mx [192.0.2.1] 192.0.2.1"), true, MAP_KEY_WITHOUT_POLICY, NULL, "192.0.2.1" },
	{ TEXT("mx [IPv6:2001:db8::1] 2001:db8::1"), WITHOUT },
	{ TEXT("mx [IPv6:2001:db8::1] [IPv6:2001:db8::1]"), WITHOUT },
	{ TEXT("policy ."), BAD },
	{ TEXT("policy .example.com"), WITHOUT },
	{ TEXT("policy a/b.example"), BAD },
	{ TEXT("policy " D "\0"), BAD },
	{ TEXT("policy " D ".."), BAD },
	{ TEXT("policy \xff"), BAD },
	{ TEXT("mx a/b.example " H), true, MAP_KEY_BAD, NULL, H },
	{ TEXT("mx " D "\0 " H), true, MAP_KEY_BAD, NULL, H },
	{ TEXT("mx " D "\r " H), true, MAP_KEY_BAD, NULL, H },
	{ TEXT("mx \xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9.example " H), true, MAP_KEY_BAD,
	    NULL, H },
	{ TEXT("mx " D " " H "\0"), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("mx " D " a/b"), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("mx " D " 2001:db8::1"), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("mx " D), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("mx [192.0.2.1]"), false, MAP_KEY_WITHOUT_POLICY, NULL, NULL },
	{ TEXT("mx a b.example " H), false, MAP_KEY_DOMAIN, "a", "b.example" },
	{ TEXT("mx " D " " H " more"), false, MAP_KEY_DOMAIN, D, H },
	{ TEXT("policy " D " " H), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("policy"), false, MAP_KEY_WITHOUT_POLICY, NULL, NULL },
	{ TEXT("Policy " D), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("\0mx " D " " H), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT(""), false, MAP_KEY_WITHOUT_POLICY, NULL, NULL },
};

static const struct question_case maps[] = {
	{ TEXT("postfix " D), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("postfix [" D "]:25"), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("sts i\xe2\x9d\xa4.example"), true, MAP_KEY_DOMAIN, "xn--i-7iq.example", NULL },
	{ TEXT("json " D " requiretls"), true, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("postfix " D " requiretls"), BAD },
	{ TEXT("postfix  " D), BAD },
	{ TEXT("postfix " D " "), BAD },
	{ TEXT("postfix " D "\n"), BAD },
	{ TEXT("postfix " D "\0"), BAD },
	{ TEXT("postfix \0" D), BAD },
	{ TEXT("postfix a/b.example"), BAD },
	{ TEXT("postfix user@" D), BAD },
	{ TEXT("postfix [192.0.2.1]:25"), WITHOUT },
	{ TEXT("postfix .example.com"), WITHOUT },
	{ TEXT("postfix "), WITHOUT },
	{ TEXT("json [192.0.2.1] requiretls"), WITHOUT },
	{ TEXT("postfix"), UNKNOWN },
	{ TEXT("Postfix " D), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT("nosuch " D), false, MAP_KEY_DOMAIN, D, NULL },
	{ TEXT(""), UNKNOWN },
};

static void
expect(const struct question_case *one, bool line)
{
	struct policy_map_question question;

	policy_map_question_read(one->text, one->length, line, &question);
	if (question.known != one->known || question.key != one->key ||
	    question.has_host != (one->host != NULL))
		fail_msg("\"%s\": known %d, key %d, host %d", one->text, question.known,
		    question.key, question.has_host);
	if (one->domain != NULL)
		assert_string_equal(question.domain.name, one->domain);
	if (one->host != NULL)
		assert_string_equal(question.host.name, one->host);
}

static void
test_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect(&lines[i], true);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		expect(&maps[i], false);
}

static void
test_wish(void **state)
{
	struct policy_map_question question;

	(void)state;
	policy_map_question_read(TEXT("json " D " requiretls"), false, &question);
	assert_int_equal(question.wish, WISH_REQUIRETLS);
	policy_map_question_read(TEXT("json " D), false, &question);
	assert_int_equal(question.wish, WISH_NONE);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_wish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
