/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "base/http_request.h"

static const char *const outcome_names[] = {
	[HTTP_ANSWERED] = "answered",
	[HTTP_UNREACHABLE] = "unreachable",
	[HTTP_TIMEOUT] = "timeout",
	[HTTP_TLS] = "tls",
	[HTTP_TOO_LARGE] = "too-large",
	[HTTP_REFUSED_ADDRESS] = "refused-address",
	[HTTP_GARBLED] = "garbled",
	[HTTP_LOCAL] = "local",
};

const char *
http_outcome_name(enum http_outcome outcome)
{
	return outcome_names[outcome];
}
