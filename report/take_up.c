/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/metrics.h"
#include "report/take_up.h"

enum store_result
take_up_bundles(const struct reporter_plan *plan, struct arena *arena,
    const struct tally_report *report, struct bundles *bundles)
{
	const struct conf *conf = conf_now_take(plan->now);
	enum store_result result = bundle_scanned(plan->tally, arena, conf, report, bundles);

	conf_now_give(plan->now, conf);
	return result;
}

void
take_up_entry(const struct tally_report *report, const struct rua *rua, struct outbox_entry *entry)
{
	*entry = (struct outbox_entry){
		.day = report->day, .scheme = rua->scheme, .target = rua->target, .error = ""
	};
	(void)snprintf(entry->domain, sizeof(entry->domain), "%s", report->domain);
	memcpy(entry->record, report->record_digest, sizeof(entry->record));
}

static void
warn_beyond(const struct outbox_bound *bound, int64_t day)
{
	char text[DAY_TEXT];

	day_format(day, text);
	log_message(LOG_LEVEL_WARNING, "report",
	    "%s gets no more than %" PRIu64 " reports about %s"
	    " (tlsrpt.max-per-receiver): further domains name "
	    "it",
	    bound->receiver, bound->most, text);
}

enum store_result
take_up_report(const struct reporter_plan *plan, const struct tally_report *report,
    const struct rua *rua, bool running, bool *beyond)
{
	const struct conf *conf = conf_now_take(plan->now);
	int64_t purge_at = tally_purge_at(plan->tally, report->day);
	struct arena *arena = arena_new();
	struct outbox_bound bound = { .receiver = rua_receiver(arena, rua),
		.most = conf->tlsrpt.max_per_receiver };
	struct outbox_entry entry;
	enum store_result result;

	conf_now_give(plan->now, conf);
	take_up_entry(report, rua, &entry);
	if (running)
		result = outbox_count(plan->store, report->day, &bound, purge_at);
	else
		result = outbox_add(plan->store, &entry, &bound, purge_at, clock_wall_s());
	*beyond = result == STORE_OK && bound.beyond;
	if (*beyond)
		metrics_count(METRIC_TLSRPT_REPORTS, rua_scheme_name(rua->scheme), "beyond");
	if (*beyond && bound.untold)
		warn_beyond(&bound, report->day);
	arena_free(arena);
	return result;
}

struct outbox_entry *
take_up_entry_copy(const struct outbox_entry *entry)
{
	struct outbox_entry *copy = xmalloc(sizeof(*copy));

	*copy = *entry;
	copy->target = xstrdup(entry->target);
	copy->error = "";
	return copy;
}

void
take_up_entry_free(struct outbox_entry *entry)
{
	if (entry != NULL)
		free((char *)(uintptr_t)entry->target);
	free(entry);
}
