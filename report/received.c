/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "report/day.h"
#include "report/received.h"

#define OK	"ok"
#define NOT_DETAILED	"not-detailed"
#define UNKNOWN	"unknown"

struct received {
	json_t *ids;	/* of the reports that were added, as keys */
	json_t *rows;	/* by a key of all that tells them apart */
	size_t reports;
};

/* The report that is being added. */
struct reading {
	json_t *rows;
	const char *organization;
	char first[DAY_TEXT], last[DAY_TEXT];	/* "" where the report has no such day */
};

struct received *
received_new(void)
{
	struct received *received = xcalloc(1, sizeof(*received));

	received->ids = json_object();
	received->rows = json_object();
	if (received->ids == NULL || received->rows == NULL)
		abort();
	return received;
}

void
received_free(struct received *received)
{
	if (received == NULL)
		return;
	json_decref(received->ids);
	json_decref(received->rows);
	free(received);
}

/* C0, DEL and C1. */
static bool
is_control(const char *character)
{
	unsigned char first = (unsigned char)character[0], second;

	if (first < 0x20 || first == 0x7f)
		return true;
	second = first == 0xc2 ? (unsigned char)character[1] : 0;
	return second >= 0x80 && second < 0xa0;
}

/* A string without control characters, in one line, bounded; "" where there is none. */
static json_t *
text_in(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	size_t left = json_string_length(value), length, used = 0;
	char line[LIMIT_RECEIVED_TEXT];

	for (size_t i = 0; i < left; i += length) {
		length = utf8_length(text + i, left - i);
		if (length == 0 || used + length > LIMIT_RECEIVED_TEXT)
			break;
		if (is_control(text + i)) {
			line[used++] = '?';
		} else {
			memcpy(line + used, text + i, length);
			used += length;
		}
	}
	return json_stringn(line, used);
}

/* Some senders write counts as anything; only a whole number above 0 is one. */
static json_int_t
count_in(const json_t *object, const char *key)
{
	json_int_t count = json_integer_value(json_object_get(object, key));

	return count > 0 ? count : 0;
}

static json_int_t
sum(json_int_t a, json_int_t b)
{
	json_int_t total;

	return __builtin_add_overflow(a, b, &total) ? a : total;
}

static void
day_in(const json_t *range, const char *key, char day[DAY_TEXT])
{
	const char *text = json_string_value(json_object_get(range, key));
	int64_t ignored;

	snprintf(day, DAY_TEXT, "%s", text != NULL ? text : "");
	if (day_parse(day, &ignored) != 0)
		day[0] = '\0';
}

static void
widen(json_t *row, const char *key, const char *day, bool later)
{
	const char *known = json_string_value(json_object_get(row, key));
	int order = known != NULL ? strcmp(day, known) : 0;

	if (day[0] != '\0' && (known == NULL || (later ? order > 0 : order < 0)))
		json_object_set_new(row, key, json_string(day));
}

/* Adds to the row that these fields name; takes over the reference to it. */
static int
count_row(const struct reading *reading, json_t *fields, json_int_t count)
{
	char *key = json_dumps(fields, JSON_COMPACT | JSON_SORT_KEYS);
	json_t *row = key != NULL ? json_object_get(reading->rows, key) : NULL;
	int status = 0;

	if (key == NULL)
		abort();
	if (row == NULL && json_object_size(reading->rows) >= LIMIT_RECEIVED_ROWS) {
		status = -1;
	} else if (row == NULL) {
		json_object_set(reading->rows, key, fields);
		row = fields;
	}
	if (row != NULL) {
		json_object_set_new(row, "count", json_integer(sum(count_in(row, "count"), count)));
		widen(row, "first", reading->first, false);
		widen(row, "last", reading->last, true);
	}
	free(key);
	json_decref(fields);
	return status;
}

/* Fields that are empty are left out. */
static json_t *
fields_of(const struct reading *reading, const json_t *policy, json_t *result, json_t *host)
{
	json_t *fields = json_object(), *value;
	const char *key;
	void *next;

	json_object_set_new(fields, "organization", json_string(reading->organization));
	json_object_set_new(fields, "domain", text_in(policy, "policy-domain"));
	json_object_set_new(fields, "policy", text_in(policy, "policy-type"));
	json_object_set_new(fields, "result", result);
	json_object_set_new(fields, "host", host);
	json_object_foreach_safe(fields, next, key, value) if (json_string_length(value) == 0)
	    json_object_del(fields, key);
	return fields;
}

