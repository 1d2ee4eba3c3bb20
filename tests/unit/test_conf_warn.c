/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/conf/conf_warn.h"
#include "tests/unit/conf_file.h"

static void
collect(void *context, const char *warning)
{
	buf_printf(context, "%s\n", warning);
}

/* What is said of a file, line by line: the words that each must hold, then NULL. */
static const struct {
	const char *text;
	const char *lines[3];
} files[] = {
	{ "hostname = \"mail.example.com\"\n", { NULL } },
	{ "hostname = \"localhost.example\"\n", { NULL } },
	{ "hostname = \"localdomain.example.com\"\n", { NULL } },
	{ "hostname = \"vm\"\n", { "hostname \"vm\" has no dot" } },
	{ "hostname = \"VM\"\n", { "hostname \"vm\" has no dot" } },
	{ "hostname = \"localhost\"\n", { "hostname \"localhost\" has no dot" } },
	{ "hostname = \"a.localhost\"\n", { "\"a.localhost\" is below localhost:" } },
	{ "hostname = \"localhost.localdomain\"\n", { "is below localdomain:" } },
	{ "hostname = \"a.b.LocalDomain\"\n", { "is below localdomain:" } },
	{ "hostname = \"vm\"\n", { "tls-reports@vm" } },
	{ "hostname = \"a.example\"\ndestination \"b.example\" {\n hostname = \"vm\"\n}\n"
	  "destination \"c.example\" {\n hostname = \"c.example\"\n}\n",
	    { "destination \"b.example\": hostname \"vm\" has no dot" } },
	{ "hostname = \"a.example\"\nsts {\n enforce = \"audit\"\n}\n"
	  "destination \"b.example\" {\n tls = \"policy\"\n}\n"
	  "destination \"c.example\" {\n relay = \"gw.example\"\n}\n",
	    { "destination \"b.example\": tls = \"policy\" enforces nothing" } },
	{ "hostname = \"a.example\"\ndestination \".\" {\n tls = \"audit\"\n}\n"
	  "destination \"b.example\" {\n tls = \"policy\"\n}\n",
	    { NULL } },
	{ "hostname = \"vm\"\ndestination \"b.example\" {\n hostname = \"w.localdomain\"\n}\n",
	    { "hostname \"vm\" has no dot", "\"w.localdomain\" is below localdomain:" } },
};

static void
test_warnings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct conf *conf = conf_file_load_text(files[i].text);
		struct buf said = { 0 };
		const char *at;
		size_t line;

		if (conf == NULL)
			fail_msg("%zu: %s", i, conf_file_errors());
		conf_warn(conf, collect, &said);
		at = buf_text(&said);
		for (line = 0; files[i].lines[line] != NULL; line++) {
			const char *found = strstr(at, files[i].lines[line]);

			if (found == NULL || memchr(at, '\n', (size_t)(found - at)) != NULL)
				fail_msg("%zu: %s", i, at);
			at = strchr(at, '\n') + 1;
		}
		assert_string_equal(at, "");
		buf_free(&said);
		conf_free(conf);
	}
}

/* A sender of its own has nothing to do with the host's name. */
static void
test_the_sender_of_reports(void **state)
{
	static const char *const texts[] = {
		"hostname = \"vm\"\ntlsrpt {\n sender = \"tls@example.com\"\n}\n",
		"hostname = \"vm\"\ntlsrpt {\n enable = \"off\"\n}\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct conf *conf = conf_file_load_text(texts[i]);
		struct buf said = { 0 };

		assert_non_null(conf);
		conf_warn(conf, collect, &said);
		assert_non_null(strstr(buf_text(&said), "EHLO"));
		assert_null(strstr(buf_text(&said), "tls-reports@"));
		buf_free(&said);
		conf_free(conf);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warnings),
		cmocka_unit_test(test_the_sender_of_reports),
	};

	return cmocka_run_group_tests(tests, conf_file_setup, conf_file_teardown);
}
