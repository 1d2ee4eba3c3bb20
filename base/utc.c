/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <time.h>

#include "base/number.h"
#include "base/utc.h"

#define SPAN_MAX	UINT64_C(315360000)	/* ten years of seconds */
#define LATEST	253402300799	/* 9999-12-31T23:59:59Z: RFC 3339 has four digits for the year */

void
utc_text(int64_t wall_s, char text[UTC_TEXT_MAX])
{
	time_t when = (time_t)(wall_s < 0 ? 0 : wall_s > LATEST ? LATEST : wall_s);
	struct tm utc;

	if (gmtime_r(&when, &utc) == NULL ||
	    strftime(text, UTC_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		text[0] = '\0';
}

int
utc_read(const char *text, int64_t *wall_s)
{
	struct tm utc = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc);
	char again[UTC_TEXT_MAX];

	if (end == NULL || *end != '\0')
		return -1;
	*wall_s = timegm(&utc);
	/* February 30th comes back as another day. */
	utc_text(*wall_s, again);
	return *wall_s >= 0 && strcmp(text, again) == 0 ? 0 : -1;
}

int
utc_read_since(const char *text, int64_t now_s, int64_t *wall_s)
{
	static const char units[] = "smhd";
	static const int64_t seconds[] = { 1, 60, 3600, 86400 };
	const char *at = text, *unit;
	uint64_t number;

	if (utc_read(text, wall_s) == 0)
		return 0;
	if (!number_take(&at, SPAN_MAX, &number) || *at == '\0' || at[1] != '\0')
		return -1;
	unit = strchr(units, *at);
	if (unit == NULL || number > SPAN_MAX / (uint64_t)seconds[unit - units])
		return -1;
	*wall_s = now_s - (int64_t)number * seconds[unit - units];
	return 0;
}
