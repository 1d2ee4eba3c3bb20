/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>

#include <openssl/x509_vfy.h>

#include "policy/finding.h"

static const char *const type_names[] = {
	/* RFC 8460 4.3 */
	[RESULT_OK] = "ok",
	[RESULT_STARTTLS_NOT_SUPPORTED] = "starttls-not-supported",
	[RESULT_CERTIFICATE_HOST_MISMATCH] = "certificate-host-mismatch",
	[RESULT_CERTIFICATE_NOT_TRUSTED] = "certificate-not-trusted",
	[RESULT_CERTIFICATE_EXPIRED] = "certificate-expired",
	[RESULT_VALIDATION_FAILURE] = "validation-failure",
	[RESULT_STS_POLICY_FETCH_ERROR] = "sts-policy-fetch-error",
	[RESULT_STS_POLICY_INVALID] = "sts-policy-invalid",
	[RESULT_STS_WEBPKI_INVALID] = "sts-webpki-invalid",
	[RESULT_TLSA_INVALID] = "tlsa-invalid",
	[RESULT_DNSSEC_INVALID] = "dnssec-invalid",
	[RESULT_DANE_REQUIRED] = "dane-required",
};

const char *
result_type_name(enum result_type type)
{
	return type_names[type];
}

/* The arguments may point into *finding. */
void
finding_set(struct finding *finding, enum result_type type, const char *format, ...)
{
	struct finding made = { .type = type };
	va_list args;
	char *c;

	va_start(args, format);
	vsnprintf(made.reason, sizeof(made.reason), format, args);
	va_end(args);
	for (c = made.reason; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
	*finding = made;
}

enum result_type
result_type_from_x509(int x509_error)
{
	switch (x509_error) {
	case X509_V_OK:
	/* Our own memory or trust store, which no report may blame on the peer. */
	case X509_V_ERR_OUT_OF_MEM:
	case X509_V_ERR_STORE_LOOKUP:
	case X509_V_ERR_INVALID_CALL:
		return RESULT_OK;
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
		return RESULT_CERTIFICATE_EXPIRED;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		return RESULT_CERTIFICATE_HOST_MISMATCH;
	/* An unknown authority (RFC 8460 4.3.2.2). */
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	/* A chain that does not hold together. */
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_NO_ISSUER_PUBLIC_KEY:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
	case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
	case X509_V_ERR_AKID_SKID_MISMATCH:
	case X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
	case X509_V_ERR_INVALID_PURPOSE:
	/* A certificate that may not stand where it stands, or is too weak for it. */
	case X509_V_ERR_CERT_REVOKED:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
	case X509_V_ERR_INVALID_NON_CA:
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
		return RESULT_CERTIFICATE_NOT_TRUSTED;
	}
	return RESULT_VALIDATION_FAILURE;
}
