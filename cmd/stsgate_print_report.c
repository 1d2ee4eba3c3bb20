/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <string.h>

#include "cmd/stsgate_print.h"
#include "cmd/stsgate_terminal.h"

static json_int_t
number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void
print_words(FILE *out, const char *before, const char *text)
{
	if (text[0] != '\0')
		fputs(before, out);
	stsgate_terminal_print(out, text);
}

static void
print_detail(FILE *out, const json_t *detail)
{
	fprintf(out, "    %6" JSON_INTEGER_FORMAT " ", number_of(detail, "failed-session-count"));
	print_words(out, "", stsgate_print_text(detail, "result-type"));
	print_words(out, " ", stsgate_print_text(detail, "receiving-mx-hostname"));
	print_words(out, " ", stsgate_print_text(detail, "receiving-ip"));
	print_words(out, ": ", stsgate_print_text(detail, "failure-reason-code"));
	fputc('\n', out);
}

static void
print_policy_of(FILE *out, const json_t *entry)
{
	const json_t *policy = json_object_get(entry, "policy");
	const json_t *summary = json_object_get(entry, "summary"), *detail;
	size_t i;

	print_words(out, "  ", stsgate_print_text(policy, "policy-type"));
	print_words(out, " ", stsgate_print_text(policy, "policy-domain"));
	fprintf(out, ": %" JSON_INTEGER_FORMAT " succeeded, %" JSON_INTEGER_FORMAT " failed\n",
	    number_of(summary, "total-successful-session-count"),
	    number_of(summary, "total-failure-session-count"));
	json_array_foreach (json_object_get(entry, "failure-details"), i, detail)
		print_detail(out, detail);
}

void
stsgate_print_report(FILE *out, const json_t *report)
{
	const json_t *policy;
	size_t i;

	print_words(out, "", stsgate_print_text(report, "report-id"));
	fputc('\n', out);
	json_array_foreach (json_object_get(report, "policies"), i, policy)
		print_policy_of(out, policy);
}

void
stsgate_print_report_days(FILE *out, const json_t *days)
{
	const json_t *day;
	size_t i;

	fprintf(out, "%-10s  %-8s  %-20s  %8s  %8s  %8s\n", "DATE", "STATE", "SEND AT", "WAITING",
	    "TAKEN", "GIVEN UP");
	json_array_foreach (json_object_get(days, "days"), i, day)
		fprintf(out,
		    "%-10s  %-8s  %-20s  %8" JSON_INTEGER_FORMAT "  %8" JSON_INTEGER_FORMAT
		    "  %8" JSON_INTEGER_FORMAT "\n",
		    stsgate_print_text(day, "date"), stsgate_print_text(day, "state"),
		    stsgate_print_text(day, "send_at"), number_of(day, "waiting"),
		    number_of(day, "taken"), number_of(day, "given_up"));
}

void
stsgate_print_report_entries(FILE *out, const json_t *entries)
{
	const json_t *entry;
	size_t i;

	fprintf(out, "%-30s  %-8s  %5s  %-20s  %s\n", "DOMAIN", "STATE", "TRIES", "NEXT", "RUA");
	json_array_foreach (entries, i, entry) {
		fprintf(out, "%-30s  %-8s  %5" JSON_INTEGER_FORMAT "  %-20s  ",
		    stsgate_print_text(entry, "domain"), stsgate_print_text(entry, "state"),
		    number_of(entry, "tries"), stsgate_print_text(entry, "next"));
		print_words(out, "", stsgate_print_text(entry, "rua"));
		print_words(out, ": ", stsgate_print_text(entry, "error"));
		fputc('\n', out);
	}
}

void
stsgate_print_report_results(FILE *out, const json_t *results)
{
	const json_t *result;
	size_t i;

	json_array_foreach (results, i, result) {
		fputs(json_is_true(json_object_get(result, "taken")) ? "taken  " : "FAILED ", out);
		print_words(out, " ", stsgate_print_text(result, "domain"));
		print_words(out, "  ", stsgate_print_text(result, "rua"));
		print_words(out, ": ", stsgate_print_text(result, "error"));
		fputc('\n', out);
	}
}

/* "DAY" or "FIRST..LAST". */
static void
print_days(FILE *out, const json_t *row)
{
	const char *first = stsgate_print_text(row, "first"),
		   *last = stsgate_print_text(row, "last");

	print_words(out, "  ", first);
	if (strcmp(first, last) != 0)
		print_words(out, "..", last);
}

void
stsgate_print_received(FILE *out, const json_t *received)
{
	const json_t *row;
	size_t i;

	fprintf(out, "%8s  %-28s  %-16s  %-20s  %s\n", "SESSIONS", "RESULT", "POLICY", "DOMAIN",
	    "SENDER, DAYS, HOST");
	json_array_foreach (json_object_get(received, "rows"), i, row) {
		fprintf(out, "%8" JSON_INTEGER_FORMAT "  %-28s  %-16s  %-20s  ",
		    number_of(row, "count"), stsgate_print_text(row, "result"),
		    stsgate_print_text(row, "policy"), stsgate_print_text(row, "domain"));
		stsgate_terminal_print(out, stsgate_print_text(row, "organization"));
		print_days(out, row);
		print_words(out, "  ", stsgate_print_text(row, "host"));
		fputc('\n', out);
	}
}
