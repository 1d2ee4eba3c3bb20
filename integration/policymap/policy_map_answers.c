/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "integration/policymap/policy_map_answers.h"

#define BUCKETS	4096	/* a power of two */
#define WAYS	4	/* answers of one bucket */
#define STRIPES	64	/* locks, each for the buckets of one remainder */
#define OCTETS_MAX	4096	/* question and answer together */

struct kept {
	uint64_t hash, changes;
	const _Atomic uint64_t *watched;	/* until it is another than changes */
	int64_t until_ms;	/* 0: none was ever kept here */
	enum plan_map_answer kind;
	size_t question_length, octet_count;
	char *octets;	/* the question, then the answer */
};

struct policy_map_answers {
	uint64_t seed;	/* clients cannot choose questions that collide */
	struct kept kept[BUCKETS][WAYS];
	struct stripe {
		pthread_mutex_t lock;
		char apart[64];	/* each on cache lines of its own */
	} stripes[STRIPES];
};

struct policy_map_answers *
policy_map_answers_new(void)
{
	struct policy_map_answers *answers = xcalloc(1, sizeof(*answers));

	arc4random_buf(&answers->seed, sizeof(answers->seed));
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_init(&answers->stripes[i].lock, NULL);
	return answers;
}

void
policy_map_answers_free(struct policy_map_answers *answers)
{
	if (answers == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (size_t j = 0; j < WAYS; j++)
			free(answers->kept[i][j].octets);
	for (size_t i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&answers->stripes[i].lock);
	free(answers);
}

/* With a seed, and mixed once more at the end. */
static uint64_t
hash_of(const struct policy_map_answers *answers, const char *question, size_t length)
{
	uint64_t hash = hash_add(answers->seed ^ HASH_START, question, length);

	hash ^= hash >> 32;
	hash *= 0x9e3779b97f4a7c15U;
	return hash ^ hash >> 29;
}

static pthread_mutex_t *
lock_of(struct policy_map_answers *answers, uint64_t hash)
{
	return &answers->stripes[hash % STRIPES].lock;
}

static bool
is_for(const struct kept *kept, uint64_t hash, const char *question, size_t length)
{
	return kept->hash == hash && kept->until_ms != 0 && kept->question_length == length &&
	    memcmp(kept->octets, question, length) == 0;
}

bool
policy_map_answers_find(struct policy_map_answers *answers, const char *question, size_t length,
    int64_t now_ms, struct buf *buf, enum plan_map_answer *kind)
{
	uint64_t hash = hash_of(answers, question, length);
	struct kept *bucket = answers->kept[hash % BUCKETS];
	bool found = false;

	pthread_mutex_lock(lock_of(answers, hash));
	for (size_t i = 0; i < WAYS && !found; i++) {
		const struct kept *kept = &bucket[i];

		if (!is_for(kept, hash, question, length))
			continue;
		if (kept->until_ms <= now_ms || kept->changes != *kept->watched)
			break;
		buf_add(buf, kept->octets + length, kept->octet_count);
		*kind = kept->kind;
		found = true;
	}
	pthread_mutex_unlock(lock_of(answers, hash));
	return found;
}

/* Where the answer to question goes: to its own place, or that of the one that ends soonest. */
static struct kept *
place_for(struct kept *bucket, uint64_t hash, const char *question, size_t length)
{
	struct kept *place = &bucket[0];

	for (size_t i = 0; i < WAYS; i++) {
		if (is_for(&bucket[i], hash, question, length))
			return &bucket[i];
		if (bucket[i].until_ms < place->until_ms)
			place = &bucket[i];
	}
	return place;
}

void
policy_map_answers_keep(struct policy_map_answers *answers, const char *question, size_t length,
    int64_t until_ms, const _Atomic uint64_t *watched, uint64_t changes, const char *octets,
    size_t octet_count, enum plan_map_answer kind)
{
	uint64_t hash = hash_of(answers, question, length);
	struct kept *kept;

	if (length + octet_count > OCTETS_MAX)
		return;
	pthread_mutex_lock(lock_of(answers, hash));
	kept = place_for(answers->kept[hash % BUCKETS], hash, question, length);
	kept->octets = xrealloc(kept->octets, length + octet_count + 1);
	memcpy(kept->octets, question, length);
	memcpy(kept->octets + length, octets, octet_count);
	kept->hash = hash;
	kept->changes = changes;
	kept->watched = watched;
	kept->until_ms = until_ms;
	kept->kind = kind;
	kept->question_length = length;
	kept->octet_count = octet_count;
	pthread_mutex_unlock(lock_of(answers, hash));
}
