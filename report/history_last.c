/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/deadline.h"
#include "base/hash.h"
#include "report/history_inside.h"

#define SETS	512
#define WAYS	8	/* slots of a set; the hash chooses the set */
#define SLOTS	(SETS * WAYS)
#define TRIALS	1024
#define TRIAL_TIME_MS	(3600 * 1000)

/* A new domain takes the place of the one in its set that was noted longest ago. */
struct history_lasts {
	pthread_mutex_t lock;
	uint64_t seed;
	uint64_t notes;	/* so far */
	struct slot {
		char *domain;	/* NULL: unused */
		uint64_t noted;	/* the number of its last note */
		char *host;
		enum history_end end;
		int64_t sent_since_s, verified_s;
	} slots[SLOTS];
	struct trial {
		uint64_t of;	/* hash of domain and host */
		struct deadline until;
		bool passes;
	} trials[TRIALS];
};

struct history_lasts *
history_lasts_new(void)
{
	struct history_lasts *lasts = xcalloc(1, sizeof(*lasts));

	(void)pthread_mutex_init(&lasts->lock, NULL);
	arc4random_buf(&lasts->seed, sizeof(lasts->seed));
	return lasts;
}

void
history_lasts_free(struct history_lasts *lasts)
{
	for (size_t i = 0; i < SLOTS; i++) {
		free(lasts->slots[i].domain);
		free(lasts->slots[i].host);
	}
	(void)pthread_mutex_destroy(&lasts->lock);
	free(lasts);
}

/* The domain's slot or, without one, the slot of its set to use for it. */
static struct slot *
slot_of(struct history_lasts *lasts, const char *domain)
{
	uint64_t hash = hash_add(HASH_START ^ lasts->seed, domain, strlen(domain));
	struct slot *set = &lasts->slots[(hash ^ hash >> 32) % SETS * WAYS], *oldest = set;

	for (size_t i = 0; i < WAYS; i++) {
		if (set[i].domain != NULL && strcmp(set[i].domain, domain) == 0)
			return &set[i];
		if (set[i].noted < oldest->noted)
			oldest = &set[i];
	}
	return oldest;
}

/* With the lock held. */
static void
set_text(char **at, const char *text)
{
	if (*at != NULL && strcmp(*at, text) == 0)
		return;
	free(*at);
	*at = xstrdup(text);
}

/* With the lock held. */
static struct slot *
claim(struct history_lasts *lasts, const char *domain)
{
	struct slot *slot = slot_of(lasts, domain);

	if (slot->domain != NULL && strcmp(slot->domain, domain) == 0)
		return slot;
	set_text(&slot->domain, domain);
	set_text(&slot->host, "");
	slot->end = HISTORY_END_NONE;
	slot->sent_since_s = slot->verified_s = 0;
	return slot;
}

void
history_note_end(struct history *history, const char *domain, enum history_end end,
    const char *verified_by, int64_t at_s)
{
	struct history_lasts *lasts;
	struct slot *slot;

	if (history == NULL)
		return;
	lasts = history_lasts(history);
	(void)pthread_mutex_lock(&lasts->lock);
	slot = claim(lasts, domain);
	slot->noted = ++lasts->notes;
	if (end == HISTORY_END_SENT && slot->end != HISTORY_END_SENT)
		slot->sent_since_s = at_s;
	slot->end = end;
	if (verified_by != NULL) {
		slot->verified_s = at_s;
		set_text(&slot->host, verified_by);
	}
	(void)pthread_mutex_unlock(&lasts->lock);
}

bool
history_last(struct history *history, const char *domain, struct history_last *last)
{
	struct history_lasts *lasts;
	const struct slot *slot;
	bool known;

	*last = (struct history_last){ .end = HISTORY_END_NONE };
	if (history == NULL)
		return false;
	lasts = history_lasts(history);
	(void)pthread_mutex_lock(&lasts->lock);
	slot = slot_of(lasts, domain);
	known = slot->domain != NULL && strcmp(slot->domain, domain) == 0;
	if (known) {
		last->sent_since_s = slot->sent_since_s;
		last->end = slot->end;
		last->verified_s = slot->verified_s;
		(void)snprintf(last->host, sizeof(last->host), "%s", slot->host);
	}
	(void)pthread_mutex_unlock(&lasts->lock);
	return known;
}

static uint64_t
trial_hash(const struct history_lasts *lasts, const char *domain, const char *host)
{
	uint64_t hash = hash_add(HASH_START ^ lasts->seed, domain, strlen(domain) + 1);

	return hash_add(hash, host, strlen(host));
}

bool
history_trial(struct history *history, const char *domain, const char *host, bool *passes)
{
	struct history_lasts *lasts = history_lasts(history);
	uint64_t hash = trial_hash(lasts, domain, host);
	const struct trial *trial = &lasts->trials[hash % TRIALS];
	bool known;

	(void)pthread_mutex_lock(&lasts->lock);
	known = trial->of == hash && !deadline_passed(trial->until);
	*passes = known && trial->passes;
	(void)pthread_mutex_unlock(&lasts->lock);
	return known;
}

void
history_note_trial(struct history *history, const char *domain, const char *host, bool passes)
{
	struct history_lasts *lasts = history_lasts(history);
	uint64_t hash = trial_hash(lasts, domain, host);

	(void)pthread_mutex_lock(&lasts->lock);
	lasts->trials[hash % TRIALS] = (struct trial){ hash, deadline_in(TRIAL_TIME_MS), passes };
	(void)pthread_mutex_unlock(&lasts->lock);
}
