/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/utc.h"
#include "report/bundle.h"
#include "report/outbox.h"
#include "report/report.h"
#include "shim/control/control_tlsrpt.h"

#define PAGE_OCTETS	(4 * 1024 * 1024)	/* well below what clients read */

static json_t *
json_time(int64_t wall_s)
{
	char text[UTC_TEXT_MAX];

	utc_text(wall_s, text);
	return json_string(text);
}

static void
answer_json(json_t *json, struct control_answer *answer)
{
	answer->status = 200;
	answer->text = json_dumps(json, JSON_COMPACT);
	if (answer->text == NULL)
		answer->text = xstrdup("{}");
	json_decref(json);
}

static int
read_day(const char *text, int64_t *day)
{
	*day = day_of(clock_wall_s());
	if (strcmp(text, "today") == 0)
		return 0;
	if (strcmp(text, "yesterday") == 0) {
		*day -= 1;
		return 0;
	}
	return day_parse(text, day);
}

struct question {
	int64_t day;
	struct domain domain, after;	/* "" : all, from the start */
};

static int
read_domain(const char *text, struct domain *domain, struct control_answer *answer)
{
	domain->name[0] = '\0';
	return text == NULL || text[0] == '\0' ? 0 : control_domain(text, domain, answer);
}

/* 0, or -1 with the answer given. */
static int
read_question(const struct control_tlsrpt *tlsrpt, const struct control_tlsrpt_query *query,
    struct question *question, struct control_answer *answer)
{
	const char *slash = strchrnul(query->path, '/');
	char day[16];

	(void)snprintf(day, sizeof(day), "%.*s", (int)(slash - query->path), query->path);
	if (read_day(day, &question->day) != 0) {
		control_refuse(answer, 400, "not a day: YYYY-MM-DD");
		return -1;
	}
	if (read_domain(*slash == '/' ? slash + 1 : query->domain, &question->domain, answer) !=
		0 ||
	    read_domain(query->after, &question->after, answer) != 0)
		return -1;
	if (tlsrpt->tally != NULL)
		return 0;
	control_refuse(answer, 404, "nothing is counted: tlsrpt.enable is off");
	return -1;
}

struct reports {
	const struct control_tlsrpt *tlsrpt;
	const struct control_tlsrpt_query *query;
	bool running;
	struct buf text;
	char domain[DOMAIN_MAX];	/* the last one */
	unsigned domains;
	bool failed;	/* the store */
};

static void
add_bundle(struct reports *reports, struct arena *arena, const struct bundle *bundle)
{
	struct reporter_name name;

	if (reports->query->sendable && bundle->count == 0)
		return;
	reports->domains++;
	reporter_name_from(arena, reports->query->conf, &name);
	buf_add_char(&reports->text, reports->text.length == 0 ? '[' : ',');
	buf_add_text(&reports->text, report_json(arena, &bundle->report, &name, reports->running));
}

/* A page ends between two domains. */
static bool
add_report(void *context, const struct tally_report *report)
{
	struct reports *reports = context;
	struct bundles bundles;
	struct arena *arena;

	if (strcmp(reports->domain, report->domain) != 0) {
		if (reports->domains == reports->query->limit || reports->text.length > PAGE_OCTETS)
			return false;
		(void)snprintf(reports->domain, sizeof(reports->domain), "%s", report->domain);
	}
	arena = arena_new();
	reports->failed = bundle_scanned(reports->tlsrpt->tally, arena, reports->query->conf,
			      report, &bundles) == STORE_FAILED;
	for (size_t i = 0; i < bundles.count; i++)
		add_bundle(reports, arena, &bundles.at[i]);
	arena_free(arena);
	return !reports->failed;
}

