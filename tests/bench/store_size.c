/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * How do the policy cache's start and look-up grow with its size? For each number of policies
 * given: the time to open the store after an orderly end and after a crash, and the time of a
 * look-up of a random policy, read and parsed, as a ratio to that of the first number.
 *
 * make tests/bench/store_size && tests/bench/store_size DIRECTORY 1000 1000000
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/store/store.h"
#include "policy/facts/sts_store.h"

#define LOOKUPS	200000
#define ROUNDS	5

static double
seconds(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct store *
open_or_die(const char *directory)
{
	char why[256];
	struct store *store = store_open("bdb", directory, why, sizeof(why));

	if (store == NULL) {
		fprintf(stderr, "%s\n", why);
		exit(1);
	}
	return store;
}

static void
name(char domain[64], unsigned long i)
{
	(void)snprintf(domain, 64, "customer-%lu.example%lu.net", i * 2654435761UL % 1000003, i);
}

static enum sts_store_change
fill(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	static const char body[] =
	    "version: STSv1\nmode: enforce\nmx: mx1.mail.example.net\n"
	    "mx: mx2.mail.example.net\nmx: *.backup.example.net\nmax_age: 604800\n";
	struct finding finding;

	(void)context, (void)found;
	if (sts_policy_parse(arena, body, strlen(body), &entry->policy, &finding) != 0)
		abort();
	(void)snprintf(entry->policy.id, sizeof(entry->policy.id), "20260101000000");
	entry->fetched = time(NULL);
	entry->expires = entry->fetched + 604800;
	entry->refresh = entry->fetched + 80000;
	entry->used = entry->fetched;
	entry->last_error = "";
	return STS_STORE_WRITE;
}

static void
add_policies(const char *directory, unsigned long first, unsigned long count)
{
	struct store *store = open_or_die(directory);
	struct sts_store *policies = sts_store_new(store);
	char domain[64];

	for (unsigned long i = first; i < first + count; i++) {
		name(domain, i);
		(void)sts_store_update(policies, domain, STORE_LAZY, fill, NULL);
		if (i % 100000 == 99999)
			(void)store_checkpoint(store);
	}
	sts_store_free(policies);
	store_close(store);
}

/* Opens, writes a little and goes without a word. */
static void
crash(const char *directory)
{
	pid_t child = fork();
	struct sts_store *policies;
	char domain[64];

	if (child == 0) {
		policies = sts_store_new(open_or_die(directory));
		for (unsigned long i = 0; i < 100; i++) {
			name(domain, i);
			(void)sts_store_update(policies, domain, STORE_SYNC, fill, NULL);
		}
		_exit(0);
	}
	(void)waitpid(child, NULL, 0);
}

static double
look_up(struct sts_store *policies, unsigned long count)
{
	double began = seconds();
	char domain[64];

	for (unsigned long i = 0; i < LOOKUPS; i++) {
		struct arena *arena = arena_new();
		struct sts_entry entry;

		name(domain, (i * 2654435761UL) % count);
		if (sts_store_get(policies, arena, domain, &entry) != STORE_OK)
			abort();
		arena_free(arena);
	}
	return (seconds() - began) * 1e6 / LOOKUPS;
}

static double
measure(const char *directory, unsigned long count, double first)
{
	double began, after_end, after_crash, best = 1e9, one;
	struct sts_store *policies;
	struct store *store;

	began = seconds();
	store = open_or_die(directory);
	after_end = seconds() - began;
	policies = sts_store_new(store);
	for (int i = 0; i < ROUNDS; i++)
		if ((one = look_up(policies, count)) < best)
			best = one;
	sts_store_free(policies);
	store_close(store);
	crash(directory);
	began = seconds();
	store_close(open_or_die(directory));
	after_crash = seconds() - began;
	printf("%8lu policies: open %.2f s, open and close after a crash %.2f s, look-up %.1f us"
	       " (x %.2f)\n",
	    count, after_end, after_crash, best, first > 0 ? best / first : 1.0);
	return best;
}

int
main(int argc, char **argv)
{
	unsigned long have = 0, count;
	double first = 0, one;

	if (argc < 3) {
		fprintf(stderr, "usage: %s DIRECTORY COUNT...\n", argv[0]);
		return 64;
	}
	log_open("store_size", false, LOG_LEVEL_ERROR);
	(void)mkdir(argv[1], 0700);
	for (int i = 2; i < argc; i++) {
		count = strtoul(argv[i], NULL, 10);
		add_policies(argv[1], have, count - have);
		have = count;
		one = measure(argv[1], count, first);
		first = first > 0 ? first : one;
	}
	return 0;
}
