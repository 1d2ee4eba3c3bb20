/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * From the tally's entries, in key order, to what one report is about.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/domain.h"
#include "base/number.h"
#include "report/tally.h"
#include "report/tally_form.h"
#include "report/tally_inside.h"

#define WORDS	5	/* of a key at most: day, domain, record, policy, detail */

struct words {
	size_t count;
	struct {
		const char *at;
		size_t length;
	} word[WORDS];
};

struct scan {
	char day[DAY_TEXT];
	const char *domain;	/* the only one; NULL: all */
	bool (*each)(void *context, const struct tally_report *report);
	void *context;
	bool more;

	char last[DOMAIN_MAX];	/* the domain of the last report */
	char counted[DOMAIN_MAX];	/* the domain whose records are next */
	uint64_t records;
	struct arena *arena;	/* of the report being gathered; NULL: none is */
	struct tally_report report;
	char *policy_digest;	/* of the policy gathered last */
	size_t policy_room, detail_room;
};

static bool
split(const char *key, struct words *words)
{
	words->count = 0;
	do {
		if (words->count == WORDS)
			return false;
		key += words->count > 0;
		words->word[words->count].at = key;
		words->word[words->count++].length = strcspn(key, " ");
		key += strcspn(key, " ");
	} while (*key != '\0');
	return words->count >= 2;
}

static bool
word_is(const struct words *words, size_t i, const char *text)
{
	return strlen(text) == words->word[i].length &&
	    memcmp(words->word[i].at, text, words->word[i].length) == 0;
}

/* Arena memory cannot grow: the old array stays where it is until the report is done. */
static void *
grown(struct arena *arena, void *array, size_t count, size_t *room, size_t size)
{
	void *larger;

	if (count < *room)
		return array;
	*room = *room == 0 ? 4 : *room * 2;
	larger = arena_array(arena, *room, size);
	if (count > 0)
		memcpy(larger, array, count * size);
	return larger;
}

static int
compare_policies(const void *one, const void *other)
{
	const struct tally_policy *a = one, *b = other;

	if (a->policy.type != b->policy.type)
		return a->policy.type < b->policy.type ? -1 : 1;
	return strcmp(a->policy.domain, b->policy.domain);
}

/* Entries that a damaged store has lost in part are left out: a policy that is not known, or not
 * counted. */
static void
drop_incomplete(struct tally_report *report)
{
	size_t i, kept = 0;

	for (i = 0; i < report->policy_count; i++) {
		const struct tally_policy *policy = &report->policies[i];

		if (policy->policy.domain != NULL && policy->succeeded + policy->failed > 0)
			report->policies[kept++] = *policy;
	}
	report->policy_count = kept;
}

static void
finish_report(struct scan *scan)
{
	struct tally_report *report = &scan->report;

	if (scan->arena == NULL)
		return;
	drop_incomplete(report);
	if (report->policy_count > 0) {
		qsort(report->policies, report->policy_count, sizeof(*report->policies),
		    compare_policies);
		report->further = strcmp(scan->last, report->domain) == 0;
		(void)snprintf(scan->last, sizeof(scan->last), "%s", report->domain);
		scan->more = scan->each(scan->context, report);
	}
	arena_free(scan->arena);
	scan->arena = NULL;
}

static void
begin_report(struct scan *scan, const struct words *words, const char *value, size_t length)
{
	const char *end = memchr(value, '\n', length);

	finish_report(scan);
	if (end == NULL || words->word[2].length >= DIGEST_TEXT || !scan->more)
		return;
	end++;
	scan->arena = arena_new();
	scan->policy_digest = NULL;
	scan->policy_room = scan->detail_room = 0;
	scan->report = (struct tally_report){ .domain = arena_strndup(scan->arena,
						  words->word[1].at, words->word[1].length),
		.record = arena_strndup(scan->arena, end, length - (size_t)(end - value)) };
	(void)day_parse(scan->day, &scan->report.day);
	if (word_is(words, 1, scan->counted))
		scan->report.records = scan->records;
	memcpy(scan->report.record_digest, words->word[2].at, words->word[2].length);
}

