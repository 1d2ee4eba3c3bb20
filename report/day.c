/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report/day.h"

#define DAY_LAST	INT64_C(2932896)	/* 9999-12-31 */

int64_t
day_of(int64_t wall_s)
{
	return wall_s < 0 ? 0 : wall_s / DAY_S;
}

void
day_format(int64_t day, char text[DAY_TEXT])
{
	time_t at;
	struct tm utc;

	if (day < 0)
		day = 0;
	if (day > DAY_LAST)
		day = DAY_LAST;
	at = (time_t)(day * DAY_S);
	(void)gmtime_r(&at, &utc);
	(void)strftime(text, DAY_TEXT, "%Y-%m-%d", &utc);
}

int
day_parse(const char *text, int64_t *day)
{
	char again[DAY_TEXT];
	struct tm utc = { 0 };
	const char *end = strptime(text, "%Y-%m-%d", &utc);

	if (end == NULL || *end != '\0' || strlen(text) != DAY_TEXT - 1)
		return -1;
	*day = (int64_t)timegm(&utc) / DAY_S;
	/* February 30th comes back as another day. */
	day_format(*day, again);
	return strcmp(text, again) == 0 ? 0 : -1;
}
