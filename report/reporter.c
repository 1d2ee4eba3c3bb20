/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "report/jobs.h"
#include "report/reporter.h"
#include "report/reporter_inside.h"
#include "report/sender.h"
#include "report/take_up.h"

#define STACK	(512 * 1024)
#define THREADS	8	/* receivers served side by side */
#define QUEUE_MAX	256	/* of what is due, taken from the store at a time */
#define QUEUE_LOW	64
#define LOOK_MS	(5 * 1000)	/* how often the clock is looked at */
#define BUSY_MS	200	/* the same, with more due than fits the queue */
#define STOP_MS	3000	/* what a try gets that runs when it is to stop */
#define SPREAD_S	UINT32_C(14400)	/* RFC 8460 4.1: a delay at random, at most 4 hours */
#define GRACE_S	UINT32_C(120)	/* a session of the day may be counted a little later */
#define TOO_OLD_S	(3 * DAY_S)	/* after its end a day is no longer started by itself */

/* An attempt whose result could not be written: it must not be repeated for that. */
struct unsettled {
	struct unsettled *next;
	char *key;
	bool taken;
	int64_t at_s;
};

struct reporter {
	struct reporter_plan plan;
	struct jobs *jobs;
	pthread_t thread;
	bool has_thread;
	_Atomic int64_t over_at_ms;	/* monotonic: when tries are broken off; 0: never */
	pthread_mutex_t lock;	/* guards what follows */
	pthread_cond_t wake;
	struct unsettled *unsettled;
	bool stop;
};

static bool
is_over(void *context)
{
	const struct reporter *reporter = context;
	int64_t at = reporter->over_at_ms;

	return at != 0 && clock_monotonic_ms() >= at;
}

static bool
is_stopping(struct reporter *reporter)
{
	bool stop;

	(void)pthread_mutex_lock(&reporter->lock);
	stop = reporter->stop;
	(void)pthread_mutex_unlock(&reporter->lock);
	return stop;
}

const struct reporter_plan *
reporter_plan_of(const struct reporter *reporter)
{
	return &reporter->plan;
}

struct jobs *
reporter_jobs(const struct reporter *reporter)
{
	return reporter->jobs;
}

static void
log_try(const struct outbox_entry *entry, const char *status, const char *why)
{
	struct log_line line;
	char day[DAY_TEXT];

	day_format(entry->day, day);
	log_begin(&line, entry->state == OUTBOX_GIVEN_UP ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO,
	    "report");
	log_text(&line, "domain", entry->domain);
	log_text(&line, "day", day);
	log_format(&line, "rua", "%s:%s", rua_scheme_name(entry->scheme),
	    entry->scheme == RUA_HTTPS ? entry->target + strlen("https:") : entry->target);
	log_number(&line, "try", entry->tries);
	log_text(&line, "status", status);
	log_text(&line, "reason", why[0] != '\0' ? why : NULL);
	log_end(&line);
	metrics_count(METRIC_TLSRPT_REPORTS, rua_scheme_name(entry->scheme), status);
}

static void
hold(struct reporter *reporter, const char *key, bool taken, int64_t now)
{
	struct unsettled *held = xcalloc(1, sizeof(*held));

	held->key = xstrdup(key);
	held->taken = taken;
	held->at_s = now;
	(void)pthread_mutex_lock(&reporter->lock);
	held->next = reporter->unsettled;
	reporter->unsettled = held;
	(void)pthread_mutex_unlock(&reporter->lock);
}

static bool
is_held(struct reporter *reporter, const char *key)
{
	const struct unsettled *held;

	(void)pthread_mutex_lock(&reporter->lock);
	held = reporter->unsettled;
	while (held != NULL && strcmp(held->key, key) != 0)
		held = held->next;
	(void)pthread_mutex_unlock(&reporter->lock);
	return held != NULL;
}

static struct unsettled *
take_held(struct reporter *reporter)
{
	struct unsettled *held;

	(void)pthread_mutex_lock(&reporter->lock);
	held = reporter->unsettled;
	reporter->unsettled = NULL;
	(void)pthread_mutex_unlock(&reporter->lock);
	return held;
}