static int
add_failures(const struct reading *reading, const json_t *entry, const json_t *policy)
{
	const json_t *summary = json_object_get(entry, "summary"), *detail;
	json_int_t total = count_in(summary, "total-failure-session-count"), told = 0;
	int status = 0;
	size_t i;

	json_array_foreach (json_object_get(entry, "failure-details"), i, detail) {
		json_int_t count = count_in(detail, "failed-session-count");
		json_t *result = text_in(detail, "result-type");

		if (json_string_length(result) == 0)
			json_string_set(result, UNKNOWN);
		told = sum(told, count);
		status |= count_row(reading,
		    fields_of(reading, policy, result, text_in(detail, "receiving-mx-hostname")),
		    count);
	}
	if (total > told)
		status |= count_row(reading,
		    fields_of(reading, policy, json_string(NOT_DETAILED), json_string("")),
		    total - told);
	return status;
}

static int
add_policy(const struct reading *reading, const json_t *entry)
{
	const json_t *policy = json_object_get(entry, "policy");
	json_int_t good = count_in(json_object_get(entry, "summary"),
	    "total-successful-session-count");
	int status = add_failures(reading, entry, policy);

	if (good > 0)
		status |= count_row(reading,
		    fields_of(reading, policy, json_string(OK), json_string("")), good);
	return status;
}

/* The sender, by the first name that it gives; the caller releases it. */
static json_t *
organization_of(const json_t *report)
{
	json_t *name = text_in(report, "organization-name");

	if (json_string_length(name) == 0) {
		json_decref(name);
		name = text_in(report, "contact-info");
	}
	if (json_string_length(name) == 0)
		json_string_set(name, UNKNOWN);
	return name;
}

/* Receivers tell reports apart by their id, which a repeated report keeps (RFC 8460 4.4). */
static bool
is_repeated(struct received *received, const json_t *report, const char *organization)
{
	const char *id = json_string_value(json_object_get(report, "report-id"));
	struct buf key = { 0 };
	bool repeated = false;

	if (id == NULL || id[0] == '\0')
		return false;
	buf_printf(&key, "%s\n%s", organization, id);
	if (json_object_get(received->ids, buf_text(&key)) != NULL)
		repeated = true;
	else
		json_object_set_new(received->ids, buf_text(&key), json_true());
	buf_free(&key);
	return repeated;
}

static int
add_report(struct received *received, const json_t *report, const char **why)
{
	const json_t *range = json_object_get(report, "date-range"), *entry;
	json_t *organization = organization_of(report);
	struct reading reading = { .rows = received->rows,
		.organization = json_string_value(organization) };
	int status = 0;
	size_t i;

	if (!is_repeated(received, report, reading.organization)) {
		received->reports++;
		day_in(range, "start-datetime", reading.first);
		day_in(range, "end-datetime", reading.last);
		json_array_foreach (json_object_get(report, "policies"), i, entry)
			status |= add_policy(&reading, entry);
	}
	if (status != 0)
		*why = "too many different rows: some of its sessions are not counted";
	json_decref(organization);
	return status;
}

int
received_add(struct received *received, const char *octets, size_t length, const char **why)
{
	json_t *report = json_loadb(octets, length, JSON_REJECT_DUPLICATES, NULL);
	int status = -1;

	if (report == NULL)
		*why = "it is not JSON";
	else if (!json_is_array(json_object_get(report, "policies")))
		*why = "it is JSON, but not a TLS report: it has no list \"policies\"";
	else
		status = add_report(received, report, why);
	json_decref(report);
	return status;
}

static bool
is_success(const json_t *row)
{
	return strcmp(json_string_value(json_object_get(row, "result")), OK) == 0;
}

static int
order(const void *a, const void *b)
{
	const json_t *const *left = a, *const *right = b;
	json_int_t more = count_in(*right, "count") - count_in(*left, "count");

	if (is_success(*left) != is_success(*right))
		return is_success(*left) ? 1 : -1;
	return more > 0 ? 1 : more < 0 ? -1 : 0;
}

json_t *
received_rows(const struct received *received)
{
	size_t count = json_object_size(received->rows), used = 0;
	json_t **sorted = xcalloc(count + 1, sizeof(json_t *)), *rows = json_array(), *row;
	const char *key;

	json_object_foreach (received->rows, key, row)
		sorted[used++] = row;
	qsort(sorted, used, sizeof(json_t *), order);
	for (size_t i = 0; i < used; i++)
		json_array_append(rows, sorted[i]);
	free(sorted);
	return json_pack("{s:I, s:o}", "reports", (json_int_t)received->reports, "rows", rows);
}