static enum store_result
gather(struct reports *reports, const struct question *question)
{
	struct tally *tally = reports->tlsrpt->tally;
	struct arena *arena;
	struct tally_report *found;
	size_t i, count;
	enum store_result result;

	if (question->domain.name[0] == '\0')
		return tally_scan(tally, question->day, question->after.name, add_report, reports);
	arena = arena_new();
	result = tally_read(tally, question->day, question->domain.name, arena, &found, &count);
	for (i = 0; result == STORE_OK && i < count; i++)
		(void)add_report(reports, &found[i]);
	arena_free(arena);
	return result;
}

static void
show_reports(const struct control_tlsrpt *tlsrpt, const struct control_tlsrpt_query *query,
    const struct question *question, struct control_answer *answer)
{
	struct reports reports = {
		.tlsrpt = tlsrpt, .query = query, .running = question->day >= day_of(clock_wall_s())
	};
	enum store_result result = gather(&reports, question);

	if (result == STORE_FAILED || reports.failed) {
		control_refuse(answer, 500, "the store cannot be read");
	} else if (reports.text.length == 0 && question->after.name[0] == '\0') {
		control_refuse(answer, 404, "there is no report for that day");
	} else {
		buf_add_text(&reports.text, reports.text.length == 0 ? "[]" : "]");
		answer->status = 200;
		answer->text = xstrdup(buf_text(&reports.text));
	}
	buf_free(&reports.text);
}

struct entries {
	json_t *array;
	char domain[DOMAIN_MAX];	/* the last one */
	unsigned left;
};

static bool
add_entry(void *context, const char *key, const struct outbox_entry *entry)
{
	struct entries *entries = context;
	json_t *object;

	(void)key;
	if (strcmp(entries->domain, entry->domain) != 0) {
		if (entries->left-- == 0)
			return false;
		(void)snprintf(entries->domain, sizeof(entries->domain), "%s", entry->domain);
	}
	object = json_pack("{s:s,s:s,s:i}", "domain", entry->domain, "state",
	    outbox_state_name(entry->state), "tries", (int)entry->tries);
	(void)json_object_set_new(object, "rua",
	    json_sprintf(entry->scheme == RUA_HTTPS ? "%s" : "mailto:%s", entry->target));
	if (entry->first_s != 0)
		(void)json_object_set_new(object, "first", json_time(entry->first_s));
	(void)json_object_set_new(object, entry->state == OUTBOX_WAITING ? "next" : "settled",
	    json_time(entry->next_s));
	if (entry->error[0] != '\0')
		(void)json_object_set_new(object, "error", json_string(entry->error));
	(void)json_array_append_new(entries->array, object);
	return true;
}

static void
show_status(const struct control_tlsrpt *tlsrpt, const struct control_tlsrpt_query *query,
    const struct question *question, struct control_answer *answer)
{
	struct entries entries = { .array = json_array(), .left = query->limit };

	if (outbox_scan(tlsrpt->store, question->day, question->domain.name, question->after.name,
		add_entry, &entries) != STORE_FAILED) {
		answer_json(entries.array, answer);
		return;
	}
	json_decref(entries.array);
	control_refuse(answer, 500, "the store cannot be read");
}

void
control_tlsrpt_show(const struct control_tlsrpt *tlsrpt, const struct control_tlsrpt_query *query,
    struct control_answer *answer)
{
	struct question question;

	if (read_question(tlsrpt, query, &question, answer) != 0)
		return;
	if (query->status)
		show_status(tlsrpt, query, &question, answer);
	else
		show_reports(tlsrpt, query, &question, answer);
}

static bool
count_entry(void *context, const char *key, const struct outbox_entry *entry)
{
	json_int_t *counts = context;

	(void)key;
	counts[entry->state]++;
	return true;
}

/* The state of a day: unknown values are left out. */
static const char *
state_of(const struct control_tlsrpt *tlsrpt, int64_t day, bool planned,
    const struct outbox_day *state)
{
	if (day >= day_of(clock_wall_s()))
		return "counting";
	if (tlsrpt->conf->tlsrpt.enable != TLSRPT_SEND)
		return "kept";
	return planned && state->done ? "taken-up" : "planned";
}

