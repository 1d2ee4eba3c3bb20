/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/limits.h"
#include "report/bundle.h"
#include "report/sender.h"

#define REPORTS_MAX	32	/* bits of a set; the tally holds LIMIT_REPORT_RECORDS */

_Static_assert(LIMIT_REPORT_RECORDS <= REPORTS_MAX, "as many as a set has bits");

/* A receiver, and which of the reports name it. */
struct receiver {
	struct rua rua;
	uint32_t of;
};

struct receivers {
	struct receiver at[LIMIT_REPORT_RECEIVERS];
	size_t count, left_out;
};

static void
note_receiver(struct receivers *receivers, const struct rua *rua, size_t report)
{
	size_t i;

	for (i = 0; i < receivers->count; i++)
		if (rua_equal(&receivers->at[i].rua, rua)) {
			receivers->at[i].of |= UINT32_C(1) << report;
			return;
		}
	if (receivers->count == LIMIT_REPORT_RECEIVERS)
		receivers->left_out++;
	else
		receivers->at[receivers->count++] = (struct receiver){ *rua,
			UINT32_C(1) << report };
}

static int
compare_lists(const char **a, size_t a_count, const char **b, size_t b_count)
{
	size_t i;
	int order = 0;

	for (i = 0; order == 0 && i < a_count && i < b_count; i++)
		order = strcmp(a[i], b[i]);
	return order != 0 ? order : (a_count > b_count) - (a_count < b_count);
}

/* In the order of a report: tlsa, sts, no-policy-found. */
static int
compare_policies(const void *one, const void *other)
{
	const struct outcome_policy *a = &((const struct tally_policy *)one)->policy;
	const struct outcome_policy *b = &((const struct tally_policy *)other)->policy;
	int order;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	order = strcmp(a->domain, b->domain);
	if (order == 0)
		order = compare_lists(a->strings, a->string_count, b->strings, b->string_count);
	return order != 0 ? order : compare_lists(a->mx, a->mx_count, b->mx, b->mx_count);
}

static int
compare_details(const void *one, const void *other)
{
	const struct outcome_failure *a = &((const struct tally_detail *)one)->failure;
	const struct outcome_failure *b = &((const struct tally_detail *)other)->failure;
	const char *of_a[] = { a->sending_ip, a->mx, a->helo, a->receiving_ip, a->information,
		a->reason };
	const char *of_b[] = { b->sending_ip, b->mx, b->helo, b->receiving_ip, b->information,
		b->reason };

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return compare_lists(of_a, 6, of_b, 6);
}

/* Adds b's figures to a's, which has room for its details too. */
static void
add_figures(struct tally_policy *a, const struct tally_policy *b)
{
	a->succeeded += b->succeeded;
	a->failed += b->failed;
	if (b->detail_count > 0)
		memcpy(a->details + a->detail_count, b->details,
		    b->detail_count * sizeof(*b->details));
	a->detail_count += b->detail_count;
}

static void
join_details(struct tally_policy *policy)
{
	size_t i, kept = 0;

	qsort(policy->details, policy->detail_count, sizeof(*policy->details), compare_details);
	for (i = 0; i < policy->detail_count; i++) {
		if (kept > 0 &&
		    compare_details(&policy->details[kept - 1], &policy->details[i]) == 0)
			policy->details[kept - 1].sessions += policy->details[i].sessions;
		else
			policy->details[kept++] = policy->details[i];
	}
	policy->detail_count = kept;
}

/* The policies of all these reports, sorted, each as often as it occurs in them. */
static void
gather_policies(struct arena *arena, const struct tally_report *reports, size_t count, uint32_t set,
    struct tally_report *joined)
{
	size_t i, j, all = 0;

	for (i = 0; i < count; i++)
		all += (set >> i & 1) != 0 ? reports[i].policy_count : 0;
	joined->policies = arena_array(arena, all + 1, sizeof(*joined->policies));
	joined->policy_count = 0;
	for (i = 0; i < count; i++)
		for (j = 0; (set >> i & 1) != 0 && j < reports[i].policy_count; j++)
			joined->policies[joined->policy_count++] = reports[i].policies[j];
	qsort(joined->policies, joined->policy_count, sizeof(*joined->policies), compare_policies);
}

