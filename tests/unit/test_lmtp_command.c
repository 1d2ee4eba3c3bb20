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

#include "shim/lmtp/lmtp_command.h"

static void
test_verbs(void **state)
{
	static const struct {
		const char *line;
		enum lmtp_verb verb;
	} cases[] = {
		{ "LHLO client.example", LMTP_LHLO },
		{ "lhlo [192.0.2.1]", LMTP_LHLO },
		{ "HELO x", LMTP_HELO },
		{ "EHLO", LMTP_HELO },
		{ "MAIL FROM:<>", LMTP_MAIL },
		{ "RCPT TO:<a@b>", LMTP_RCPT },
		{ "DATA", LMTP_DATA },
		{ "data", LMTP_DATA },
		{ "DATA  ", LMTP_DATA },
		{ "BDAT 0", LMTP_BDAT },
		{ "RSET", LMTP_RSET },
		{ "rSeT ", LMTP_RSET },
		{ "NOOP", LMTP_NOOP },
		{ "NOOP anything at all", LMTP_NOOP },
		{ "VRFY someone", LMTP_VRFY },
		{ "QUIT", LMTP_QUIT },
	};
	struct lmtp_command command;
	struct reply error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (lmtp_command_parse(cases[i].line, strlen(cases[i].line), &command, &error) != 0)
			fail_msg("%s: %s", cases[i].line, error.text);
		assert_int_equal(command.verb, cases[i].verb);
	}
}

/* What Exim, Sendmail and Postfix send, and what they may be made to send. */
static void
test_mail_and_rcpt(void **state)
{
	static const struct {
		const char *line, *path;
		uint64_t size;
		bool body_8bitmime, smtputf8;
	} cases[] = {
		{ "MAIL FROM:<a@b.example>", "a@b.example", 0, false, false },
		{ "MAIL From:<a@b.example> SIZE=1234 BODY=8BITMIME", "a@b.example", 1234, true,
		    false },
		{ "MAIL FROM:<>", "", 0, false, false },
		{ "mail from:<>  size=0 ", "", 0, false, false },
		{ "MAIL FROM: <a@b>", "a@b", 0, false, false },
		{ "MAIL FROM:<a@b> SMTPUTF8", "a@b", 0, false, true },
		{ "MAIL FROM:<a@b> BODY=7BIT smtputf8 SIZE=9", "a@b", 9, false, true },
		{ "MAIL FROM:<a@b> body=8bitmime", "a@b", 0, true, false },
		{ "MAIL FROM:<a@b> SIZE=99999999999999999999999", "a@b", UINT64_MAX, false, false },
		{ "MAIL FROM:<a@b> SIZE=18446744073709551616", "a@b", UINT64_MAX, false, false },
		{ "MAIL FROM:<a@b> SIZE=18446744073709551615", "a@b", UINT64_MAX, false, false },
		{ "MAIL FROM:<a@b> SIZE=18446744073709551614", "a@b", UINT64_MAX - 1, false,
		    false },
		{ "MAIL FROM:<a@b> RET=HDRS ENVID=QQ314159 AUTH=d1.test@shim.invalid", "a@b", 0,
		    false, false },
		{ "MAIL FROM:<a@b> AUTH=<>", "a@b", 0, false, false },
		{ "MAIL FROM:<\"a>b c\\\"\"@d>", "\"a>b c\\\"\"@d", 0, false, false },
		{ "MAIL FROM:<\xc3\xa4@b> SMTPUTF8", "\xc3\xa4@b", 0, false, true },
		{ "RCPT TO:<a@b.example>", "a@b.example", 0, false, false },
		{ "RCPT To:<a@b> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b", "a@b", 0, false, false },
		{ "RCPT TO:<@r:a@b>", "@r:a@b", 0, false, false },
		{ "RCPT TO:<>", "", 0, false, false },
	};
	struct lmtp_command command;
	struct reply error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (lmtp_command_parse(cases[i].line, strlen(cases[i].line), &command, &error) != 0)
			fail_msg("%s: %s", cases[i].line, error.text);
		assert_int_equal(command.path_length, strlen(cases[i].path));
		assert_memory_equal(command.path, cases[i].path, command.path_length);
		assert_true(command.size == cases[i].size);
		assert_int_equal(command.body_8bitmime, cases[i].body_8bitmime);
		assert_int_equal(command.smtputf8, cases[i].smtputf8);
	}
}

/* RFC 8689 2 */
static void
test_requiretls(void **state)
{
	static const struct {
		const char *line;
		bool requiretls;
	} cases[] = {
		{ "MAIL FROM:<a@b> REQUIRETLS", true },
		{ "MAIL FROM:<> requireTLS ", true },
		{ "MAIL FROM:<a@b> SIZE=9 REQUIRETLS SMTPUTF8", true },
		{ "MAIL FROM:<a@b> SIZE=9", false },
		{ "MAIL FROM:<REQUIRETLS@b>", false },
	};
	struct lmtp_command command;
	struct reply error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (lmtp_command_parse(cases[i].line, strlen(cases[i].line), &command, &error) != 0)
			fail_msg("%s: %s", cases[i].line, error.text);
		assert_int_equal(command.requiretls, cases[i].requiretls);
	}
}

