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

#include "shim/smtp/tls_client.h"
#include "shim/smtp/tls_omit.h"

#define FAILED	PROOF_HANDSHAKE_FAILED
#define NAME	"mx.example.net"

static const struct omit_case {
	const char *what;
	struct proof proof;
	struct tls_wish wish;
	unsigned omit;
} cases[] = {
	{ "nothing was offered", { .tls = FAILED, .alert = 40 }, { .sni = NAME }, 0 },
	{ "closed at an offer", { .tls = FAILED, .offered = true }, { .sni = NAME },
	    TLS_OMIT_SESSION },
	{ "alert at an offer, enforced", { .tls = FAILED, .offered = true, .alert = 40 },
	    { .sni = NAME, .strict = true }, TLS_OMIT_SESSION },
	{ "silent at an offer", { .tls = PROOF_TIMEOUT, .offered = true }, { .sni = NAME },
	    TLS_OMIT_SESSION },
	{ "silent without an offer", { .tls = PROOF_TIMEOUT }, { .sni = NAME }, 0 },
	{ "offered and accepted", { .tls = PROOF_ESTABLISHED, .offered = true }, { .sni = NAME },
	    0 },
	{ "no STARTTLS", { .tls = PROOF_NOT_OFFERED }, { .sni = NAME }, 0 },
	{ "our own trouble", { .tls = FAILED, .offered = true, .local_fault = true },
	    { .sni = NAME }, 0 },
	{ "the name is not known", { .tls = FAILED, .alert = 112 }, { .sni = NAME }, TLS_OMIT_SNI },
	{ "the name is not known, enforced", { .tls = FAILED, .alert = 112 },
	    { .sni = NAME, .strict = true }, 0 },
	{ "no name was sent", { .tls = FAILED, .alert = 112 }, { .sni = NULL }, 0 },
	{ "the name, or the offer", { .tls = FAILED, .alert = 112, .offered = true },
	    { .sni = NAME }, TLS_OMIT_SESSION | TLS_OMIT_SNI },
	{ "without the offer already", { .tls = FAILED, .alert = 112, .offered = true },
	    { .sni = NAME, .omit = TLS_OMIT_SESSION }, TLS_OMIT_SNI },
	{ "a group that is too large, enforced", { .tls = FAILED, .dh_too_large = true },
	    { .sni = NAME, .strict = true }, TLS_OMIT_DHE },
	{ "without such groups already", { .tls = FAILED, .dh_too_large = true },
	    { .sni = NAME, .omit = TLS_OMIT_DHE }, 0 },
	{ "without the name already", { .tls = FAILED, .alert = 112 },
	    { .sni = NAME, .omit = TLS_OMIT_SNI }, 0 },
};

static void
test_what_is_left_out(void **state)
{
	size_t i;
	unsigned omit;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		omit = tls_omit_after(&cases[i].proof, &cases[i].wish);
		if (omit != cases[i].omit)
			print_error("%s\n", cases[i].what);
		assert_int_equal(omit, cases[i].omit);
	}
}

static void
test_in_words(void **state)
{
	char text[TLS_OMIT_TEXT];

	(void)state;
	tls_omit_text(0, text);
	assert_string_equal(text, "");
	tls_omit_text(TLS_OMIT_SNI, text);
	assert_string_equal(text, "the server name (SNI)");
	tls_omit_text(TLS_OMIT_SESSION | TLS_OMIT_SNI | TLS_OMIT_DHE, text);
	assert_string_equal(text,
	    "the offered TLS session and the server name (SNI) and DHE cipher "
	    "suites");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_left_out),
		cmocka_unit_test(test_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
