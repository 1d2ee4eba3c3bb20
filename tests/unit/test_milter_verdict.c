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

#include "integration/milter/milter_verdict.h"

#define USE	"OK {\"verdict\":\"use\""
#define DEFER(reply)	"OK {\"verdict\":\"defer\",\"reply\":\"" reply "\""
#define REFUSE(reply)	"OK {\"verdict\":\"refuse\",\"reply\":\"" reply "\""
#define STS	",\"sts\":{\"state\":\"valid\",\"mode\":\"enforce\",\"id\":\"2026a\"}"
#define HOST(policy, use)	"{\"name\":\"mx\",\"policy\":\"" policy "\",\"use\":" use "}"

static void
read_text(const char *answer, struct milter_verdict *verdict)
{
	char *exact = malloc(strlen(answer) + 1);

	assert_non_null(exact);
	memcpy(exact, answer, strlen(answer) + 1);
	milter_verdict_read(exact, strlen(answer), verdict);
	free(exact);
}

static void
test_read(void **state)
{
	static const struct {
		const char *answer;
		enum milter_says says;
		int code;
		const char *enhanced, *policy, *mode, *id;
	} cases[] = {
		{ USE ",\"hosts\":[]}", SAYS_USE, 0, "", "", "", "" },
		{ USE STS ",\"hosts\":[" HOST("sts", "true") "]}", SAYS_USE, 0, "", "sts",
		    "enforce", "2026a" },
		{ USE STS ",\"hosts\":[" HOST("none", "true") "," HOST("dane",
		      "true") "," HOST("sts", "true") "]}",
		    SAYS_USE, 0, "", "dane+sts+none", "enforce", "2026a" },
		{ USE STS ",\"hosts\":[" HOST("sts", "false") "," HOST("dane", "true") "]}",
		    SAYS_USE, 0, "", "dane", "enforce", "2026a" },
		{ DEFER("451 4.7.5 no MX host") STS ",\"hosts\":[" HOST("sts", "false") "]}",
		    SAYS_DEFER, 451, "4.7.5", "sts", "enforce", "2026a" },
		{ DEFER("451 4.4.3 DNS") ",\"sts\":{\"state\":\"error\"}}", SAYS_DEFER, 451,
		    "4.4.3", "", "error", "" },
		{ REFUSE("550 5.7.10 nobody vouches") "}", SAYS_REFUSE, 550, "5.7.10", "", "", "" },
		{ REFUSE("556 5.1.10") "}", SAYS_REFUSE, 556, "5.1.10", "", "", "" },
		/* an id and a mode that are no words cannot come from stsgated, and go nowhere */
		{ USE ",\"sts\":{\"state\":\"valid\",\"mode\":\"a b\",\"id\":\"x; y\"}}", SAYS_USE,
		    0, "", "", "", "" },
		{ USE ",\"sts\":{\"state\":\"valid\",\"mode\":7,\"id\":null}}", SAYS_USE, 0, "", "",
		    "", "" },
		{ USE ",\"sts\":[],\"hosts\":{\"a\":1}}", SAYS_USE, 0, "", "", "", "" },
	};
	struct milter_verdict verdict;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_text(cases[i].answer, &verdict);
		assert_int_equal(verdict.says, cases[i].says);
		assert_int_equal(verdict.reply.code, cases[i].code);
		assert_string_equal(verdict.reply.enhanced, cases[i].enhanced);
		assert_string_equal(verdict.policy, cases[i].policy);
		assert_string_equal(verdict.mode, cases[i].mode);
		assert_string_equal(verdict.id, cases[i].id);
	}
}

static void
test_unknown(void **state)
{
	static const struct {
		const char *answer, *why;
	} cases[] = {
		{ "TEMP the look-up takes longer", "stsgated: TEMP the look-up takes longer" },
		{ "NOTFOUND ", "stsgated: NOTFOUND " },
		{ "", "stsgated: " },
		{ "OK", "stsgated: OK" },
		{ "OK ", "cannot be read" },
		{ "OK {", "cannot be read" },
		{ "OK []", "cannot be read" },
		{ "OK {}", "cannot be read" },
		{ "OK {\"verdict\":\"maybe\"}", "cannot be read" },
		{ USE "} x", "cannot be read" },
		/* a reply that contradicts the verdict, or is none, must not reach the MTA */
		{ "OK {\"verdict\":\"defer\"}", "cannot be read" },
		{ DEFER("550 5.7.1 no") "}", "cannot be read" },
		{ REFUSE("451 4.7.1 no") "}", "cannot be read" },
		{ DEFER("451 5.7.1 no") "}", "cannot be read" },
		{ DEFER("451") "}", "cannot be read" },
		{ DEFER("451 later") "}", "cannot be read" },
		{ DEFER("4512 4.7.5 no") "}", "cannot be read" },
		{ DEFER("451 4.77777777.5 no") "}", "cannot be read" },
		{ "OK {\"verdict\":\"defer\",\"reply\":451}", "cannot be read" },
	};
	struct milter_verdict verdict;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_text(cases[i].answer, &verdict);
		assert_int_equal(verdict.says, SAYS_UNKNOWN);
		assert_non_null(strstr(verdict.why, cases[i].why));
		assert_int_equal(milter_decide(&verdict, REFUSE_REJECT), ACTION_CONTINUE);
	}
}

static void
test_decide(void **state)
{
	static const enum milter_action expected[][3] = {
		[SAYS_UNKNOWN] = { ACTION_CONTINUE, ACTION_CONTINUE, ACTION_CONTINUE },
		[SAYS_USE] = { ACTION_CONTINUE, ACTION_CONTINUE, ACTION_CONTINUE },
		[SAYS_DEFER] = { ACTION_CONTINUE, ACTION_TEMPFAIL, ACTION_TEMPFAIL },
		[SAYS_REFUSE] = { ACTION_CONTINUE, ACTION_CONTINUE, ACTION_REJECT },
	};
	static const enum conf_milter_refuse modes[] = { REFUSE_NEVER, REFUSE_TEMPFAIL,
		REFUSE_REJECT };

	(void)state;
	for (size_t says = 0; says < 4; says++)
		for (size_t mode = 0; mode < 3; mode++) {
			struct milter_verdict verdict = { .says = (enum milter_says)says };
			enum milter_action action = milter_decide(&verdict, modes[mode]);

			assert_int_equal(action, expected[says][mode]);
		}
}

static void
test_header(void **state)
{
	static const struct {
		const char *answer, *value;
	} cases[] = {
		{ USE STS ",\"hosts\":[" HOST("sts", "true") "]}",
		    "use; domain=d.example; policy=sts; mode=enforce; id=2026a" },
		{ USE ",\"hosts\":[" HOST("none", "true") "]}",
		    "use; domain=d.example; policy=none" },
		{ DEFER("451 4.7.5 no") STS ",\"hosts\":[" HOST("sts", "false") "]}",
		    "defer; domain=d.example; policy=sts; mode=enforce; id=2026a; status=4.7.5" },
	};
	struct milter_verdict verdict;
	struct buf value = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		read_text(cases[i].answer, &verdict);
		milter_verdict_header(&verdict, "d.example", &value);
		assert_string_equal(buf_text(&value), cases[i].value);
	}
	buf_free(&value);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
