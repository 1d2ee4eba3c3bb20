/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What is wrong that an administrator should look into, until it is right again? One log line when
 * an alarm begins and one when it ends:
 *
 *	event=alarm level=error alarm=store domain="" since=2026-01-31T12:00:00Z ended=no msg=...
 *
 * Beside the log, and as global: any layer and any thread may begin and end one, with the same
 * kind and domain. At most LIMIT_ALARMS stand; beyond, the one of a domain that began longest ago,
 * a warning before an error, is forgotten without a line.
 */
#ifndef BASE_ALARM_H
#define BASE_ALARM_H

#include <stdbool.h>

/* one row in the table of alarm.c each */
enum alarm_kind { ALARM_RAN_OUT, ALARM_FETCH_OUTAGE, ALARM_RESOLVER, ALARM_STORE, ALARM_CLOCK };

/* domain: "" for what concerns no domain alone. Nothing happens when it stands already, or does not
 * stand: then begin returns false. The text says what is wrong and what to do, or what ended it. */
bool alarm_begin(enum alarm_kind kind, const char *domain, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void alarm_end(enum alarm_kind kind, const char *domain, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool alarm_stands(enum alarm_kind kind, const char *domain);

#endif
