/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/finding.h"
#include "policy/facts/sts_fault.h"

static const struct {
	enum sts_blame blame;
	const char *token;
} faults[STS_FAULTS] = {
	[STS_FAULT_NONE] = { STS_BLAME_OURS, "" },

	[STS_FAULT_TXT_UNANSWERED] = { STS_BLAME_WAY, "" },
	[STS_FAULT_TXT_BOGUS] = { STS_BLAME_FORGED, "" },
	[STS_FAULT_TXT_NOT_ASKED] = { STS_BLAME_OURS, "" },

	[STS_FAULT_HOST_ABSENT] = { STS_BLAME_PEER, "policy-host-not-found" },
	[STS_FAULT_HOST_UNANSWERED] = { STS_BLAME_WAY, "policy-host-dns-failed" },
	[STS_FAULT_HOST_BOGUS] = { STS_BLAME_FORGED, "policy-host-dnssec-bogus" },
	[STS_FAULT_HOST_NOT_ASKED] = { STS_BLAME_OURS, "local-dns" },

	[STS_FAULT_UNREACHABLE] = { STS_BLAME_PEER, "policy-host-unreachable" },
	[STS_FAULT_TIMEOUT] = { STS_BLAME_PEER, "policy-fetch-timeout" },
	[STS_FAULT_TLS] = { STS_BLAME_PEER, "tls-handshake-failed" },
	[STS_FAULT_CERTIFICATE] = { STS_BLAME_PEER, "" },
	[STS_FAULT_TOO_LARGE] = { STS_BLAME_PEER, "policy-too-large" },
	[STS_FAULT_PRIVATE] = { STS_BLAME_PEER, "private-address" },
	[STS_FAULT_GARBLED] = { STS_BLAME_PEER, "http-garbled" },
	[STS_FAULT_STATUS] = { STS_BLAME_PEER, "" },
	[STS_FAULT_TYPE] = { STS_BLAME_PEER, "wrong-content-type" },
	[STS_FAULT_INVALID] = { STS_BLAME_PEER, "" },
	[STS_FAULT_LOCAL] = { STS_BLAME_OURS, "local" },

	[STS_FAULT_NO_THREAD] = { STS_BLAME_OURS, "local-thread" },
	[STS_FAULT_STOPPED] = { STS_BLAME_OURS, "local-stop" },
	[STS_FAULT_UNFINISHED] = { STS_BLAME_OURS, "local-unfinished" },
};

enum sts_blame
sts_fault_blame(enum sts_fault fault)
{
	return faults[fault].blame;
}

const char *
sts_fault_token(enum sts_fault fault)
{
	return faults[fault].token;
}

enum sts_fault
sts_fault_of_http(enum http_outcome outcome, int x509_error)
{
	switch (outcome) {
	case HTTP_ANSWERED:
		return STS_FAULT_NONE;
	case HTTP_UNREACHABLE:
		return STS_FAULT_UNREACHABLE;
	case HTTP_TIMEOUT:
		return STS_FAULT_TIMEOUT;
	case HTTP_TLS:
		if (x509_error == 0)
			return STS_FAULT_TLS;
		/* Memory or the trust store, which are no fault of the certificate. */
		return result_type_from_x509(x509_error) == RESULT_OK ? STS_FAULT_LOCAL
								      : STS_FAULT_CERTIFICATE;
	case HTTP_TOO_LARGE:
		return STS_FAULT_TOO_LARGE;
	case HTTP_REFUSED_ADDRESS:
		return STS_FAULT_PRIVATE;
	case HTTP_GARBLED:
		return STS_FAULT_GARBLED;
	case HTTP_LOCAL:
		break;
	}
	return STS_FAULT_LOCAL;
}

/* The worst first: an answer for one family does not prove what a forged one hides of the other. */
enum sts_fault
sts_fault_of_host(const struct dns_question *questions, size_t count)
{
	enum sts_fault fault = STS_FAULT_HOST_ABSENT;

	for (size_t i = 0; i < count; i++) {
		const struct dns_answer *answer = &questions[i].answer;

		if (answer->state == DNS_BOGUS)
			return STS_FAULT_HOST_BOGUS;
		if (answer->state == DNS_FAILED && answer->not_asked)
			fault = STS_FAULT_HOST_NOT_ASKED;
		else if (answer->state == DNS_FAILED && fault == STS_FAULT_HOST_ABSENT)
			fault = STS_FAULT_HOST_UNANSWERED;
	}
	return fault;
}

enum sts_fault
sts_fault_of_txt(const struct dns_answer *answer)
{
	switch (answer->state) {
	case DNS_BOGUS:
		return STS_FAULT_TXT_BOGUS;
	case DNS_FAILED:
		return answer->not_asked ? STS_FAULT_TXT_NOT_ASKED : STS_FAULT_TXT_UNANSWERED;
	case DNS_SECURE:
	case DNS_INSECURE:
		break;
	}
	return STS_FAULT_NONE;
}