static void
test_bdat(void **state)
{
	static const struct {
		const char *line;
		uint64_t size;
		bool last;
	} cases[] = {
		{ "BDAT 0 LAST", 0, true },
		{ "BDAT 86 last", 86, true },
		{ "bdat 100", 100, false },
		{ "BDAT 1 LAST ", 1, true },
		{ "BDAT 99999999999999999999", UINT64_MAX, false },
	};
	struct lmtp_command command;
	struct reply error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(lmtp_command_parse(cases[i].line, strlen(cases[i].line), &command,
				     &error),
		    0);
		assert_int_equal(command.verb, LMTP_BDAT);
		assert_true(command.size == cases[i].size);
		assert_int_equal(command.last, cases[i].last);
	}
}

static void
test_refused(void **state)
{
	static const struct {
		const char *line;
		enum lmtp_verb verb;
		int code;
		const char *enhanced;
	} cases[] = {
		{ "", LMTP_UNKNOWN, 500, "5.5.1" },
		{ " ", LMTP_UNKNOWN, 500, "5.5.1" },
		{ "NONSENSE", LMTP_UNKNOWN, 500, "5.5.1" },
		{ "DATAX", LMTP_UNKNOWN, 500, "5.5.1" },
		{ "DAT", LMTP_UNKNOWN, 500, "5.5.1" },
		{ "STARTTLS", LMTP_UNKNOWN, 500, "5.5.1" },
		{ " QUIT", LMTP_UNKNOWN, 500, "5.5.1" },
		{ "MAIL:", LMTP_UNKNOWN, 500, "5.5.1" },
		{ "NOOP\t", LMTP_UNKNOWN, 500, "5.5.2" },
		{ "RSET\r", LMTP_UNKNOWN, 500, "5.5.2" },
		{ "LHLO", LMTP_LHLO, 501, "5.5.4" },
		{ "DATA now", LMTP_DATA, 501, "5.5.4" },
		{ "RSET x", LMTP_RSET, 501, "5.5.4" },
		{ "QUIT x", LMTP_QUIT, 501, "5.5.4" },
		{ "VRFY ", LMTP_VRFY, 501, "5.5.4" },
		{ "MAIL", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL TO:<a@b>", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:a@b", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:<a@b", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:<\"a>@b", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:<\"a\\", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:<a@b>SIZE=1", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:<a@b>> SIZE=1", LMTP_MAIL, 501, "5.5.2" },
		{ "MAIL FROM:<a@b> SIZE", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> SIZE=", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> SIZE=-1", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> SIZE=1K", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> SIZE=1 SIZE=2", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> BODY=BINARYMIME", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> SMTPUTF8=yes", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> RET", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> SMTPUTF8=", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> REQUIRETLS=", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> REQUIRETLS=yes", LMTP_MAIL, 501, "5.5.4" },
		{ "MAIL FROM:<a@b> REQUIRETLS SIZE=1 requiretls", LMTP_MAIL, 501, "5.5.4" },
		{ "RCPT TO:<a@b> REQUIRETLS", LMTP_RCPT, 555, "5.5.4" },
		{ "MAIL FROM:<a@b> NOTIFY=NEVER", LMTP_MAIL, 555, "5.5.4" },
		{ "MAIL FROM:<a@b> SIZEX=1", LMTP_MAIL, 555, "5.5.4" },
		{ "MAIL FROM:<a@b> =1", LMTP_MAIL, 555, "5.5.4" },
		{ "RCPT", LMTP_RCPT, 501, "5.5.4" },
		{ "RCPT FROM:<a@b>", LMTP_RCPT, 501, "5.5.2" },
		{ "RCPT TO:<a@b> SIZE=1", LMTP_RCPT, 555, "5.5.4" },
		{ "RCPT TO:<a@b> NOTIFY", LMTP_RCPT, 501, "5.5.4" },
		/* The session must know that octets may follow. */
		{ "BDAT", LMTP_BDAT, 501, "5.5.4" },
		{ "BDAT x", LMTP_BDAT, 501, "5.5.4" },
		{ "BDAT -1", LMTP_BDAT, 501, "5.5.4" },
		{ "BDAT 1 FIRST", LMTP_BDAT, 501, "5.5.4" },
		{ "BDAT 1 LAST x", LMTP_BDAT, 501, "5.5.4" },
		{ "BDAT 0x10", LMTP_BDAT, 501, "5.5.4" },
		{ "BDAT\t10", LMTP_BDAT, 500, "5.5.2" },
		{ "bdat10", LMTP_BDAT, 500, "5.5.1" },
	};
	struct lmtp_command command;
	struct reply error;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		error = (struct reply){ 0 };
		if (lmtp_command_parse(cases[i].line, strlen(cases[i].line), &command, &error) == 0)
			fail_msg("accepted: %s", cases[i].line);
		if (error.code != cases[i].code || strcmp(error.enhanced, cases[i].enhanced) != 0)
			fail_msg("%s: %d %s", cases[i].line, error.code, error.enhanced);
		assert_int_equal(command.verb, cases[i].verb);
	}
	assert_int_equal(lmtp_command_parse("NOOP\0x", 6, &command, &error), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),
		cmocka_unit_test(test_mail_and_rcpt),
		cmocka_unit_test(test_requiretls),
		cmocka_unit_test(test_bdat),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
