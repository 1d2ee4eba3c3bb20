/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/thread.h"
#include "policy/dns/dns_data.h"
#include "report/recorder.h"
#include "report/rua.h"

#define QUICK_MS	100	/* the record was requested when the delivery began */
#define TOLD_MS	1000	/* of the sessions of others; the next ones wait meanwhile */
#define PATIENT_MS	5000	/* on the background thread */
#define LATE_MAX	2000	/* sessions that wait there */
#define LATE_AT_ONCE	50	/* look-ups side by side */
#define LATE_STACK	(256 * 1024)

/* The outcomes of one group, which own their arena. */
struct job {
	STAILQ_ENTRY(job) queue;
	struct arena *arena;
	struct outcomes outcomes;
	const char *name;	/* of the record */
	bool told;	/* by another sender */
};

struct recorder {
	struct resolver *resolver;
	struct tally *tally;
	struct forward *forward;
	pthread_t thread;
	pthread_mutex_t lock;	/* for all below */
	pthread_cond_t changed;
	STAILQ_HEAD(late_queue, job) late;
	size_t late_count;
	bool stop;
};

static void
job_free(struct job *job)
{
	struct arena *arena = job->arena;

	arena_free(arena);	/* which holds the job too */
}

static void
count_lost(const struct job *job)
{
	for (size_t i = 0; i < job->outcomes.count; i++)
		metrics_count(METRIC_TLSRPT_LOST, "dns", NULL);
}

/* For the operator, before tomorrow's report. */
static void
log_failure(const struct session_outcome *session, const struct outcome *outcome,
    const struct outcome_failure *failure)
{
	struct log_line line;

	log_begin(&line, LOG_LEVEL_INFO, "tlsrpt");
	log_text(&line, "domain", session->domain);
	log_text(&line, "policy", outcome_type_name(outcome->policy.type));
	log_text(&line, "policy-domain", outcome->policy.domain);
	log_text(&line, "mx", failure->mx[0] != '\0' ? failure->mx : NULL);
	log_text(&line, "ip", failure->receiving_ip[0] != '\0' ? failure->receiving_ip : NULL);
	log_text(&line, "result", result_type_name(failure->type));
	log_text(&line, "reason", failure->reason[0] != '\0' ? failure->reason : NULL);
	log_end(&line);
}

static void
log_failures(const struct session_outcome *session)
{
	const struct outcome *outcome;
	size_t i, j;

	for (i = 0; i < session->count; i++) {
		outcome = &session->outcomes[i];
		for (j = 0; j < outcome->failure_count; j++)
			log_failure(session, outcome, &outcome->failures[j]);
	}
}

static void
publish(const struct recorder *recorder, struct job *job, const char *record)
{
	struct session_outcome *session;
	size_t i;

	for (i = 0; i < job->outcomes.count; i++) {
		session = &job->outcomes.at[i];
		session->record = record;
		if (!job->told)	/* otherwise its log has them */
			log_failures(session);
		tally_add(recorder->tally, session);
		forward_send(recorder->forward, session);
	}
}

/* As rua_parse(). A bogus answer is no request for reports. */
static bool
read_answer(struct arena *arena, const struct dns_answer *answer, struct rua_list *list)
{
	struct sts_text *texts;
	size_t i, count = 0;

	*list = (struct rua_list){ .why = "" };
	if (answer->state == DNS_BOGUS || answer->state == DNS_FAILED) {
		list->why = arena_printf(arena, "the look-up %s: %s",
		    answer->state == DNS_BOGUS ? "fails DNSSEC validation" : "failed", answer->why);
		return false;
	}
	if (answer->count > LIMIT_TXT_RECORDS) {
		list->why = "there are too many TXT records";
		return false;
	}
	texts = arena_array(arena, answer->count, sizeof(texts[0]));
	for (i = 0; i < answer->count; i++)
		if (dns_txt_join(arena, answer->records[i].data, answer->records[i].length,
			&texts[count].octets, &texts[count].length) == 0)
			count++;
	return rua_parse(arena, texts, count, list);
}

static void
finish(const struct recorder *recorder, struct job *job, const struct dns_answer *answer)
{
	struct rua_list list;

	bool wanted = read_answer(job->arena, answer, &list);

	if (wanted)
		publish(recorder, job, list.record);
	if (job->told)
		metrics_count(METRIC_TLSRPT_DATAGRAMS, wanted ? "taken" : "unwanted", NULL);
	job_free(job);
}

/* With the lock held, released meanwhile: in parallel, so that dead zones delay each other as
 * little as possible. */
static void
serve_late(struct recorder *recorder)
{
	struct dns_question questions[LATE_AT_ONCE] = { 0 };
	struct job *jobs[LATE_AT_ONCE];
	struct arena *arena = arena_new();
	size_t i, count = 0;

	while (count < LATE_AT_ONCE && !STAILQ_EMPTY(&recorder->late)) {
		jobs[count] = STAILQ_FIRST(&recorder->late);
		STAILQ_REMOVE_HEAD(&recorder->late, queue);
		questions[count] = (struct dns_question){ .name = jobs[count]->name,
			.type = DNS_TXT };
		count++;
	}
	recorder->late_count -= count;
	pthread_mutex_unlock(&recorder->lock);
	resolver_ask(recorder->resolver, arena, questions, count, deadline_in(PATIENT_MS));
	for (i = 0; i < count; i++)
		finish(recorder, jobs[i], &questions[i].answer);
	arena_free(arena);
	pthread_mutex_lock(&recorder->lock);
}