static enum store_result
settle(struct reporter *reporter, struct outbox_entry *entry, bool taken, int64_t now)
{
	return outbox_settle(reporter->plan.store, entry, taken,
	    tally_purge_at(reporter->plan.tally, entry->day), now);
}

/* Results that could not be written at once. */
static void
settle_held(struct reporter *reporter)
{
	struct unsettled *held = take_held(reporter), *next;

	for (; held != NULL; held = next) {
		struct arena *arena = arena_new();
		struct outbox_entry entry;
		enum store_result result = outbox_read_key(reporter->plan.store, arena, held->key,
		    &entry);

		next = held->next;
		if (result == STORE_OK)
			result = settle(reporter, &entry, held->taken, held->at_s);
		if (result == STORE_FAILED)
			hold(reporter, held->key, held->taken, held->at_s);
		arena_free(arena);
		free(held->key);
		free(held);
	}
}

/* The report of an entry: NULL when its receiver gets none any more, as the configuration may have
 * changed since it was taken up. ABSENT when the figures are gone. */
static enum store_result
find_report(const struct reporter *reporter, const struct outbox_entry *entry, struct arena *arena,
    const struct tally_report **report)
{
	const struct conf *conf = conf_now_take(reporter->plan.now);
	const struct rua rua = { entry->scheme, entry->target };
	struct bundles bundles;
	size_t i, j;
	enum store_result result = bundle_read(reporter->plan.tally, arena, conf, entry->day,
	    entry->domain, &bundles);

	conf_now_give(reporter->plan.now, conf);
	*report = NULL;
	for (i = 0; i < bundles.count; i++)
		for (j = 0; j < bundles.at[i].count; j++)
			if (strcmp(bundles.at[i].report.record_digest, entry->record) == 0 &&
			    rua_equal(&bundles.at[i].at[j], &rua))
				*report = &bundles.at[i].report;
	return result;
}

static void
give_up(struct reporter *reporter, struct outbox_entry *entry, struct job *job, const char *why)
{
	(void)snprintf(job->why, sizeof(job->why), "%s", why);
	if (job->about != NULL)
		return;
	entry->error = job->why;
	(void)outbox_give_up(reporter->plan.store, entry,
	    tally_purge_at(reporter->plan.tally, entry->day), clock_wall_s());
	log_try(entry, outbox_state_name(entry->state), why);
}

static void
finish_try(struct reporter *reporter, struct outbox_entry *entry, struct job *job)
{
	int64_t now = clock_wall_s();

	/* Broken off by us: it is tried again after the restart, as if it had not been. */
	if (!job->taken && is_over(reporter))
		return;
	entry->error = job->taken ? "" : job->why;
	if (settle(reporter, entry, job->taken, now) == STORE_FAILED)
		hold(reporter, job->key, job->taken, now);
	log_try(entry, entry->state == OUTBOX_WAITING ? "failed" : outbox_state_name(entry->state),
	    entry->error);
}

/* By the configuration in force: deliveries recognize its sender as this site's own. */
static bool
try_now(struct reporter *reporter, const struct tally_report *report, const struct rua *rua,
    struct job *job)
{
	const struct reporter_plan *plan = &reporter->plan;
	const struct sender sender = { conf_now_take(plan->now), plan->resolver, plan->http,
		{ is_over, reporter } };
	int result = sender_try(&sender, report, rua, job->about != NULL, job->why,
	    sizeof(job->why));

	conf_now_give(plan->now, sender.conf);
	return result == 0;
}

static void
run_entry(struct reporter *reporter, struct arena *arena, struct outbox_entry *entry,
    struct job *job)
{
	const struct tally_report *report = NULL;
	bool running = job->about != NULL, sent = false;
	enum store_result result = find_report(reporter, entry, arena, &report);
	struct rua rua = { entry->scheme, entry->target };

