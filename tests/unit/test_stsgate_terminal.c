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

#include "cmd/stsgate_doing.h"
#include "cmd/stsgate_terminal.h"

static void
test_controls_are_not_printed(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{ "", "" },
		{ "250 mx.example", "250 mx.example" },
		{ "a\033[2J\rb\a\tc\177", "a?[2J?b??c?" },
		{ "\xc2\x9b"
		  "2J\xc2\x80\xc2\x9f",
		    "?2J??" },
		{ "\xc2\xa0\xc3\x9b\xe2\x82\xac", "\xc2\xa0\xc3\x9b\xe2\x82\xac" },
		{ "cut \xc2", "cut \xc2" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *printed = NULL;
		size_t length;
		FILE *out = open_memstream(&printed, &length);

		assert_non_null(out);
		stsgate_terminal_print(out, rows[i].text);
		assert_int_equal(fclose(out), 0);
		assert_string_equal(printed, rows[i].printed);
		free(printed);
	}
}

static void
test_a_line_fits(void **state)
{
	static const struct {
		const char *words;
		size_t columns;
		const char *fitted;
	} rows[] = {
		{ "fetching", 80, "fetching ..." },
		{ "fetching", 13, "fetching ..." },
		{ "fetching", 12, "fetchin ..." },
		{ "fetching", 6, "f ..." },
		{ "fetching", 5, "" },
		{ "fetching", 1, "" },
		{ "fetching", 0, "" },
		{ "", 80, " ..." },
		{ "a\033[2J\rb\xc3\xa9", 80, "a?[2J?b?? ..." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf fitted = { 0 };

		stsgate_terminal_fit(rows[i].words, rows[i].columns, &fitted);
		assert_string_equal(buf_text(&fitted), rows[i].fitted);
		assert_true(fitted.length == 0 || fitted.length < rows[i].columns);
		buf_free(&fitted);
	}
}

static void
test_which_terminals_erase(void **state)
{
	(void)state;
	assert_true(stsgate_terminal_erases("xterm-256color"));
	assert_true(stsgate_terminal_erases("vt100"));
	assert_false(stsgate_terminal_erases("dumb"));
	assert_false(stsgate_terminal_erases(""));
	assert_false(stsgate_terminal_erases(NULL));
}

static void
test_nothing_passes_on_what_is_no_terminal(void **state)
{
	struct stsgate_terminal_line line;
	char *printed = NULL;
	size_t length;
	FILE *out = open_memstream(&printed, &length);

	(void)state;
	assert_non_null(out);
	stsgate_terminal_line_open(&line, out);
	assert_false(line.on);
	stsgate_terminal_line_show(&line, "fetching");
	stsgate_terminal_line_clear(&line);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(printed, "");
	free(printed);
}

static void
test_what_is_waited_for(void **state)
{
	static const struct {
		const char *what, *host, *address, *words;
	} rows[] = {
		{ "dns", "", "", "looking up the MX and TXT records" },
		{ "txt", "", "", "looking up the TXT record" },
		{ "policy", "", "", "fetching the policy" },
		{ "connect", "mx1.example", "192.0.2.1", "connecting to mx1.example[192.0.2.1]" },
		{ "connect", "", "2001:db8::1", "connecting to [2001:db8::1]" },
		{ "starttls", "mx1.example", "192.0.2.1",
		    "starting TLS with mx1.example[192.0.2.1]" },
		{ "pondering", "mx1.example", "", "pondering mx1.example" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf words = { 0 };

		stsgate_doing_words(rows[i].what, rows[i].host, rows[i].address, &words);
		assert_string_equal(buf_text(&words), rows[i].words);
		buf_free(&words);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_controls_are_not_printed),
		cmocka_unit_test(test_a_line_fits),
		cmocka_unit_test(test_which_terminals_erase),
		cmocka_unit_test(test_nothing_passes_on_what_is_no_terminal),
		cmocka_unit_test(test_what_is_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