static json_t *
describe_day(const struct control_tlsrpt *tlsrpt, int64_t day)
{
	json_int_t counts[OUTBOX_GIVEN_UP + 1] = { 0 };
	struct outbox_day state;
	char text[DAY_TEXT];
	bool planned = outbox_day_read(tlsrpt->store, day, &state) == STORE_OK;
	json_t *object;

	day_format(day, text);
	(void)outbox_scan(tlsrpt->store, day, "", "", count_entry, counts);
	object = json_pack("{s:s,s:s,s:I,s:I,s:I}", "date", text, "state",
	    state_of(tlsrpt, day, planned, &state), "waiting", counts[OUTBOX_WAITING], "taken",
	    counts[OUTBOX_TAKEN], "given_up", counts[OUTBOX_GIVEN_UP]);
	if (planned)
		(void)json_object_set_new(object, "send_at", json_time(state.send_at_s));
	return object;
}

void
control_tlsrpt_days(const struct control_tlsrpt *tlsrpt, struct control_answer *answer)
{
	json_t *days = json_array();
	int64_t day = -1;

	while (tlsrpt->tally != NULL && tally_next_day(tlsrpt->tally, day, &day) == STORE_OK)
		if (tally_purge_at(tlsrpt->tally, day) > clock_wall_s())
			(void)json_array_append_new(days, describe_day(tlsrpt, day));
	answer_json(json_pack("{s:o}", "days", days), answer);
}

static void
add_result(void *context, const struct reporter_result *result)
{
	json_t *object = json_pack("{s:s,s:s,s:s,s:b}", "domain", result->domain, "rua",
	    result->rua, "report_id", result->report_id, "taken", result->taken);

	if (!result->taken && result->why[0] != '\0')
		(void)json_object_set_new(object, "error", json_string(result->why));
	(void)json_array_append_new(context, object);
}

static void
log_order(const struct question *question, int64_t uid)
{
	struct log_line line;
	char day[DAY_TEXT];

	day_format(question->day, day);
	log_begin(&line, LOG_LEVEL_INFO, "control");
	log_text(&line, "do", "report-send");
	log_text(&line, "day", day);
	log_text(&line, "domain", question->domain.name[0] != '\0' ? question->domain.name : NULL);
	log_number(&line, "uid", uid);
	log_end(&line);
}

static void
send_reports(const struct control_tlsrpt *tlsrpt, const struct control_tlsrpt_query *query,
    const struct question *question, struct control_answer *answer)
{
	const struct reporter_request request = { question->day, question->domain.name,
		question->after.name, query->watch };
	json_t *results = json_array(), *object;
	struct domain next;

	log_order(question, query->uid);
	switch (reporter_send(tlsrpt->reporter, &request, add_result, results, &next)) {
	case REPORTER_DONE:
		object = json_pack("{s:O}", "reports", results);
		if (next.name[0] != '\0')
			(void)json_object_set_new(object, "next", json_string(next.name));
		answer_json(object, answer);
		break;
	case REPORTER_NOTHING:
		control_refuse(answer, 404, "there is no report to send for that day");
		break;
	case REPORTER_GONE:
		control_refuse(answer, 500, "broken off");
		break;
	case REPORTER_FAILED:
		control_refuse(answer, 500, "the store cannot be read or written");
		break;
	}
	json_decref(results);
}

void
control_tlsrpt_send(const struct control_tlsrpt *tlsrpt, const struct control_tlsrpt_query *query,
    struct control_answer *answer)
{
	struct question question;

	if (read_question(tlsrpt, query, &question, answer) != 0)
		return;
	if (!reporter_may_send(query->conf))
		control_refuse(answer, 403,
		    "tlsrpt.organization and tlsrpt.contact must be set "
		    "before a report can be sent");
	else if (question.day == day_of(clock_wall_s()) && !query->force)
		control_refuse(answer, 409,
		    "that day is not over yet: --force sends the figures "
		    "so far, and does not replace the day's report");
	else
		send_reports(tlsrpt, query, &question, answer);
}