	if (result == STORE_FAILED)
		(void)snprintf(job->why, sizeof(job->why), "the store cannot be read");
	else if (result == STORE_ABSENT)
		give_up(reporter, entry, job, "the figures of that day were deleted");
	else if (report == NULL)
		give_up(reporter, entry, job, "by the configuration it no longer gets reports");
	else {
		job->taken = try_now(reporter, report, &rua, job);
		sent = true;
	}
	if (sent && !running)
		finish_try(reporter, entry, job);
	else if (sent)
		log_try(entry, job->taken ? "taken" : "failed", job->taken ? "" : job->why);
}

/* about: the entry itself, of the running day and so not in the outbox; NULL: it stands there. */
static void
run_job(void *context, struct job *job)
{
	struct reporter *reporter = context;
	struct arena *arena = arena_new();
	struct outbox_entry entry = { .day = 0 }, *once = job->about;

	if (once != NULL)
		run_entry(reporter, arena, once, job);
	else if (outbox_read_key(reporter->plan.store, arena, job->key, &entry) != STORE_OK)
		(void)snprintf(job->why, sizeof(job->why), "the store cannot be read");
	else if (entry.state == OUTBOX_TAKEN)
		job->taken = true;
	else if (is_held(reporter, job->key))
		(void)snprintf(job->why, sizeof(job->why), "the store cannot be written");
	else {
		/* given up earlier, and now sent by hand */
		entry.state = OUTBOX_WAITING;
		run_entry(reporter, arena, &entry, job);
	}
	arena_free(arena);
}

static void
forget_job(void *about)
{
	take_up_entry_free(about);
}

static bool
queue_due(void *context, const char *key)
{
	struct reporter *reporter = context;

	if (!is_held(reporter, key))
		jobs_add(reporter->jobs, key, NULL);
	return jobs_waiting(reporter->jobs) < QUEUE_MAX;
}

struct taking_up {
	struct reporter *reporter;
	struct outbox_day state;
	enum store_result result;
};

static void
warn_left_out(const struct tally_report *report, size_t count)
{
	char day[DAY_TEXT];

	day_format(report->day, day);
	log_message(LOG_LEVEL_WARNING, "report",
	    "%s named more than %d receivers for its report"
	    " about %s by changing its record: %zu get none",
	    report->domain, LIMIT_REPORT_RECEIVERS, day, count);
}

static bool
take_up_all(void *context, const struct tally_report *report)
{
	struct taking_up *day = context;
	struct reporter *reporter = day->reporter;
	struct arena *arena = arena_new();
	struct bundles bundles;
	bool beyond;
	size_t i, j;

	if (take_up_bundles(&reporter->plan, arena, report, &bundles) == STORE_FAILED)
		day->result = STORE_FAILED;
	for (i = 0; i < bundles.count; i++)
		for (j = 0; j < bundles.at[i].count && day->result == STORE_OK; j++)
			day->result = take_up_report(&reporter->plan, &bundles.at[i].report,
			    &bundles.at[i].at[j], false, &beyond);
	if (bundles.left_out > 0)
		warn_left_out(report, bundles.left_out);
	arena_free(arena);
	return day->result == STORE_OK && !is_stopping(reporter);
}

static enum store_result
plan_day(struct reporter *reporter, int64_t day, struct outbox_day *state)
{
	state->send_at_s = (day + 1) * DAY_S + GRACE_S + arc4random_uniform(SPREAD_S - GRACE_S);
	return outbox_day_write(reporter->plan.store, day, state,
	    tally_purge_at(reporter->plan.tally, day));
}

/* Makes entries of a day's reports, once its hour has come. After an interruption this starts
 * again: existing entries stay unchanged. */