static bool
is_of_report(const struct scan *scan, const struct words *words)
{
	return scan->arena != NULL && word_is(words, 1, scan->report.domain) &&
	    word_is(words, 2, scan->report.record_digest);
}

static void
begin_policy(struct scan *scan, const struct words *words, const char *value, size_t length)
{
	struct tally_report *report = &scan->report;
	const char *text = arena_strndup(scan->arena, value, length);
	struct tally_policy *policy;

	report->policies = grown(scan->arena, report->policies, report->policy_count,
	    &scan->policy_room, sizeof(*report->policies));
	policy = &report->policies[report->policy_count++];
	*policy = (struct tally_policy){ .policy = { .domain = NULL } };
	scan->detail_room = 0;
	scan->policy_digest = arena_strndup(scan->arena, words->word[3].at, words->word[3].length);
	if (!number_take(&text, NUMBER_COUNT_MAX, &policy->succeeded) || !number_skip(&text, ' ') ||
	    !number_take(&text, NUMBER_COUNT_MAX, &policy->failed))
		policy->succeeded = policy->failed = 0;
}

static void
add_detail(struct scan *scan, struct tally_policy *policy, const char *value, size_t length)
{
	const char *end = memchr(value, '\n', length), *at = value;
	struct tally_detail detail = { .sessions = 0 };

	if (end == NULL || !number_take(&at, NUMBER_COUNT_MAX, &detail.sessions) || at != end ||
	    tally_failure_read(scan->arena, end + 1, length - (size_t)(end + 1 - value),
		&detail.failure) != 0)
		return;
	policy->details = grown(scan->arena, policy->details, policy->detail_count,
	    &scan->detail_room, sizeof(*policy->details));
	policy->details[policy->detail_count++] = detail;
}

static void
add_to_policy(struct scan *scan, const struct words *words, const char *value, size_t length)
{
	struct tally_policy *policy = &scan->report.policies[scan->report.policy_count - 1];

	if (!word_is(words, 4, "!"))
		add_detail(scan, policy, value, length);
	else if (tally_policy_read(scan->arena, value, length, &policy->policy) != 0)
		policy->policy.domain = NULL;
}

static void
count_records(struct scan *scan, const struct words *words, const char *value, size_t length)
{
	char *text = xcalloc(1, length + 1);
	const char *at = memcpy(text, value, length);

	scan->counted[0] = '\0';
	if (words->word[1].length < sizeof(scan->counted) &&
	    number_take(&at, NUMBER_COUNT_MAX, &scan->records))
		(void)snprintf(scan->counted, sizeof(scan->counted), "%.*s",
		    (int)words->word[1].length, words->word[1].at);
	free(text);
}

static bool
take_entry(void *context, const char *key, const void *value, size_t length)
{
	struct scan *scan = context;
	struct words words;

	if (!split(key, &words) || !word_is(&words, 0, scan->day) ||
	    (scan->domain != NULL && !word_is(&words, 1, scan->domain))) {
		finish_report(scan);
		return scan->more = false;
	}
	if (words.count == 2)
		count_records(scan, &words, value, length);
	else if (words.count == 3)
		begin_report(scan, &words, value, length);
	else if (words.count == 4 && is_of_report(scan, &words))
		begin_policy(scan, &words, value, length);
	else if (words.count == 5 && is_of_report(scan, &words) && scan->policy_digest != NULL &&
	    word_is(&words, 3, scan->policy_digest))
		add_to_policy(scan, &words, value, length);
	return scan->more;
}

static enum store_result
scan_from(struct tally *tally, int64_t day, struct scan *scan, const char *after)
{
	enum store_result result;

	if (tally_purge_at(tally, day) <= clock_wall_s())
		return STORE_OK;
	scan->more = true;
	result = store_scan(tally_store(tally), STORE_TALLY, after, take_entry, scan);
	if (result == STORE_OK && scan->more)
		finish_report(scan);
	arena_free(scan->arena);
	return result;
}

