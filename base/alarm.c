/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/alarm.h"
#include "base/arena.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/utc.h"

#define SINCE_ROOM	40

static const struct {
	const char *name;
	enum log_level level;
} kinds[] = {
	[ALARM_RAN_OUT] = { "ran-out", LOG_LEVEL_ERROR },
	[ALARM_FETCH_OUTAGE] = { "fetch-outage", LOG_LEVEL_ERROR },
	[ALARM_RESOLVER] = { "resolver", LOG_LEVEL_ERROR },
	[ALARM_STORE] = { "store", LOG_LEVEL_ERROR },
	[ALARM_CLOCK] = { "clock", LOG_LEVEL_ERROR },
};

struct standing {
	TAILQ_ENTRY(standing) age;
	enum alarm_kind kind;
	char *domain;
	char since[SINCE_ROOM];
	char *text;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(standing_list, standing) list = TAILQ_HEAD_INITIALIZER(list);
static void (*listener)(void *context, const char *name, const char *domain, const char *text);
static void *listener_context;
static atomic_size_t count;	/* read without the lock only to see that there is none */

/* With the lock held. */
static struct standing *
find(enum alarm_kind kind, const char *domain)
{
	struct standing *standing;

	TAILQ_FOREACH (standing, &list, age)
		if (standing->kind == kind && strcmp(standing->domain, domain) == 0)
			break;
	return standing;
}

/* With the lock held. */
static void
drop(struct standing *standing)
{
	TAILQ_REMOVE(&list, standing, age);
	count--;
	free(standing->domain);
	free(standing->text);
	free(standing);
}

/* With the lock held: of a domain, and no more serious than level. */
static bool
drop_oldest(enum log_level level)
{
	struct standing *standing;

	TAILQ_FOREACH (standing, &list, age)
		if (standing->domain[0] != '\0' && kinds[standing->kind].level >= level)
			break;
	if (standing == NULL)
		return false;
	drop(standing);
	return true;
}

/* With the lock held. */
static void
make_room(enum alarm_kind kind)
{
	if (count < LIMIT_ALARMS || drop_oldest(LOG_LEVEL_WARNING))
		return;
	(void)drop_oldest(kinds[kind].level);
}

/* With the lock held. */
static struct standing *
add(enum alarm_kind kind, const char *domain)
{
	struct standing *standing = xcalloc(1, sizeof(*standing));

	make_room(kind);
	standing->kind = kind;
	standing->domain = xstrdup(domain);
	utc_text(clock_wall_s(), standing->since);
	TAILQ_INSERT_TAIL(&list, standing, age);
	count++;
	return standing;
}

static void __attribute__((format(printf, 3, 0)))
say(struct standing *standing, const char *ended, const char *format, va_list args)
{
	struct buf text = { 0 };
	struct log_line line;

	buf_vprintf(&text, format, args);
	if (standing->text == NULL)
		standing->text = xstrdup(buf_text(&text));
	log_begin(&line, kinds[standing->kind].level, "alarm");
	log_text(&line, "alarm", kinds[standing->kind].name);
	log_text(&line, "domain", standing->domain);
	log_text(&line, "since", standing->since);
	log_text(&line, "ended", ended);
	log_text(&line, "msg", buf_text(&text));
	log_end(&line);
	if (listener != NULL && strcmp(ended, "no") == 0)
		listener(listener_context, kinds[standing->kind].name, standing->domain,
		    buf_text(&text));
	buf_free(&text);
}

/* The line is written under the lock, so that the end of an alarm never precedes its begin. */
bool
alarm_begin(enum alarm_kind kind, const char *domain, const char *format, ...)
{
	va_list args;
	bool begins;

	(void)pthread_mutex_lock(&lock);
	begins = find(kind, domain) == NULL;
	if (begins) {
		va_start(args, format);
		say(add(kind, domain), "no", format, args);
		va_end(args);
	}
	(void)pthread_mutex_unlock(&lock);
	return begins;
}

void
alarm_end(enum alarm_kind kind, const char *domain, const char *format, ...)
{
	struct standing *standing;
	va_list args;

	if (count == 0)
		return;
	(void)pthread_mutex_lock(&lock);
	standing = find(kind, domain);
	if (standing != NULL) {
		va_start(args, format);
		say(standing, "yes", format, args);
		va_end(args);
		drop(standing);
	}
	(void)pthread_mutex_unlock(&lock);
}

bool
alarm_stands(enum alarm_kind kind, const char *domain)
{
	bool stands;

	if (count == 0)
		return false;
	(void)pthread_mutex_lock(&lock);
	stands = find(kind, domain) != NULL;
	(void)pthread_mutex_unlock(&lock);
	return stands;
}

void
alarm_listen(void (*hear)(void *context, const char *name, const char *domain, const char *text),
    void *context)
{
	(void)pthread_mutex_lock(&lock);
	listener = hear;
	listener_context = context;
	(void)pthread_mutex_unlock(&lock);
}

void
alarm_list(void (*each)(void *context, const char *name, bool error, const char *domain,
	       const char *since, const char *text),
    void *context)
{
	const struct standing *standing;

	(void)pthread_mutex_lock(&lock);
	TAILQ_FOREACH (standing, &list, age)
		each(context, kinds[standing->kind].name,
		    kinds[standing->kind].level == LOG_LEVEL_ERROR, standing->domain,
		    standing->since, standing->text);
	(void)pthread_mutex_unlock(&lock);
}