static enum store_result
look_at_day(struct reporter *reporter, int64_t day, int64_t now)
{
	struct taking_up up = { .reporter = reporter, .result = STORE_OK };
	enum store_result result = outbox_day_read(reporter->plan.store, day, &up.state);

	if (result == STORE_ABSENT)
		result = plan_day(reporter, day, &up.state);
	if (result != STORE_OK || up.state.done || now < up.state.send_at_s)
		return result;
	if (now < (day + 1) * DAY_S + TOO_OLD_S)
		result = tally_scan(reporter->plan.tally, day, "", take_up_all, &up);
	if (result != STORE_OK || up.result != STORE_OK || is_stopping(reporter))
		return STORE_FAILED;
	up.state.done = true;
	return outbox_day_write(reporter->plan.store, day, &up.state,
	    tally_purge_at(reporter->plan.tally, day));
}

static void
look_at_days(struct reporter *reporter)
{
	int64_t day = -1, now = clock_wall_s();

	while (tally_next_day(reporter->plan.tally, day, &day) == STORE_OK && day < day_of(now))
		if (look_at_day(reporter, day, now) == STORE_FAILED)
			return;
}

/* ms until the next look */
static int64_t
look(struct reporter *reporter)
{
	settle_held(reporter);
	if (reporter->plan.conf->tlsrpt.enable != TLSRPT_SEND)
		return LOOK_MS;
	if (jobs_waiting(reporter->jobs) > QUEUE_LOW)
		return BUSY_MS;
	look_at_days(reporter);
	(void)outbox_due(reporter->plan.store, clock_wall_s(), queue_due, reporter);
	return jobs_waiting(reporter->jobs) > 0 ? BUSY_MS : LOOK_MS;
}

static bool
stopped_within(struct reporter *reporter, int64_t ms)
{
	struct deadline until = deadline_in(ms);
	struct timespec at = deadline_timespec(until);
	bool stop;

	(void)pthread_mutex_lock(&reporter->lock);
	while (!reporter->stop && !deadline_passed(until))
		(void)pthread_cond_timedwait(&reporter->wake, &reporter->lock, &at);
	stop = reporter->stop;
	(void)pthread_mutex_unlock(&reporter->lock);
	return stop;
}

static void *
schedule(void *context)
{
	struct reporter *reporter = context;

	while (!stopped_within(reporter, look(reporter)))
		continue;
	return NULL;
}

static int
start_thread(struct reporter *reporter)
{
	int failed = thread_start(&reporter->thread, STACK, schedule, reporter);

	reporter->has_thread = failed == 0;
	return failed;
}

static int
start_threads(struct reporter *reporter)
{
	const struct jobs_plan jobs = { THREADS, run_job, forget_job, reporter };

	reporter->jobs = jobs_start(&jobs);
	return reporter->jobs == NULL ? -1 : start_thread(reporter);
}

struct reporter *
reporter_start(const struct reporter_plan *plan)
{
	struct reporter *reporter = xcalloc(1, sizeof(*reporter));

	reporter->plan = *plan;
	(void)pthread_mutex_init(&reporter->lock, NULL);
	thread_condition(&reporter->wake);
	if (start_threads(reporter) == 0)
		return reporter;
	(void)reporter_drain(reporter);
	reporter_free(reporter);
	return NULL;
}

bool
reporter_drain(struct reporter *reporter)
{
	reporter->over_at_ms = clock_monotonic_ms() + STOP_MS;
	(void)pthread_mutex_lock(&reporter->lock);
	reporter->stop = true;
	(void)pthread_cond_broadcast(&reporter->wake);
	(void)pthread_mutex_unlock(&reporter->lock);
	if (reporter->has_thread)
		(void)pthread_join(reporter->thread, NULL);
	return reporter->jobs == NULL || jobs_drain(reporter->jobs, deadline_in(STOP_MS));
}

void
reporter_free(struct reporter *reporter)
{
	struct unsettled *held, *next;

	if (reporter->jobs != NULL)
		jobs_free(reporter->jobs);
	settle_held(reporter);
	for (held = take_held(reporter); held != NULL; held = next) {
		next = held->next;
		free(held->key);
		free(held);
	}
	(void)pthread_cond_destroy(&reporter->wake);
	(void)pthread_mutex_destroy(&reporter->lock);
	free(reporter);
}
