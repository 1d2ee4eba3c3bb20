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

#include "policy/finding.h"

static void
test_type_names(void **state)
{
	static const struct {
		enum result_type type;
		const char *name;
	} cases[] = {
		{ RESULT_OK, "ok" },
		{ RESULT_STARTTLS_NOT_SUPPORTED, "starttls-not-supported" },
		{ RESULT_CERTIFICATE_HOST_MISMATCH, "certificate-host-mismatch" },
		{ RESULT_CERTIFICATE_NOT_TRUSTED, "certificate-not-trusted" },
		{ RESULT_CERTIFICATE_EXPIRED, "certificate-expired" },
		{ RESULT_VALIDATION_FAILURE, "validation-failure" },
		{ RESULT_STS_POLICY_FETCH_ERROR, "sts-policy-fetch-error" },
		{ RESULT_STS_POLICY_INVALID, "sts-policy-invalid" },
		{ RESULT_STS_WEBPKI_INVALID, "sts-webpki-invalid" },
		{ RESULT_TLSA_INVALID, "tlsa-invalid" },
		{ RESULT_DNSSEC_INVALID, "dnssec-invalid" },
		{ RESULT_DANE_REQUIRED, "dane-required" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(result_type_name(cases[i].type), cases[i].name);
}

static void
test_finding_set(void **state)
{
	struct finding finding = { .type = RESULT_DANE_REQUIRED, .reason = "old" };
	char text[1000];

	(void)state;
	finding_set(&finding, RESULT_VALIDATION_FAILURE, "%s=%d", "code", 7);
	assert_int_equal(finding.type, RESULT_VALIDATION_FAILURE);
	assert_string_equal(finding.reason, "code=7");
	finding_set(&finding, RESULT_STS_POLICY_INVALID, "again %s", finding.reason);
	assert_string_equal(finding.reason, "again code=7");
	finding_set(&finding, RESULT_STS_POLICY_INVALID, "a\r\nb\xc3\xa9\x7f");
	assert_string_equal(finding.reason, "a??b???");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	finding_set(&finding, RESULT_OK, "%s", text);
	assert_int_equal(strlen(finding.reason), FINDING_REASON_MAX - 1);
}

/* D3, D4, D5 and facts/tlsrpt.md, section 3: the numbers are OpenSSL's, stable since 1.0. */
static void
test_types_of_x509_errors(void **state)
{
	static const int expired[] = { 10, 14 };
	static const int mismatch[] = { 62, 64 };
	static const int untrusted[] = { 2, 7, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
		31, 32, 34, 37, 47, 48, 66, 67, 68, 79, 94 };
	static const int ours[] = { 0, 17, 69, 70 };
	enum result_type wanted[200];
	size_t i;

	(void)state;
	for (i = 0; i < 200; i++)	/* not yet valid, CRLs, OCSP, DANE and all that comes new */
		wanted[i] = RESULT_VALIDATION_FAILURE;
	for (i = 0; i < sizeof(expired) / sizeof(expired[0]); i++)
		wanted[expired[i]] = RESULT_CERTIFICATE_EXPIRED;
	for (i = 0; i < sizeof(mismatch) / sizeof(mismatch[0]); i++)
		wanted[mismatch[i]] = RESULT_CERTIFICATE_HOST_MISMATCH;
	for (i = 0; i < sizeof(untrusted) / sizeof(untrusted[0]); i++)
		wanted[untrusted[i]] = RESULT_CERTIFICATE_NOT_TRUSTED;
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		wanted[ours[i]] = RESULT_OK;
	for (i = 0; i < 200; i++)
		if (result_type_from_x509((int)i) != wanted[i])
			fail_msg("%zu is %s", i, result_type_name(result_type_from_x509((int)i)));
	assert_int_equal(result_type_from_x509(-1), RESULT_VALIDATION_FAILURE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_type_names),
		cmocka_unit_test(test_finding_set),
		cmocka_unit_test(test_types_of_x509_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
