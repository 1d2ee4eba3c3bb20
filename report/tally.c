/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/metrics.h"
#include "base/number.h"
#include "report/tally.h"
#include "report/tally_form.h"
#include "report/tally_inside.h"

struct tally {
	struct store *store;
	int64_t keep_s;
	pthread_mutex_t lock;	/* one change at a time: side by side they would only get into each
				   other's way in the store */
};

/* One session on its way into the store. */
struct addition {
	struct arena *arena;
	const struct session_outcome *session;
	const char *domain;
	const char *record;
	char *key;	/* of the record */
	int64_t purge_at;
	bool beyond;	/* beyond the bounds: not counted */
};

/* One policy's verdict on that session. */
struct verdict {
	const struct addition *addition;
	const struct outcome *outcome;
	struct outcome_policy policy;
	const char *policy_text;
	char *key;	/* of the policy */
	uint64_t succeeded, failed, details;	/* as the store has it, then as it shall have it */
};

struct tally *
tally_new(struct store *store, int64_t keep_s)
{
	struct tally *tally = xcalloc(1, sizeof(*tally));

	tally->store = store;
	tally->keep_s = keep_s;
	(void)pthread_mutex_init(&tally->lock, NULL);
	return tally;
}

void
tally_free(struct tally *tally)
{
	if (tally == NULL)
		return;
	(void)pthread_mutex_destroy(&tally->lock);
	free(tally);
}

struct store *
tally_store(const struct tally *tally)
{
	return tally->store;
}

int64_t
tally_purge_at(const struct tally *tally, int64_t day)
{
	return (day + 1) * DAY_S + tally->keep_s;
}

static enum store_result
put_text(const struct addition *addition, struct store_change *change, const char *key,
    const char *text)
{
	return store_change_put(change, STORE_TALLY, key, text, strlen(text), addition->purge_at);
}

/* The number at the start of the entry, followed by a line feed or nothing. 0 for none. */
static enum store_result
get_number(struct store_change *change, const char *key, uint64_t *number)
{
	struct buf entry = { 0 };
	enum store_result result = store_change_get(change, STORE_TALLY, key, &entry);
	const char *at = buf_text(&entry);

	*number = 0;
	if (result == STORE_OK &&
	    (!number_take(&at, NUMBER_COUNT_MAX, number) || (*at != '\n' && *at != '\0')))
		*number = 0;
	buf_free(&entry);
	return result;
}

/* The domain's day gets a TXT record more. */
static enum store_result
add_record(struct addition *addition, struct store_change *change)
{
	char key[DAY_TEXT + DOMAIN_MAX], text[24];
	uint64_t records;
	enum store_result result;

	(void)snprintf(key, sizeof(key), "%.*s", (int)(strrchr(addition->key, ' ') - addition->key),
	    addition->key);
	result = get_number(change, key, &records);
	if (result == STORE_FAILED)
		return result;
	addition->beyond = records >= LIMIT_REPORT_RECORDS;
	if (addition->beyond)
		return STORE_ABSENT;
	(void)snprintf(text, sizeof(text), "%" PRIu64, records + 1);
	return put_text(addition, change, key, text);
}

static void
set_policy(struct verdict *verdict)
{
	const struct addition *addition = verdict->addition;
	char name[DIGEST_TEXT];

	verdict->policy_text = tally_policy_write(addition->arena, &verdict->policy);
	digest(verdict->policy_text, strlen(verdict->policy_text), name);
	verdict->key = arena_printf(addition->arena, "%s %s", addition->key, name);
}

static enum store_result
get_counts(struct verdict *verdict, struct store_change *change)
{
	struct buf entry = { 0 };
	enum store_result result = store_change_get(change, STORE_TALLY, verdict->key, &entry);
	const char *at = buf_text(&entry);

	if (result != STORE_OK || !number_take(&at, NUMBER_COUNT_MAX, &verdict->succeeded) ||
	    !number_skip(&at, ' ') || !number_take(&at, NUMBER_COUNT_MAX, &verdict->failed) ||
	    !number_skip(&at, ' ') || !number_take(&at, NUMBER_COUNT_MAX, &verdict->details))
		verdict->succeeded = verdict->failed = verdict->details = 0;
	buf_free(&entry);
	return result;
}

/* The record is new, or has one policy more. */
static enum store_result
add_policy(struct addition *addition, struct verdict *verdict, struct store_change *change)
{
	uint64_t policies;
	enum store_result result = get_number(change, addition->key, &policies);

	if (result == STORE_ABSENT)
		result = add_record(addition, change);
	if (result == STORE_OK && policies >= LIMIT_REPORT_POLICIES) {
		verdict->policy = (struct outcome_policy){ .type = verdict->policy.type,
			.domain = addition->domain };
		set_policy(verdict);
		result = get_counts(verdict, change);
		if (result != STORE_ABSENT)
			return result;
		result = STORE_OK;
	}
	if (result == STORE_OK)
		result = put_text(addition, change, addition->key,
		    arena_printf(addition->arena, "%" PRIu64 "\n%s", policies + 1,
			addition->record));
	if (result == STORE_OK)
		result = put_text(addition, change,
		    arena_printf(addition->arena, "%s !", verdict->key), verdict->policy_text);
	return result;
}

