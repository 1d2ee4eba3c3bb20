/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/limits.h"
#include "report/bundle.h"

static struct conf_destination none[1];
static const struct conf conf = { .destinations = none, .tlsrpt = { .success_only = true } };
static struct arena *arena;

static int
set_up(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct tally_report
report_of(const char *record, size_t number, struct tally_policy *policies, size_t count)
{
	struct tally_report report = { .day = 20000,
		.domain = "a.example",
		.record = record,
		.further = number > 0,
		.policies = policies,
		.policy_count = count };

	(void)snprintf(report.record_digest, sizeof(report.record_digest), "%020zu", number);
	return report;
}

static struct tally_policy
policy_of(enum outcome_type type, const char *domain, const char **strings, uint64_t succeeded,
    uint64_t failed)
{
	return (struct tally_policy){ .policy = { .type = type,
					  .domain = domain,
					  .strings = strings,
					  .string_count = strings != NULL ? 1 : 0 },
		.succeeded = succeeded,
		.failed = failed };
}

static void
one_record_is_its_own_report(void **state)
{
	struct tally_policy policy = policy_of(OUTCOME_NO_POLICY, "a.example", NULL, 3, 0);
	struct tally_report report = report_of("v=TLSRPTv1;rua=mailto:a@x,https://y/", 7, &policy,
	    1);
	struct bundles bundles;

	(void)state;
	bundle_reports(arena, &conf, &report, 1, &bundles);
	assert_int_equal(bundles.count, 1);
	assert_int_equal(bundles.at[0].count, 2);
	assert_string_equal(bundles.at[0].report.record_digest, report.record_digest);
	assert_ptr_equal(bundles.at[0].report.policies, &policy);
	assert_int_equal(bundles.left_out, 0);
}

static void
a_receiver_gets_the_figures_of_every_record_that_names_it(void **state)
{
	static const char *one[] = { "3 1 1 AA" }, *other[] = { "3 1 1 BB" };
	struct tally_detail old[] = { { { RESULT_CERTIFICATE_EXPIRED, "", "mx", "", "", "", "" },
	    2 } };
	struct tally_detail fresh[] = { { { RESULT_CERTIFICATE_EXPIRED, "", "mx", "", "", "", "" },
					    5 },
		{ { RESULT_CERTIFICATE_EXPIRED, "", "my", "", "", "", "" }, 1 } };
	struct tally_policy first[] = { policy_of(OUTCOME_STS, "a.example", NULL, 1, 2),
		policy_of(OUTCOME_TLSA, "mx", one, 4, 0) };
	struct tally_policy second[] = { policy_of(OUTCOME_TLSA, "mx", other, 8, 0),
		policy_of(OUTCOME_TLSA, "mx", one, 16, 0),
		policy_of(OUTCOME_STS, "a.example", NULL, 32, 6) };
	struct tally_report reports[] = { report_of("v=TLSRPTv1;rua=mailto:both@x", 0, first, 2),
		report_of("v=TLSRPTv1;rua=mailto:late@x,mailto:Both@X", 1, second, 3) };
	const struct tally_report *joined;
	struct bundles bundles;

	(void)state;
	first[0].details = old;
	first[0].detail_count = 1;
	second[2].details = fresh;
	second[2].detail_count = 2;
	bundle_reports(arena, &conf, reports, 2, &bundles);
	assert_int_equal(bundles.count, 2);
	assert_int_equal(bundles.at[0].count, 1);
	assert_string_equal(bundles.at[0].at[0].target, "both@x");
	joined = &bundles.at[0].report;
	assert_int_equal(joined->policy_count, 3);
	assert_int_equal(joined->policies[0].policy.type, OUTCOME_TLSA);
	assert_string_equal(joined->policies[0].policy.strings[0], "3 1 1 AA");
	assert_int_equal(joined->policies[0].succeeded, 20);
	assert_int_equal(joined->policies[1].succeeded, 8);
	assert_int_equal(joined->policies[2].policy.type, OUTCOME_STS);
	assert_int_equal(joined->policies[2].succeeded, 33);
	assert_int_equal(joined->policies[2].failed, 8);
	assert_int_equal(joined->policies[2].detail_count, 2);
	assert_int_equal(joined->policies[2].details[0].sessions, 7);
	assert_int_equal(joined->policies[2].details[1].sessions, 1);
	assert_string_not_equal(joined->record_digest, reports[0].record_digest);
	/* the other one as it was counted */
	assert_int_equal(bundles.at[1].count, 1);
	assert_string_equal(bundles.at[1].at[0].target, "late@x");
	assert_string_equal(bundles.at[1].report.record_digest, reports[1].record_digest);
	assert_int_equal(bundles.at[1].report.policy_count, 3);
	assert_true(!joined->further && bundles.at[1].report.further);
	/* what was counted is not touched */
	assert_int_equal(first[0].succeeded, 1);
	assert_int_equal(old[0].sessions, 2);
}

static void
records_without_a_receiver_are_shown_alone(void **state)
{
	struct tally_policy policy = policy_of(OUTCOME_NO_POLICY, "a.example", NULL, 3, 0);
	struct tally_report reports[] = { report_of("v=TLSRPTv1;rua=mailto:a@x", 0, &policy, 1),
		report_of("v=TLSRPTv1;rua=mailto:a@x;;", 1, &policy, 1) };
	struct bundles bundles;

	(void)state;
	bundle_reports(arena, &conf, reports, 2, &bundles);
	assert_int_equal(bundles.count, 2);
	assert_int_equal(bundles.at[0].count + bundles.at[1].count, 1);
}

/* As many records as a day may have, each with ten receivers of its own. */
static void
there_are_so_many_receivers_and_no_more(void **state)
{
	struct tally_policy policy = policy_of(OUTCOME_NO_POLICY, "a.example", NULL, 1, 0);
	struct tally_report reports[LIMIT_REPORT_RECORDS];
	size_t i, j, receivers = 0;
	struct bundles bundles;

	(void)state;
	for (i = 0; i < LIMIT_REPORT_RECORDS; i++) {
		const char *record = "v=TLSRPTv1;rua=mailto:a@x";

		for (j = 0; j < LIMIT_RUAS - 1; j++)
			record = arena_printf(arena, "%s,mailto:v%zu-%zu@x", record, i, j);
		reports[i] = report_of(record, i, &policy, 1);
	}
	bundle_reports(arena, &conf, reports, LIMIT_REPORT_RECORDS, &bundles);
	for (i = 0; i < bundles.count; i++)
		receivers += bundles.at[i].count;
	assert_int_equal(receivers, LIMIT_REPORT_RECEIVERS);
	assert_int_equal(bundles.left_out,
	    1 + LIMIT_REPORT_RECORDS * (LIMIT_RUAS - 1) - LIMIT_REPORT_RECEIVERS);
	assert_int_equal(bundles.at[0].report.policies[0].succeeded, LIMIT_REPORT_RECORDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_record_is_its_own_report, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
		    a_receiver_gets_the_figures_of_every_record_that_names_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(records_without_a_receiver_are_shown_alone, set_up,
		    tear_down),
		cmocka_unit_test_setup_teardown(there_are_so_many_receivers_and_no_more, set_up,
		    tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
