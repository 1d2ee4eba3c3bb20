/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A million refusals of one hour over a hundred thousand domains, as an attacker may cause them:
 * processor time of a note, octets on disk and in memory, and the time of a page and of a scan.
 *
 *	make tests/bench/history && tests/bench/history DIRECTORY [REFUSALS DOMAINS]
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/deadline.h"
#include "base/log.h"
#include "report/history.h"

#define KEEP_S	(90 * 86400)
#define MAX_SIZE	(UINT64_C(64) << 20)
#define ROUND	5000	/* refusals between two looks at the history */

static bool
count(void *context, const char *key, const struct history_entry *entry)
{
	uint64_t *counts = context;

	(void)key;
	counts[0]++;
	counts[1] += entry->count;
	return true;
}

static bool
count_page(void *context, const char *key, const struct history_entry *entry)
{
	uint64_t *counts = context;

	(void)count(context, key, entry);
	return counts[0] < 1000;
}

static void
scan(struct history *history, const char *name,
    bool (*each)(void *context, const char *key, const struct history_entry *entry))
{
	const struct history_query query = { .of_kind = false };
	uint64_t counts[2] = { 0 };
	int64_t began = clock_monotonic_ms();

	(void)history_scan(history, &query, each, counts);
	printf("%s: %" PRIu64 " entries, %" PRIu64 " messages, %" PRId64 " ms\n", name, counts[0],
	    counts[1], clock_monotonic_ms() - began);
}

static double
cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

int
main(int argc, char **argv)
{
	unsigned long refusals = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	unsigned long domains = argc > 3 ? strtoul(argv[3], NULL, 10) : 100000;
	const struct history_query nothing = { .since_s = INT64_MAX / 2 };
	char why[256], domain[64], host[64], command[512];
	struct history_entry event = {
		.kind = HISTORY_REFUSED,
		.domain = domain,
		.last_s = clock_wall_s(),
		.recipients = 1,
		.policy = "sts",
		.mode = "enforce",
		.policy_id = "20260101",
		.host = host,
		.address = "192.0.2.1",
		.result = "starttls-not-supported",
		.reason = "STARTTLS is not offered",
		.reply = "451 4.7.4 mx.example.com[192.0.2.1]: mta-sts policy 20260101 demands TLS"
	};
	uint64_t counts[2] = { 0 };
	struct history *history;
	struct rusage usage;
	struct store *store;
	double began, noted;

	if (argc < 2 || (store = store_open("bdb", argv[1], why, sizeof(why))) == NULL) {
		fprintf(stderr, "%s\n", argc < 2 ? "usage: history DIRECTORY" : why);
		return 1;
	}
	history = history_new(store, KEEP_S, MAX_SIZE);
	began = cpu_s();
	for (unsigned long i = 0; i < refusals; i++) {
		unsigned long number = i % domains;

		(void)snprintf(domain, sizeof(domain), "domain-%lu.example", number);
		(void)snprintf(host, sizeof(host), "mx.domain-%lu.example", number);
		history_note(history, &event);
		/* An hour has room for it to be written. */
		if (i % ROUND == ROUND - 1)
			(void)history_scan(history, &nothing, count, counts);
	}
	noted = cpu_s() - began;
	printf("%lu refusals over %lu domains: %.1f us of processor each, all threads\n", refusals,
	    domains, noted * 1e6 / (double)refusals);
	scan(history, "all", count);
	scan(history, "a page", count_page);
	(void)getrusage(RUSAGE_SELF, &usage);
	printf("memory: %ld KiB at most\n", usage.ru_maxrss);
	history_free(history);
	(void)store_checkpoint(store);
	(void)snprintf(command, sizeof(command), "du -sk '%s'; ls -l '%s'/*/history* 2>/dev/null",
	    argv[1], argv[1]);
	(void)fflush(stdout);
	if (system(command) != 0)
		perror("du");
	store_close(store);
	return 0;
}