static const char *
detail_key(const struct verdict *verdict, const char *text)
{
	char name[DIGEST_TEXT];

	digest(text, strlen(text), name);
	return arena_printf(verdict->addition->arena, "%s %s", verdict->key, name);
}

static enum store_result
add_failure(struct verdict *verdict, const struct outcome_failure *failure,
    struct store_change *change)
{
	const struct addition *addition = verdict->addition;
	struct outcome_failure without = { failure->type, "", "", "", "", "", "" };
	const char *text = tally_failure_write(addition->arena, failure);
	const char *key = detail_key(verdict, text);
	uint64_t sessions;
	enum store_result result = get_number(change, key, &sessions);

	if (result == STORE_ABSENT && verdict->details >= LIMIT_REPORT_DETAILS) {
		text = tally_failure_write(addition->arena, &without);
		key = detail_key(verdict, text);
		result = get_number(change, key, &sessions);
	}
	if (result == STORE_FAILED)
		return result;
	if (result == STORE_ABSENT)
		verdict->details++;
	return put_text(addition, change, key,
	    arena_printf(addition->arena, "%" PRIu64 "\n%s", sessions + 1, text));
}

static bool
failures_equal(const struct outcome_failure *a, const struct outcome_failure *b)
{
	return a->type == b->type && strcmp(a->sending_ip, b->sending_ip) == 0 &&
	    strcmp(a->mx, b->mx) == 0 && strcmp(a->helo, b->helo) == 0 &&
	    strcmp(a->receiving_ip, b->receiving_ip) == 0 &&
	    strcmp(a->information, b->information) == 0 && strcmp(a->reason, b->reason) == 0;
}

/* A session counts once for a detail, however often it is reported. */
static enum store_result
add_failures(struct verdict *verdict, struct store_change *change)
{
	const struct outcome *outcome = verdict->outcome;
	struct arena *arena = verdict->addition->arena;
	size_t i, j,
	    count = outcome->failure_count < LIMIT_REPORT_FAILURES ? outcome->failure_count
								   : LIMIT_REPORT_FAILURES;
	struct outcome_failure *forms = arena_array(arena, count + 1, sizeof(*forms));
	enum store_result result = STORE_OK;

	for (i = 0; i < count && result == STORE_OK; i++) {
		tally_form_failure(arena, &outcome->failures[i], &forms[i]);
		for (j = 0; j < i && !failures_equal(&forms[i], &forms[j]); j++)
			continue;
		if (j == i)
			result = add_failure(verdict, &forms[i], change);
	}
	return result;
}

static enum store_result
add_verdict(struct addition *addition, const struct outcome *outcome, struct store_change *change)
{
	struct verdict verdict = { .addition = addition, .outcome = outcome };
	enum store_result result;

	tally_form_policy(addition->arena, &outcome->policy, addition->domain, &verdict.policy);
	set_policy(&verdict);
	result = get_counts(&verdict, change);
	if (result == STORE_ABSENT)
		result = add_policy(addition, &verdict, change);
	if (result == STORE_OK)
		result = add_failures(&verdict, change);
	if (result != STORE_OK)
		return result;
	return put_text(addition, change, verdict.key,
	    arena_printf(addition->arena, "%" PRIu64 " %" PRIu64 " %" PRIu64,
		verdict.succeeded + !outcome->failed, verdict.failed + outcome->failed,
		verdict.details));
}

static enum store_result
add_session(void *context, struct store_change *change)
{
	struct addition *addition = context;
	enum store_result result = STORE_OK;
	size_t i;

	for (i = 0; i < addition->session->count && result == STORE_OK; i++)
		result = add_verdict(addition, &addition->session->outcomes[i], change);
	return result;
}

static void
count_verdicts(const struct session_outcome *session)
{
	size_t i;

	for (i = 0; i < session->count; i++)
		metrics_count(METRIC_TLSRPT_SESSIONS,
		    outcome_type_name(session->outcomes[i].policy.type),
		    session->outcomes[i].failed ? "failure" : "success");
}

void
tally_add(struct tally *tally, const struct session_outcome *session)
{
	struct addition addition = { .session = session };
	struct domain domain;
	char day[DAY_TEXT], name[DIGEST_TEXT];
	enum store_result result;

	if (tally == NULL || session->count == 0 ||
	    domain_parse(session->domain, strlen(session->domain), &domain) != 0)
		return;
	addition.arena = arena_new();
	addition.domain = domain.name;
	addition.record = tally_form_text(addition.arena, session->record, LIMIT_TXT_RECORD);
	day_format(day_of(session->at_s), day);
	digest(addition.record, strlen(addition.record), name);
	addition.key = arena_printf(addition.arena, "%s %s %s", day, domain.name, name);
	addition.purge_at = tally_purge_at(tally, day_of(session->at_s));
	(void)pthread_mutex_lock(&tally->lock);
	result = store_change(tally->store, STORE_LAZY, add_session, &addition);
	(void)pthread_mutex_unlock(&tally->lock);
	if (result == STORE_OK)
		count_verdicts(session);
	else
		metrics_count(METRIC_TLSRPT_LOST, addition.beyond ? "bound" : "store", NULL);
	arena_free(addition.arena);
}
