/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What went wrong, in the words of RFC 8460 4.3: the currency of the log's result= and of reports.
 * Pure; any thread.
 */
#ifndef POLICY_FINDING_H
#define POLICY_FINDING_H

#define FINDING_REASON_MAX	128

enum result_type {
	RESULT_OK,
	RESULT_STARTTLS_NOT_SUPPORTED,
	RESULT_CERTIFICATE_HOST_MISMATCH,
	RESULT_CERTIFICATE_NOT_TRUSTED,
	RESULT_CERTIFICATE_EXPIRED,
	RESULT_VALIDATION_FAILURE,
	RESULT_STS_POLICY_FETCH_ERROR,
	RESULT_STS_POLICY_INVALID,
	RESULT_STS_WEBPKI_INVALID,
	RESULT_TLSA_INVALID,
	RESULT_DNSSEC_INVALID,
	RESULT_DANE_REQUIRED
};

struct finding {
	enum result_type type;
	char reason[FINDING_REASON_MAX];	/* failure-reason-code: a token or short words,
						   ASCII; "" when the type says all */
};

const char *result_type_name(enum result_type type);	/* "ok", "starttls-not-supported", ... */
void finding_set(struct finding *finding, enum result_type type, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The type that an X509_V_ERR_ number of the certificate nearest the leaf stands for. RESULT_OK for
 * X509_V_OK and for a fault of our own (memory, trust store), which is not the peer's. */
enum result_type result_type_from_x509(int x509_error);

#endif
