/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/arena.h"
#include "base/limits.h"
#include "policy/facts/sts_backoff.h"

#define BUCKETS	4096

struct note {
	LIST_ENTRY(note) bucket;
	TAILQ_ENTRY(note) age;
	char *domain;
	unsigned failures;	/* in a row; 0: the next five mean nothing */
	char failed_id[LIMIT_STS_ID + 1];
	int64_t failed_ms;
	enum sts_fault fault;
	struct finding finding;
	char why[200];
	char *served;	/* NULL: nothing */
	bool done[NOTE_KINDS];
	int64_t done_ms[NOTE_KINDS];
};

struct sts_notes {
	pthread_mutex_t lock;
	LIST_HEAD(note_bucket, note) buckets[BUCKETS];
	TAILQ_HEAD(note_ages, note) ages;	/* used longest ago first */
	size_t count, max;
};

struct sts_notes *
sts_notes_new(size_t max)
{
	struct sts_notes *notes = xcalloc(1, sizeof(*notes));

	pthread_mutex_init(&notes->lock, NULL);
	TAILQ_INIT(&notes->ages);
	notes->max = max;
	return notes;
}

static void
drop(struct sts_notes *notes, struct note *note)
{
	LIST_REMOVE(note, bucket);
	TAILQ_REMOVE(&notes->ages, note, age);
	notes->count--;
	free(note->domain);
	free(note->served);
	free(note);
}

void
sts_notes_free(struct sts_notes *notes)
{
	struct note *note;

	if (notes == NULL)
		return;
	while ((note = TAILQ_FIRST(&notes->ages)) != NULL)
		drop(notes, note);
	pthread_mutex_destroy(&notes->lock);
	free(notes);
}

static struct note_bucket *
bucket_of(struct sts_notes *notes, const char *domain)
{
	unsigned hash = 5381;

	while (*domain != '\0')
		hash = hash * 33 + (unsigned char)*domain++;
	return &notes->buckets[hash % BUCKETS];
}

static struct note *
find(struct sts_notes *notes, const char *domain)
{
	struct note *note;

	LIST_FOREACH (note, bucket_of(notes, domain), bucket)
		if (strcmp(note->domain, domain) == 0)
			break;
	return note;
}

static struct note *
find_or_make(struct sts_notes *notes, const char *domain)
{
	struct note *note = find(notes, domain);

	if (note != NULL) {
		TAILQ_REMOVE(&notes->ages, note, age);
	} else {
		if (notes->count >= notes->max)
			drop(notes, TAILQ_FIRST(&notes->ages));
		note = xcalloc(1, sizeof(*note));
		note->domain = xstrdup(domain);
		LIST_INSERT_HEAD(bucket_of(notes, domain), note, bucket);
		notes->count++;
	}
	TAILQ_INSERT_TAIL(&notes->ages, note, age);
	return note;
}

bool
sts_notes_backs_off(struct sts_notes *notes, const char *domain, const char *id, int64_t now_ms,
    int64_t interval_ms, struct note_failure *failure)
{
	const struct note *note;
	bool backs_off;

	pthread_mutex_lock(&notes->lock);
	note = find(notes, domain);
	/* RFC 8461 3.3: no sooner than the interval, but a new id is a new policy. */
	backs_off = note != NULL && note->failures > 0 && strcmp(note->failed_id, id) == 0 &&
	    now_ms - note->failed_ms < interval_ms;
	if (backs_off) {
		failure->fault = note->fault;
		failure->finding = note->finding;
		snprintf(failure->why, sizeof(failure->why), "%s", note->why);
		snprintf(failure->served, sizeof(failure->served), "%s",
		    note->served != NULL ? note->served : "");
	}
	pthread_mutex_unlock(&notes->lock);
	return backs_off;
}

unsigned
sts_notes_failed(struct sts_notes *notes, const char *domain, const char *id, int64_t now_ms,
    const struct note_failure *failure)
{
	struct note *note;
	unsigned failures;

	pthread_mutex_lock(&notes->lock);
	note = find_or_make(notes, domain);
	snprintf(note->failed_id, sizeof(note->failed_id), "%s", id);
	note->failed_ms = now_ms;
	note->fault = failure->fault;
	note->finding = failure->finding;
	snprintf(note->why, sizeof(note->why), "%s", failure->why);
	free(note->served);
	note->served = failure->served[0] != '\0' ? xstrdup(failure->served) : NULL;
	failures = ++note->failures;
	pthread_mutex_unlock(&notes->lock);
	return failures;
}

void
sts_notes_succeeded(struct sts_notes *notes, const char *domain)
{
	struct note *note;

	pthread_mutex_lock(&notes->lock);
	note = find(notes, domain);
	if (note != NULL)
		note->failures = 0;
	pthread_mutex_unlock(&notes->lock);
}

bool
sts_notes_once(struct sts_notes *notes, const char *domain, enum note_kind kind, int64_t now_ms,
    int64_t interval_ms)
{
	struct note *note;
	bool due;

	pthread_mutex_lock(&notes->lock);
	note = find_or_make(notes, domain);
	due = !note->done[kind] || now_ms - note->done_ms[kind] >= interval_ms;
	if (due) {
		note->done[kind] = true;
		note->done_ms[kind] = now_ms;
	}
	pthread_mutex_unlock(&notes->lock);
	return due;
}

void
sts_notes_forget(struct sts_notes *notes, const char *domain)
{
	struct note *note;

	pthread_mutex_lock(&notes->lock);
	note = find(notes, domain);
	if (note != NULL)
		drop(notes, note);
	pthread_mutex_unlock(&notes->lock);
}