static void *
late_run(void *context)
{
	struct recorder *recorder = context;

	pthread_mutex_lock(&recorder->lock);
	while (!recorder->stop) {
		if (STAILQ_EMPTY(&recorder->late))
			pthread_cond_wait(&recorder->changed, &recorder->lock);
		else
			serve_late(recorder);
	}
	pthread_mutex_unlock(&recorder->lock);
	return NULL;
}

struct recorder *
recorder_new(struct resolver *resolver, struct tally *tally, struct forward *forward)
{
	struct recorder *recorder = xcalloc(1, sizeof(*recorder));

	recorder->resolver = resolver;
	recorder->tally = tally;
	recorder->forward = forward;
	pthread_mutex_init(&recorder->lock, NULL);
	pthread_cond_init(&recorder->changed, NULL);
	STAILQ_INIT(&recorder->late);
	if (thread_start(&recorder->thread, LATE_STACK, late_run, recorder) == 0)
		return recorder;
	free(recorder);
	return NULL;
}

void
recorder_free(struct recorder *recorder)
{
	struct job *job;

	if (recorder == NULL)
		return;
	pthread_mutex_lock(&recorder->lock);
	recorder->stop = true;
	pthread_cond_signal(&recorder->changed);
	pthread_mutex_unlock(&recorder->lock);
	pthread_join(recorder->thread, NULL);
	while ((job = STAILQ_FIRST(&recorder->late)) != NULL) {
		STAILQ_REMOVE_HEAD(&recorder->late, queue);
		count_lost(job);
		job_free(job);
	}
	pthread_cond_destroy(&recorder->changed);
	pthread_mutex_destroy(&recorder->lock);
	free(recorder);
}

/* RFC 8460 3; NULL for a name too long to exist. */
static const char *
record_name(struct arena *arena, const char *domain)
{
	const char *name = arena_printf(arena, "_smtp._tls.%s", domain);

	return strlen(name) < DOMAIN_MAX ? name : NULL;
}

void
recorder_begin(struct recorder *recorder, const char *domain)
{
	struct arena *arena;
	const char *name;

	if (recorder == NULL)
		return;
	arena = arena_new();
	name = record_name(arena, domain);
	if (name != NULL)
		resolver_want(recorder->resolver, name, DNS_TXT);
	arena_free(arena);
}

bool
recorder_look_up(struct resolver *resolver, struct arena *arena, const char *domain,
    struct rua_list *list)
{
	struct dns_question question = { .name = record_name(arena, domain), .type = DNS_TXT };

	*list = (struct rua_list){ .why = "" };
	if (question.name == NULL)
		return false;
	resolver_ask(resolver, arena, &question, 1, deadline_in(PATIENT_MS));
	return read_answer(arena, &question.answer, list);
}

static void
put_off(struct recorder *recorder, struct job *job)
{
	bool taken;

	pthread_mutex_lock(&recorder->lock);
	taken = recorder->late_count < LATE_MAX && !recorder->stop;
	if (taken) {
		STAILQ_INSERT_TAIL(&recorder->late, job, queue);
		recorder->late_count++;
		pthread_cond_signal(&recorder->changed);
	}
	pthread_mutex_unlock(&recorder->lock);
	if (taken)
		return;
	count_lost(job);
	job_free(job);
}

static struct job *
job_told(struct recorder_told *told)
{
	struct job *job = arena_alloc(told->arena, sizeof(*job));

	job->arena = told->arena;
	job->outcomes.at = arena_alloc(job->arena, sizeof(*job->outcomes.at));
	job->outcomes.at[0] = told->session;
	job->outcomes.count = 1;
	job->name = record_name(job->arena, told->session.domain);
	job->told = true;
	return job;
}

void
recorder_take(struct recorder *recorder, struct recorder_told *told, size_t count)
{
	struct deadline quick = deadline_in(TOLD_MS);
	struct dns_question questions[RECORDER_TOLD_MAX] = { 0 };
	struct job *jobs[RECORDER_TOLD_MAX];
	struct arena *arena = arena_new();
	size_t i, asked = 0;

	for (i = 0; i < count; i++) {
		struct job *job = job_told(&told[i]);

		if (job->name == NULL) {
			metrics_count(METRIC_TLSRPT_DATAGRAMS, "unwanted", NULL);
			job_free(job);
			continue;
		}
		questions[asked] = (struct dns_question){ .name = job->name, .type = DNS_TXT };
		jobs[asked++] = job;
	}
	resolver_ask(recorder->resolver, arena, questions, asked, quick);
	for (i = 0; i < asked; i++) {
		if (questions[i].answer.state == DNS_FAILED && deadline_passed(quick))
			put_off(recorder, jobs[i]);
		else
			finish(recorder, jobs[i], &questions[i].answer);
	}
	arena_free(arena);
}

void
recorder_record(struct recorder *recorder, const struct outcomes_of *of)
{
	struct deadline quick = deadline_in(QUICK_MS);
	struct dns_question question = { .type = DNS_TXT };
	struct arena *arena;
	struct job *job;

	if (recorder == NULL)
		return;
	arena = arena_new();
	job = arena_alloc(arena, sizeof(*job));
	job->arena = arena;
	job->name = record_name(arena, of->facts->domain);
	outcomes_from(arena, of, NULL, &job->outcomes);
	if (job->outcomes.count == 0 || job->name == NULL) {
		job_free(job);
		return;
	}
	question.name = job->name;
	resolver_ask(recorder->resolver, arena, &question, 1, quick);
	if (question.answer.state == DNS_FAILED && deadline_passed(quick))
		put_off(recorder, job);
	else
		finish(recorder, job, &question.answer);
}