static void
join_policies(struct arena *arena, struct tally_report *joined)
{
	struct tally_policy *policies = joined->policies, *one;
	size_t i = 0, j, end, details, kept = 0;

	while (i < joined->policy_count) {
		details = 0;
		for (end = i; end < joined->policy_count &&
		     compare_policies(&policies[i], &policies[end]) == 0;
		     end++)
			details += policies[end].detail_count;
		one = arena_alloc(arena, sizeof(*one));
		*one = (struct tally_policy){ .policy = policies[i].policy };
		one->details = arena_array(arena, details + 1, sizeof(*one->details));
		for (j = i; j < end; j++)
			add_figures(one, &policies[j]);
		join_details(one);
		policies[kept++] = *one;
		i = end;
	}
	joined->policy_count = kept;
}

/* One record's report stays as it is, so that its name is the same on every try. */
static struct tally_report
join(struct arena *arena, const struct tally_report *reports, size_t count, uint32_t set)
{
	struct tally_report joined = { .day = 0 };
	char digests[REPORTS_MAX * DIGEST_TEXT] = "";
	size_t i, of = 0;

	for (i = 0; i < count; i++)
		if ((set >> i & 1) != 0) {
			joined = of++ == 0 ? reports[i] : joined;
			strcat(digests, reports[i].record_digest);
		}
	if (of < 2)
		return joined;
	digest(digests, strlen(digests), joined.record_digest);
	gather_policies(arena, reports, count, set, &joined);
	join_policies(arena, &joined);
	return joined;
}

static struct bundle *
bundle_of(struct bundles *bundles, uint32_t *sets, uint32_t set)
{
	size_t i;

	for (i = 0; i < bundles->count && sets[i] != set; i++)
		continue;
	return i < bundles->count ? &bundles->at[i] : NULL;
}

static struct bundle *
add_bundle(struct arena *arena, const struct tally_report *reports, size_t count, uint32_t set,
    struct bundles *bundles)
{
	struct bundle *bundle = &bundles->at[bundles->count];

	bundle->report = join(arena, reports, count, set);
	bundle->report.further = bundles->count > 0;
	bundle->at = arena_array(arena, LIMIT_REPORT_RECEIVERS, sizeof(*bundle->at));
	bundle->count = 0;
	bundles->count++;
	return bundle;
}

void
bundle_reports(struct arena *arena, const struct conf *conf, const struct tally_report *reports,
    size_t count, struct bundles *bundles)
{
	struct receivers *receivers = arena_alloc(arena, sizeof(*receivers));
	uint32_t sets[LIMIT_REPORT_RECEIVERS + REPORTS_MAX];
	struct bundle *bundle;
	struct rua_list list;
	size_t i, j;

	*bundles = (struct bundles){ .at = arena_array(arena, LIMIT_REPORT_RECEIVERS + REPORTS_MAX,
					 sizeof(*bundles->at)) };
	count = count < REPORTS_MAX ? count : REPORTS_MAX;
	for (i = 0; i < count; i++) {
		sender_ruas(conf, arena, &reports[i], &list);
		for (j = 0; j < list.count; j++)
			note_receiver(receivers, &list.at[j], i);
		if (list.count == 0) {
			sets[bundles->count] = UINT32_C(1) << i;
			(void)add_bundle(arena, reports, count, UINT32_C(1) << i, bundles);
		}
	}
	for (i = 0; i < receivers->count; i++) {
		bundle = bundle_of(bundles, sets, receivers->at[i].of);
		if (bundle == NULL) {
			sets[bundles->count] = receivers->at[i].of;
			bundle = add_bundle(arena, reports, count, receivers->at[i].of, bundles);
		}
		bundle->at[bundle->count++] = receivers->at[i].rua;
	}
	bundles->left_out = receivers->left_out;
}

enum store_result
bundle_read(struct tally *tally, struct arena *arena, const struct conf *conf, int64_t day,
    const char *domain, struct bundles *bundles)
{
	struct tally_report *reports;
	size_t count;
	enum store_result result = tally_read(tally, day, domain, arena, &reports, &count);

	*bundles = (struct bundles){ .count = 0 };
	if (result == STORE_OK)
		bundle_reports(arena, conf, reports, count, bundles);
	return result;
}

enum store_result
bundle_scanned(struct tally *tally, struct arena *arena, const struct conf *conf,
    const struct tally_report *report, struct bundles *bundles)
{
	*bundles = (struct bundles){ .count = 0 };
	if (report->records == 1) {
		bundle_reports(arena, conf, report, 1, bundles);
		return STORE_OK;
	}
	return report->further
	    ? STORE_OK
	    : bundle_read(tally, arena, conf, report->day, report->domain, bundles);
}
