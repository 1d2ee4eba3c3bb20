/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * What do TLS reports cost?
 *
 *	reports fill DIRECTORY YYYY-MM-DD SESSIONS DOMAINS RECORD
 *	reports build DIRECTORY YYYY-MM-DD
 *
 * fill counts sessions in the store of a state directory, one in ten failed, over domains named
 * d0.example and so on, with RECORD as their TXT record; build makes all reports of the day as they
 * would be sent. Both tell time and memory on stdout. The end-to-end tests fill stores with it too.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/deadline.h"
#include "base/gzip.h"
#include "report/report.h"
#include "report/tally.h"

#define KEEP_S	(INT64_C(36500) * DAY_S)

static void
tell(const char *what, uint64_t count, int64_t began_ms)
{
	struct rusage usage;
	int64_t ms = clock_monotonic_ms() - began_ms;

	(void)getrusage(RUSAGE_SELF, &usage);
	printf("%s: %" PRIu64 " in %" PRId64 " ms, %.1f us each, at most %ld MiB\n", what, count,
	    ms, count > 0 ? (double)ms * 1000 / (double)count : 0.0, usage.ru_maxrss / 1024);
}

static void
count_session(struct tally *tally, int64_t day, const char *domain, const char *record, bool failed)
{
	const char *mx = "mx1.example",
		   *lines[] = { "version: STSv1", "mode: enforce", "mx: mx1.example",
			   "max_age: 604800" };
	struct outcome_failure failure = { RESULT_CERTIFICATE_EXPIRED, "192.0.2.1", mx, mx,
		"198.51.100.2", "", "X509_V_ERR_CERT_HAS_EXPIRED" };
	struct outcome outcome = { { OUTCOME_STS, domain, lines, 4, &mx, 1 }, failed,
		failed ? &failure : NULL, failed };
	const struct session_outcome session = { domain, record, day * DAY_S + 43200, &outcome, 1 };

	tally_add(tally, &session);
}

static void
fill(struct tally *tally, int64_t day, char **words)
{
	uint64_t i, sessions = strtoull(words[0], NULL, 10), domains = strtoull(words[1], NULL, 10);
	int64_t began = clock_monotonic_ms();
	char domain[40];

	for (i = 0; i < sessions; i++) {
		(void)snprintf(domain, sizeof(domain), "d%" PRIu64 ".example", i % domains);
		count_session(tally, day, domain, words[2], i / domains % 10 == 1);
	}
	tell("sessions counted", sessions, began);
}

struct built {
	uint64_t reports, octets;
};

static bool
build_one(void *context, const struct tally_report *report)
{
	const struct reporter_name name = { "Example", "tls@example.com", "tls@example.com",
		"example.com" };
	struct arena *arena = arena_new();
	struct buf packed = { 0 };
	struct built *built = context;
	const char *json = report_json(arena, report, &name, false);

	gzip(json, strlen(json), &packed);
	built->reports++;
	built->octets += packed.length;
	buf_free(&packed);
	arena_free(arena);
	return true;
}

int
main(int argc, char **argv)
{
	struct built built = { 0, 0 };
	struct store *store;
	struct tally *tally;
	char why[300];
	int64_t day, began;

	if (argc < 4 || day_parse(argv[3], &day) != 0 ||
	    (strcmp(argv[1], "fill") == 0 ? argc != 7 : strcmp(argv[1], "build") != 0)) {
		fputs("usage: reports fill DIRECTORY DAY SESSIONS DOMAINS RECORD\n"
		      "       reports build DIRECTORY DAY\n",
		    stderr);
		return 64;
	}
	store = store_open("bdb", argv[2], why, sizeof(why));
	if (store == NULL) {
		fprintf(stderr, "reports: %s\n", why);
		return 1;
	}
	tally = tally_new(store, KEEP_S);
	if (argc == 7) {
		fill(tally, day, argv + 4);
	} else {
		began = clock_monotonic_ms();
		if (tally_scan(tally, day, "", build_one, &built) != STORE_OK)
			return 1;
		tell("reports built", built.reports, began);
		printf("%" PRIu64 " octets in gzip\n", built.octets);
	}
	tally_free(tally);
	store_close(store);
	return 0;
}
