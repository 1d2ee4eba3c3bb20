/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* The party at fault for each failure of a fetch; only the peer's faults mean no policy. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/x509_vfy.h>

#include "policy/facts/sts_fault.h"

static const struct {
	enum sts_fault fault;
	enum sts_blame blame;
} rows[] = {
	{ STS_FAULT_NONE, STS_BLAME_OURS },	/* no fault is no licence */
	{ STS_FAULT_TXT_UNANSWERED, STS_BLAME_WAY },
	{ STS_FAULT_TXT_BOGUS, STS_BLAME_FORGED },
	{ STS_FAULT_TXT_NOT_ASKED, STS_BLAME_OURS },
	{ STS_FAULT_HOST_ABSENT, STS_BLAME_PEER },
	{ STS_FAULT_HOST_UNANSWERED, STS_BLAME_WAY },
	{ STS_FAULT_HOST_BOGUS, STS_BLAME_FORGED },
	{ STS_FAULT_HOST_NOT_ASKED, STS_BLAME_OURS },
	{ STS_FAULT_UNREACHABLE, STS_BLAME_PEER },
	{ STS_FAULT_TIMEOUT, STS_BLAME_PEER },
	{ STS_FAULT_TLS, STS_BLAME_PEER },
	{ STS_FAULT_CERTIFICATE, STS_BLAME_PEER },
	{ STS_FAULT_TOO_LARGE, STS_BLAME_PEER },
	{ STS_FAULT_PRIVATE, STS_BLAME_PEER },
	{ STS_FAULT_GARBLED, STS_BLAME_PEER },
	{ STS_FAULT_STATUS, STS_BLAME_PEER },
	{ STS_FAULT_TYPE, STS_BLAME_PEER },
	{ STS_FAULT_INVALID, STS_BLAME_PEER },
	{ STS_FAULT_LOCAL, STS_BLAME_OURS },
	{ STS_FAULT_NO_THREAD, STS_BLAME_OURS },
	{ STS_FAULT_STOPPED, STS_BLAME_OURS },
	{ STS_FAULT_UNFINISHED, STS_BLAME_OURS },
};

static void
test_each_has_its_row(void **state)
{
	(void)state;
	assert_int_equal(sizeof(rows) / sizeof(rows[0]), STS_FAULTS);
	for (size_t i = 0; i < STS_FAULTS; i++) {
		assert_int_equal(rows[i].fault, i);
		assert_int_equal(sts_fault_blame(rows[i].fault), rows[i].blame);
		assert_non_null(sts_fault_token(rows[i].fault));
	}
}

static void
test_http(void **state)
{
	static const struct {
		enum http_outcome outcome;
		int x509_error;
		enum sts_fault fault;
	} cases[] = {
		{ HTTP_ANSWERED, 0, STS_FAULT_NONE },
		{ HTTP_UNREACHABLE, 0, STS_FAULT_UNREACHABLE },
		{ HTTP_TIMEOUT, 0, STS_FAULT_TIMEOUT },
		{ HTTP_TLS, 0, STS_FAULT_TLS },
		{ HTTP_TLS, X509_V_ERR_CERT_HAS_EXPIRED, STS_FAULT_CERTIFICATE },
		{ HTTP_TLS, X509_V_ERR_OUT_OF_MEM, STS_FAULT_LOCAL },
		{ HTTP_TOO_LARGE, 0, STS_FAULT_TOO_LARGE },
		{ HTTP_REFUSED_ADDRESS, 0, STS_FAULT_PRIVATE },
		{ HTTP_GARBLED, 0, STS_FAULT_GARBLED },
		{ HTTP_LOCAL, 0, STS_FAULT_LOCAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(sts_fault_of_http(cases[i].outcome, cases[i].x509_error),
		    cases[i].fault);
}

#define NOT_ASKED	\
	{ \
		.state = DNS_FAILED, .not_asked = true \
	}
#define SAID(what)	\
	{ \
		.state = (what) \
	}

/* A and AAAA, neither of which has a record. */
static void
test_addresses(void **state)
{
	static const struct {
		struct dns_answer a, aaaa;
		enum sts_fault fault;
	} cases[] = {
		{ SAID(DNS_SECURE), SAID(DNS_SECURE), STS_FAULT_HOST_ABSENT },
		{ SAID(DNS_INSECURE), SAID(DNS_INSECURE), STS_FAULT_HOST_ABSENT },
		{ SAID(DNS_SECURE), SAID(DNS_FAILED), STS_FAULT_HOST_UNANSWERED },
		{ SAID(DNS_FAILED), SAID(DNS_SECURE), STS_FAULT_HOST_UNANSWERED },
		{ SAID(DNS_FAILED), SAID(DNS_FAILED), STS_FAULT_HOST_UNANSWERED },
		{ SAID(DNS_SECURE), SAID(DNS_BOGUS), STS_FAULT_HOST_BOGUS },
		{ SAID(DNS_FAILED), SAID(DNS_BOGUS), STS_FAULT_HOST_BOGUS },
		{ NOT_ASKED, SAID(DNS_BOGUS), STS_FAULT_HOST_BOGUS },
		{ NOT_ASKED, SAID(DNS_SECURE), STS_FAULT_HOST_NOT_ASKED },
		{ NOT_ASKED, SAID(DNS_FAILED), STS_FAULT_HOST_NOT_ASKED },
		{ SAID(DNS_FAILED), NOT_ASKED, STS_FAULT_HOST_NOT_ASKED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dns_question questions[2] = { { .type = DNS_A, .answer = cases[i].a },
			{ .type = DNS_AAAA, .answer = cases[i].aaaa } };

		assert_int_equal(sts_fault_of_host(questions, 2), cases[i].fault);
	}
}

static void
test_txt(void **state)
{
	static const struct dns_answer answers[] = { SAID(DNS_SECURE), SAID(DNS_INSECURE),
		SAID(DNS_FAILED), NOT_ASKED, SAID(DNS_BOGUS) };
	static const enum sts_fault expected[] = { STS_FAULT_NONE, STS_FAULT_NONE,
		STS_FAULT_TXT_UNANSWERED, STS_FAULT_TXT_NOT_ASKED, STS_FAULT_TXT_BOGUS };

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		assert_int_equal(sts_fault_of_txt(&answers[i]), expected[i]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_has_its_row),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_txt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