enum store_result
tally_scan(struct tally *tally, int64_t day, const char *after,
    bool (*each)(void *context, const struct tally_report *report), void *context)
{
	struct scan scan = { .each = each, .context = context };
	char key[DAY_TEXT + DOMAIN_MAX + 1];

	day_format(day, scan.day);
	/* '!' comes right after the blank that follows the domain in every key of its own. */
	(void)snprintf(key, sizeof(key), "%s %s%s", scan.day, after, after[0] == '\0' ? "" : "!");
	return scan_from(tally, day, &scan, key);
}

struct copies {
	struct arena *arena;
	struct tally_report *reports;
	size_t count, room;
};

static const char **
copy_strings(struct arena *arena, const char **strings, size_t count)
{
	const char **copy = arena_array(arena, count + 1, sizeof(*copy));
	size_t i;

	for (i = 0; i < count; i++)
		copy[i] = arena_strdup(arena, strings[i]);
	return copy;
}

static void
copy_detail(struct arena *arena, struct tally_detail *detail)
{
	struct outcome_failure *failure = &detail->failure;

	failure->sending_ip = arena_strdup(arena, failure->sending_ip);
	failure->mx = arena_strdup(arena, failure->mx);
	failure->helo = arena_strdup(arena, failure->helo);
	failure->receiving_ip = arena_strdup(arena, failure->receiving_ip);
	failure->information = arena_strdup(arena, failure->information);
	failure->reason = arena_strdup(arena, failure->reason);
}

static void
copy_policy(struct arena *arena, struct tally_policy *policy)
{
	struct tally_detail *details = arena_array(arena, policy->detail_count + 1,
	    sizeof(*details));
	size_t i;

	policy->policy.domain = arena_strdup(arena, policy->policy.domain);
	policy->policy.strings = copy_strings(arena, policy->policy.strings,
	    policy->policy.string_count);
	policy->policy.mx = copy_strings(arena, policy->policy.mx, policy->policy.mx_count);
	for (i = 0; i < policy->detail_count; i++) {
		details[i] = policy->details[i];
		copy_detail(arena, &details[i]);
	}
	policy->details = details;
}

static bool
copy_report(void *context, const struct tally_report *report)
{
	struct copies *copies = context;
	struct tally_report copy = *report;
	size_t i;

	copy.domain = arena_strdup(copies->arena, report->domain);
	copy.record = arena_strdup(copies->arena, report->record);
	copy.policies = arena_array(copies->arena, copy.policy_count, sizeof(*copy.policies));
	for (i = 0; i < copy.policy_count; i++) {
		copy.policies[i] = report->policies[i];
		copy_policy(copies->arena, &copy.policies[i]);
	}
	copies->reports = grown(copies->arena, copies->reports, copies->count, &copies->room,
	    sizeof(*copies->reports));
	copies->reports[copies->count++] = copy;
	return true;
}

enum store_result
tally_read(struct tally *tally, int64_t day, const char *domain, struct arena *arena,
    struct tally_report **reports, size_t *count)
{
	struct copies copies = { .arena = arena };
	struct scan scan = { .domain = domain, .each = copy_report, .context = &copies };
	char key[DAY_TEXT + DOMAIN_MAX + 1];
	enum store_result result;

	day_format(day, scan.day);
	(void)snprintf(key, sizeof(key), "%s %s ", scan.day, domain);
	result = scan_from(tally, day, &scan, key);
	*reports = copies.reports;
	*count = copies.count;
	for (size_t i = 0; i < copies.count; i++)
		copies.reports[i].records = copies.count;
	return result == STORE_OK && copies.count == 0 ? STORE_ABSENT : result;
}

static bool
take_day(void *context, const char *key, const void *value, size_t length)
{
	char text[DAY_TEXT];
	int64_t *day = context;

	(void)value, (void)length;
	(void)snprintf(text, sizeof(text), "%s", key);
	if (day_parse(text, day) != 0)
		*day = -1;
	return *day < 0;
}

enum store_result
tally_next_day(struct tally *tally, int64_t after, int64_t *day)
{
	char key[DAY_TEXT + 1] = "";
	enum store_result result;

	*day = -1;
	if (after >= 0) {
		day_format(after, key);
		strcat(key, "!");
	}
	result = store_scan(tally_store(tally), STORE_TALLY, key, take_day, day);
	return result == STORE_OK && *day < 0 ? STORE_ABSENT : result;
}
