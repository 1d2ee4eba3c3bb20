/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <strings.h>
#include <string.h>

#include "policy/sts.h"
#include "policy/sts_char.h"

#define RECORD_START	"v=STSv1"
#define VERSION_NAME	"STSv1"

static bool
begins_with(const char *at, const char *end, const char *text)
{
	return (size_t)(end - at) >= strlen(text) && strncasecmp(at, text, strlen(text)) == 0;
}

static bool
contains(const char *at, const char *end, const char *text)
{
	for (; at < end; at++)
		if (begins_with(at, end, text))
			return true;
	return false;
}

/* A domain may publish other texts that name MTA-STS, so only the beginning counts. */
static const char *
fault_at_start(const char *at, const char *end)
{
	if (sts_is_wsp(*at))
		return "the record begins with a space: it must begin with v=STSv1";
	if (*at == '"' || *at == '\'')
		return "the record contains its quotation marks: publish it without them";
	if (begins_with(at, end, RECORD_START))
		return memcmp(at, RECORD_START, strlen(RECORD_START)) == 0
		    ? "the version must be v=STSv1, followed by a semicolon"
		    : "upper and lower case count in v=STSv1";
	if (*at == 'v' || *at == 'V')
		return "the record must begin with v=STSv1, without spaces";
	if (begins_with(at, end, "id") || begins_with(at, end, VERSION_NAME))
		return "v=STSv1 must come first";
	return NULL;
}

const char *
sts_txt_near_miss(const struct sts_text *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *at = records[i].octets, *end = at + records[i].length;
		const char *fault;

		if (!contains(at, end, VERSION_NAME))
			continue;
		fault = fault_at_start(at, end);
		if (fault != NULL)
			return fault;
	}
	return NULL;
}
