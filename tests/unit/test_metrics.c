/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"
#include "policy/dns/resolver.h"
#include "policy/finding.h"
#include "policy/plan.h"

/* Does text have this line? */
static bool
has_line(const char *text, const char *line)
{
	size_t length = strlen(line);
	const char *at;

	for (at = text; (at = strstr(at, line)) != NULL; at += length)
		if ((at == text || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

static void
test_counting(void **state)
{
	int64_t before = metrics_get(METRIC_ATTEMPTS, "sts", "certificate-expired");

	(void)state;
	metrics_count(METRIC_ATTEMPTS, "sts", "certificate-expired");
	metrics_count(METRIC_ATTEMPTS, "none", "certificate-expired");
	metrics_count(METRIC_ATTEMPTS, "sts", "ok");
	assert_int_equal(metrics_get(METRIC_ATTEMPTS, "sts", "certificate-expired"), before + 1);
	metrics_add(METRIC_CONNECTIONS_OPEN, NULL, 3);
	metrics_add(METRIC_CONNECTIONS_OPEN, NULL, -1);
	assert_int_equal(metrics_get(METRIC_CONNECTIONS_OPEN, NULL, NULL), 2);
	metrics_set(METRIC_CONNECTIONS_OPEN, 7);
	assert_int_equal(metrics_get(METRIC_CONNECTIONS_OPEN, NULL, NULL), 7);
	metrics_choose(METRIC_RESOLVER_HEALTH, "broken");
	metrics_choose(METRIC_RESOLVER_HEALTH, "validates");
	assert_int_equal(metrics_get(METRIC_RESOLVER_HEALTH, "validates", NULL), 1);
	assert_int_equal(metrics_get(METRIC_RESOLVER_HEALTH, "broken", NULL), 0);
}

static void
test_what_is_not_in_the_table(void **state)
{
	(void)state;
	metrics_count(METRIC_RECIPIENTS, "eaten", NULL);
	metrics_count(METRIC_RECIPIENTS, NULL, NULL);
	metrics_count(METRIC_RECIPIENTS, "sent", "sent");
	metrics_count(METRIC_TRANSACTIONS, "sent", NULL);
	assert_int_equal(metrics_get(METRIC_RECIPIENTS, "eaten", NULL), -1);
	assert_int_equal(metrics_get(METRIC_RECIPIENTS, NULL, NULL), -1);
	assert_int_equal(metrics_get(METRIC_RECIPIENTS, "sent", "sent"), -1);
	assert_int_equal(metrics_get(METRIC_RECIPIENTS, "sent", NULL), 0);
	assert_int_equal(metrics_get(METRIC_TRANSACTIONS, "sent", NULL), -1);
}

/* All values of the rooms are in the table. */
static void
test_the_words_of_others(void **state)
{
	(void)state;
	for (int type = RESULT_OK; type <= RESULT_DANE_REQUIRED; type++)
		assert_true(metrics_get(METRIC_ATTEMPTS, "sts",
				result_type_name((enum result_type)type)) >= 0);
	for (int type = RESULT_STS_POLICY_FETCH_ERROR; type <= RESULT_STS_WEBPKI_INVALID; type++)
		assert_true(metrics_get(METRIC_POLICY_FETCHES,
				result_type_name((enum result_type)type), NULL) >= 0);
	for (int source = SOURCE_NONE; source <= SOURCE_DANE; source++)
		assert_true(metrics_get(METRIC_ATTEMPTS,
				policy_source_name((enum policy_source)source), "ok") >= 0);
	for (int state_of = DNS_SECURE; state_of <= DNS_FAILED; state_of++)
		assert_true(metrics_get(METRIC_DNS_LOOKUPS,
				dns_state_name((enum dns_state)state_of), NULL) >= 0);
	for (int health = RESOLVER_UNTESTED; health <= RESOLVER_UNANCHORED; health++)
		assert_true(metrics_get(METRIC_RESOLVER_HEALTH,
				resolver_health_name((enum resolver_health)health), NULL) >= 0);
}

static void
test_text(void **state)
{
	struct buf text = { 0 };
	const char *end;

	(void)state;
	metrics_count(METRIC_POLICY_FETCHES, "sts-webpki-invalid", NULL);
	metrics_set(METRIC_CLOCK_STEP, -3600);
	assert_string_equal(metrics_text(METRICS_OPEN, &text),
	    "application/openmetrics-text; version=1.0.0; charset=utf-8");
	assert_true(has_line(text.data, "# TYPE stsgate_policy_fetches counter"));
	assert_true(has_line(text.data,
	    "stsgate_policy_fetches_total{result=\"sts-webpki-invalid\"} 1"));
	assert_true(has_line(text.data, "stsgate_policy_fetches_total{result=\"ok\"} 0"));
	assert_true(has_line(text.data,
	    "stsgate_attempts_total{policy=\"dane\",result=\"dane-required\"} 0"));
	assert_true(has_line(text.data, "# TYPE stsgate_clock_step_seconds gauge"));
	assert_true(has_line(text.data, "stsgate_clock_step_seconds -3600"));
	end = strstr(text.data, "# EOF\n");
	assert_non_null(end);
	assert_string_equal(end, "# EOF\n");
	buf_free(&text);
}

/* The name that a comment line such as "# HELP NAME words" is about, or that of a sample. */
static size_t
name_length(const char *name)
{
	return strcspn(name, " {\n");
}

/* Each sample follows a TYPE and a HELP line of its family, which come once and next to each other;
 * names and suffixes are those of the format. */
static void
check_text(const char *text, enum metrics_format format)
{
	char family[100] = "", type[20] = "";
	bool open = format == METRICS_OPEN;
	size_t families = 0, length, suffix;
	const char *line, *words;

	for (line = text; *line != '\0' && strcmp(line, "# EOF\n") != 0;
	     line = strchr(line, '\n') + 1) {
		if (strncmp(line, "# TYPE ", 7) == 0) {
			families++;
			length = name_length(line + 7);
			assert_in_range(length, strlen("stsgate_") + 1, sizeof(family) - 1);
			(void)snprintf(family, sizeof(family), "%.*s", (int)length, line + 7);
			assert_int_equal(sscanf(line + 7 + length, " %19s", type), 1);
			line = strchr(line, '\n') + 1;
			assert_int_equal(strncmp(line, "# HELP ", 7), 0);
			assert_int_equal(strncmp(line + 7, family, length), 0);
			words = line + 7 + length;
			assert_true(words[0] == ' ' && words[1] >= '0' && words[1] <= 'Z');
			assert_int_equal(strchr(words, '\n')[-1], '.');
			continue;
		}
		assert_int_equal(strncmp(line, "stsgate_", 8), 0);
		length = name_length(line);
		suffix = strcmp(type, "counter") == 0 ? strlen("_total") : 0;
		assert_int_equal(length, strlen(family) + (open ? suffix : 0));
		assert_int_equal(strncmp(line, family, strlen(family)), 0);
		assert_int_equal(strncmp(line + length - suffix, "_total", suffix), 0);
	}
	assert_int_equal(families, METRICS);
	assert_int_equal(*line == '#', open);
}

static void
test_each_format_has_help_and_type(void **state)
{
	struct buf text = { 0 };

	(void)state;
	(void)metrics_text(METRICS_OPEN, &text);
	check_text(text.data, METRICS_OPEN);
	buf_clear(&text);
	assert_string_equal(metrics_text(METRICS_PLAIN, &text),
	    "text/plain; version=0.0.4; charset=utf-8");
	check_text(text.data, METRICS_PLAIN);
	assert_true(has_line(text.data, "# TYPE stsgate_policy_fetches_total counter"));
	assert_true(has_line(text.data,
	    "# HELP stsgate_policy_fetches_total MTA-STS policy "
	    "fetches."));
	buf_free(&text);
}

static void
test_the_format_is_what_the_client_accepts(void **state)
{
	static const struct {
		const char *accept;
		enum metrics_format format;
	} cases[] = {
		{ NULL, METRICS_OPEN },
		{ "", METRICS_OPEN },
		{ "*/*", METRICS_OPEN },
		{ "application/json", METRICS_OPEN },
		{ "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", METRICS_OPEN },
		{ "application/openmetrics-text", METRICS_OPEN },
		{ "text/plain", METRICS_PLAIN },
		{ "TEXT/Plain ; version=0.0.4", METRICS_PLAIN },
		{ "text/*", METRICS_PLAIN },
		{ "text/plain, */*", METRICS_PLAIN },
		{ "*/*, text/plain", METRICS_PLAIN },
		{ "text/plain;q=0, */*", METRICS_OPEN },
		{ "text/plain;q=0", METRICS_OPEN },
		{ "text/plain;q=0.2,*/*;q=0.1", METRICS_PLAIN },
		{ "text/plain;q=0.1,*/*;q=0.2", METRICS_OPEN },
		{ "text/plain;q=0.5, application/openmetrics-text;q=0.50", METRICS_OPEN },
		{ "text/plain;q=0.501, application/openmetrics-text;q=0.5", METRICS_PLAIN },
		{ "application/openmetrics-text;q=0, */*", METRICS_PLAIN },
		{ "text/plain;Q=1.000;x=y", METRICS_PLAIN },
		/* Prometheus 2 and 3 */
		{ "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;"
		  "version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
		    METRICS_OPEN },
		{ "text/plain;version=0.0.4;q=1,*/*;q=0.1", METRICS_PLAIN },
		{ "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;"
		  "version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.2",
		    METRICS_OPEN },
		/* weights that are none */
		{ "text/plain;q=2", METRICS_OPEN },
		{ "text/plain;q=1.1", METRICS_OPEN },
		{ "text/plain;q=0.1234", METRICS_OPEN },
		{ "text/plain;q=", METRICS_OPEN },
		{ "text/plain;q=-1", METRICS_OPEN },
		{ ";,=;;,q=1", METRICS_OPEN },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (metrics_format_for(cases[i].accept) != cases[i].format)
			fail_msg("%s", cases[i].accept);
}

static void
test_json(void **state)
{
	struct buf text = { 0 };

	(void)state;
	metrics_set(METRIC_START_TIME, 1700000000);
	metrics_json(&text);
	assert_int_equal(strncmp(text.data, "{\"start_time_seconds\":1700000000,", 33), 0);
	assert_non_null(strstr(text.data, ",\"attempts_total.none.not-judged\":0,"));
	assert_int_equal(text.data[text.length - 1], '}');
	assert_null(strstr(text.data, ",,"));
	buf_free(&text);
}

static void *
count_much(void *context)
{
	for (int i = 0; i < 10000; i++)
		metrics_count(METRIC_TRANSACTIONS, NULL, NULL);
	return context;
}

static void
test_threads(void **state)
{
	pthread_t threads[4];
	int64_t before = metrics_get(METRIC_TRANSACTIONS, NULL, NULL);

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_much, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(metrics_get(METRIC_TRANSACTIONS, NULL, NULL) - before, 40000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counting),
		cmocka_unit_test(test_what_is_not_in_the_table),
		cmocka_unit_test(test_the_words_of_others),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_each_format_has_help_and_type),
		cmocka_unit_test(test_the_format_is_what_the_client_accepts),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
