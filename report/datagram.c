/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "report/datagram.h"
#include "report/datagram_code.h"

static const int codes[] = {
	[RESULT_OK] = 0,
	[RESULT_STARTTLS_NOT_SUPPORTED] = 201,
	[RESULT_CERTIFICATE_HOST_MISMATCH] = 202,
	[RESULT_CERTIFICATE_NOT_TRUSTED] = 203,
	[RESULT_CERTIFICATE_EXPIRED] = 204,
	[RESULT_VALIDATION_FAILURE] = 205,
	[RESULT_STS_POLICY_FETCH_ERROR] = 301,
	[RESULT_STS_POLICY_INVALID] = 302,
	[RESULT_STS_WEBPKI_INVALID] = 303,
	[RESULT_TLSA_INVALID] = 304,
	[RESULT_DNSSEC_INVALID] = 305,
	[RESULT_DANE_REQUIRED] = 306,
};

enum result_type
datagram_code_type(long long code)
{
	size_t i;

	for (i = RESULT_OK + 1; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i] == code)
			return (enum result_type)i;
	return RESULT_OK;
}

static void
add_char(struct buf *text, char c)
{
	static const char plain[] = "\b\f\n\r\t\\\"", escaped[] = "bfnrt\\\"";
	const char *found = strchr(plain, c);

	if (found != NULL)
		buf_printf(text, "\\%c", escaped[found - plain]);
	else if ((unsigned char)c < 0x20 || c == 0x7f)
		buf_printf(text, "\\u%04x", (unsigned)(unsigned char)c);
	else
		buf_add_char(text, c);
}

static void
add_string(struct buf *text, const char *value)
{
	buf_add_char(text, '"');
	while (*value != '\0')
		add_char(text, *value++);
	buf_add_char(text, '"');
}

static void
add_strings(struct buf *text, const char *key, const char *const *values, size_t count)
{
	size_t i;

	if (count == 0)
		return;
	buf_printf(text, ",\"%s\":[", key);
	for (i = 0; i < count; i++) {
		if (i > 0)
			buf_add_char(text, ',');
		add_string(text, values[i]);
	}
	buf_add_char(text, ']');
}

static void
add_detail(struct buf *text, const char *key, const char *value)
{
	if (value[0] == '\0')
		return;
	buf_printf(text, ",\"%s\": ", key);
	add_string(text, value);
}

static void
add_failure(struct buf *text, const struct outcome_failure *failure)
{
	buf_printf(text, "{\"c\":%d", codes[failure->type]);
	add_detail(text, "s", failure->sending_ip);
	add_detail(text, "n", failure->mx);
	add_detail(text, "h", failure->helo);
	add_detail(text, "r", failure->receiving_ip);
	add_detail(text, "a", failure->information);
	add_detail(text, "f", failure->reason);
	buf_add_char(text, '}');
}

static void
add_policy(struct buf *text, const struct outcome *outcome)
{
	const struct outcome_policy *policy = &outcome->policy;
	size_t i;

	buf_printf(text, "{\"policy-type\":%d,\"policy-domain\": ", (int)policy->type);
	add_string(text, policy->domain);
	add_strings(text, "policy-string", policy->strings, policy->string_count);
	add_strings(text, "mx-host", policy->mx, policy->mx_count);
	for (i = 0; i < outcome->failure_count; i++) {
		buf_add_text(text, i == 0 ? ",\"failure-details\":[" : ",");
		add_failure(text, &outcome->failures[i]);
	}
	buf_printf(text, "%s,\"t\":%zu,\"f\":%d}", outcome->failure_count > 0 ? "]" : "",
	    outcome->failure_count, outcome->failed ? 1 : 0);
}

void
datagram_write(struct buf *text, const struct session_outcome *session)
{
	size_t i;

	buf_add_text(text, "{\"dpv\": \"1\",\"d\": ");
	add_string(text, session->domain);
	buf_add_text(text, ",\"pr\": ");
	add_string(text, session->record);
	buf_add_text(text, ",\"policies\":[");
	for (i = 0; i < session->count; i++) {
		if (i > 0)
			buf_add_char(text, ',');
		add_policy(text, &session->outcomes[i]);
	}
	buf_add_text(text, "]}");
}
