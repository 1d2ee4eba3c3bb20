/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/limits.h"
#include "policy/dns/resolver_answers.h"

/* One answer in one piece: its records and their octets follow it. */
struct kept {
	char name[DOMAIN_MAX];
	enum dns_type type;
	struct dns_answer answer;	/* records point behind this struct */
	int64_t until_ms;	/* monotonic */
};

/* A name has one place. A later name replaces an earlier one, so that a flood of names does not
 * make it grow. */
struct resolver_answers {
	pthread_mutex_t lock;
	uint64_t seed;
	struct kept *places[LIMIT_DNS_ANSWERS];
};

struct resolver_answers *
resolver_answers_new(void)
{
	struct resolver_answers *answers = xcalloc(1, sizeof(*answers));

	(void)pthread_mutex_init(&answers->lock, NULL);
	arc4random_buf(&answers->seed, sizeof(answers->seed));
	return answers;
}

void
resolver_answers_free(struct resolver_answers *answers)
{
	size_t i;

	if (answers == NULL)
		return;
	for (i = 0; i < LIMIT_DNS_ANSWERS; i++)
		free(answers->places[i]);
	(void)pthread_mutex_destroy(&answers->lock);
	free(answers);
}

/* Case and a trailing dot make no other name. false: too long for one. */
static bool
plain_name(const char *name, char plain[DOMAIN_MAX])
{
	size_t i, length = strlen(name);

	if (length > 1 && name[length - 1] == '.')
		length--;
	if (length >= DOMAIN_MAX)
		return false;
	for (i = 0; i < length; i++)
		plain[i] = (char)tolower((unsigned char)name[i]);
	plain[length] = '\0';
	return true;
}

static struct kept **
place_of(struct resolver_answers *answers, const char *plain, enum dns_type type)
{
	uint64_t hash = hash_add(answers->seed ^ (uint64_t)type, plain, strlen(plain));

	return &answers->places[(hash ^ hash >> 32) % LIMIT_DNS_ANSWERS];
}

static size_t
octets_of(const struct dns_answer *answer)
{
	size_t i, octets = answer->count * sizeof(answer->records[0]);

	for (i = 0; i < answer->count; i++)
		octets += answer->records[i].length;
	return octets;
}

/* The records and their octets from one answer into room of octets_of() it. */
static void
copy_records(struct dns_answer *to, const struct dns_answer *from, void *room)
{
	uint8_t *octets;
	size_t i;

	to->records = room;
	octets = (uint8_t *)room + from->count * sizeof(from->records[0]);
	for (i = 0; i < from->count; i++) {
		to->records[i] = (struct dns_record){ octets, from->records[i].length };
		memcpy(octets, from->records[i].data, from->records[i].length);
		octets += from->records[i].length;
	}
}

/* With the lock held. NULL: there is none that may still be repeated. */
static const struct kept *
look_up(struct resolver_answers *answers, const char *plain, enum dns_type type, int64_t now_ms)
{
	const struct kept *kept = *place_of(answers, plain, type);

	if (kept == NULL || kept->type != type || kept->until_ms <= now_ms ||
	    strcmp(kept->name, plain) != 0)
		return NULL;
	return kept;
}

bool
resolver_answers_have(struct resolver_answers *answers, const char *name, enum dns_type type,
    int64_t now_ms)
{
	char plain[DOMAIN_MAX];
	bool have;

	if (!plain_name(name, plain))
		return false;
	(void)pthread_mutex_lock(&answers->lock);
	have = look_up(answers, plain, type, now_ms) != NULL;
	(void)pthread_mutex_unlock(&answers->lock);
	return have;
}

bool
resolver_answers_find(struct resolver_answers *answers, struct arena *arena,
    struct dns_question *question, int64_t now_ms)
{
	char plain[DOMAIN_MAX];
	const struct kept *kept;
	bool found = false;

	if (!plain_name(question->name, plain))
		return false;
	(void)pthread_mutex_lock(&answers->lock);
	kept = look_up(answers, plain, question->type, now_ms);
	if (kept != NULL) {
		question->answer = kept->answer;
		copy_records(&question->answer, &kept->answer,
		    arena_alloc(arena, octets_of(&kept->answer) + 1));
		question->answer.ttl = (uint32_t)((kept->until_ms - now_ms + 999) / 1000);
		found = true;
	}
	(void)pthread_mutex_unlock(&answers->lock);
	return found;
}

static bool
may_be_kept(const struct dns_answer *answer)
{
	return (answer->state == DNS_SECURE || answer->state == DNS_INSECURE) && answer->ttl > 0 &&
	    octets_of(answer) <= LIMIT_DNS_ANSWER_KEPT;
}

static struct kept *
kept_new(const char *plain, const struct dns_question *question, uint32_t most_s, int64_t now_ms)
{
	const struct dns_answer *answer = &question->answer;
	struct kept *kept = xmalloc(sizeof(*kept) + octets_of(answer));

	strcpy(kept->name, plain);
	kept->type = question->type;
	kept->answer = *answer;
	copy_records(&kept->answer, answer, kept + 1);
	kept->until_ms = now_ms + (int64_t)(answer->ttl < most_s ? answer->ttl : most_s) * 1000;
	return kept;
}

/* NULL empties the place. */
static void
put(struct resolver_answers *answers, const char *plain, enum dns_type type, struct kept *kept)
{
	struct kept *old, **place;

	(void)pthread_mutex_lock(&answers->lock);
	place = place_of(answers, plain, type);
	old = *place;
	*place = kept;
	(void)pthread_mutex_unlock(&answers->lock);
	free(old);
}

void
resolver_answers_keep(struct resolver_answers *answers, const struct dns_question *question,
    int64_t now_ms)
{
	char plain[DOMAIN_MAX];

	if (may_be_kept(&question->answer) && plain_name(question->name, plain))
		put(answers, plain, question->type,
		    kept_new(plain, question, LIMIT_DNS_KEPT_S, now_ms));
}

void
resolver_answers_correct(struct resolver_answers *answers, const struct dns_question *question,
    int64_t now_ms)
{
	enum dns_state state = question->answer.state;
	char plain[DOMAIN_MAX];

	if ((state == DNS_SECURE || state == DNS_INSECURE) && plain_name(question->name, plain))
		put(answers, plain, question->type,
		    may_be_kept(&question->answer)
			? kept_new(plain, question, LIMIT_DNS_CORRECTED_S, now_ms)
			: NULL);
}
