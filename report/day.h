/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * UTC days (RFC 8460 4.1), counted from 1970-01-01, and their text. Pure; any thread.
 */
#ifndef REPORT_DAY_H
#define REPORT_DAY_H

#include <stdint.h>

#define DAY_S	INT64_C(86400)
#define DAY_TEXT	sizeof("YYYY-MM-DD")

int64_t day_of(int64_t wall_s);
/* Days before 1970 and after 9999 become the nearest in between. */
void day_format(int64_t day, char text[DAY_TEXT]);
/* 0, or -1: anything but a day of the calendar as YYYY-MM-DD. */
int day_parse(const char *text, int64_t *day);

#endif
