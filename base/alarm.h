/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which conditions need an administrator's attention, until they end? One log line when an alarm
 * begins and one when it ends:
 *
 *	event=alarm level=error alarm=store domain="" since=2026-01-31T12:00:00Z ended=no msg=...
 *
 * Global, like the log: any layer and any thread may begin and end one, with the same kind and
 * domain. At most LIMIT_ALARMS are active; beyond, the one of a domain that began longest ago, a
 * warning before an error, is forgotten without a line.
 */
#ifndef BASE_ALARM_H
#define BASE_ALARM_H

#include <stdbool.h>

/* one row in the table of alarm.c each */
enum alarm_kind { ALARM_RAN_OUT, ALARM_FETCH_OUTAGE, ALARM_RESOLVER, ALARM_STORE, ALARM_CLOCK };

/* domain: "" for an alarm that does not concern a single domain. Nothing happens when it is already
 * active, or not active: then begin returns false. The text describes the fault and the remedy, or
 * the end. */
bool alarm_begin(enum alarm_kind kind, const char *domain, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void alarm_end(enum alarm_kind kind, const char *domain, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool alarm_stands(enum alarm_kind kind, const char *domain);

/* Calls each() for every active alarm, the oldest first, under their lock: it begins and ends
 * none. */
void alarm_list(void (*each)(void *context, const char *name, bool error, const char *domain,
		    const char *since, const char *text),
    void *context);

/* Hears of each alarm that begins, under the lock of the alarms: it begins and ends none. Before
 * other threads run, or NULL after they have ended. */
void alarm_listen(void (*hear)(void *context, const char *name, const char *domain,
		      const char *text),
    void *context);

#endif
