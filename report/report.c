/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "report/report.h"

static const char *
sender_of(struct arena *arena, const struct conf *conf)
{
	return conf->tlsrpt.sender[0] != '\0'
	    ? conf->tlsrpt.sender
	    : arena_printf(arena, "tls-reports@%s", conf->hostname);
}

bool
reporter_is_sender(const struct conf *conf, const char *mailbox)
{
	struct arena *arena = arena_new();
	bool same = strcasecmp(mailbox, sender_of(arena, conf)) == 0;

	arena_free(arena);
	return same;
}

void
reporter_name_from(struct arena *arena, const struct conf *conf, struct reporter_name *name)
{
	const char *at;
	struct domain domain;

	name->sender = sender_of(arena, conf);
	name->organization = conf->tlsrpt.organization[0] != '\0' ? conf->tlsrpt.organization
								  : conf->hostname;
	name->contact = conf->tlsrpt.contact[0] != '\0' ? conf->tlsrpt.contact : name->sender;
	at = strrchr(name->contact, '@');
	if (at != NULL && domain_parse(at + 1, strlen(at + 1), &domain) == 0)
		memcpy(name->submitter, domain.name, sizeof(domain.name));
	else
		(void)snprintf(name->submitter, sizeof(name->submitter), "%s", conf->hostname);
}

bool
reporter_may_send(const struct conf *conf)
{
	return conf->tlsrpt.enable != TLSRPT_OFF && conf->tlsrpt.organization[0] != '\0' &&
	    conf->tlsrpt.contact[0] != '\0';
}

const char *
report_id(struct arena *arena, const struct tally_report *report, const struct reporter_name *name,
    bool running)
{
	char day[DAY_TEXT];

	day_format(report->day, day);
	return arena_printf(arena, "%.4s%.2s%.2s.%s%s.%s@%s", day, day + 5, day + 8,
	    report->record_digest, running ? "p" : "", report->domain, name->submitter);
}

const char *
report_file_name(struct arena *arena, const char *submitter, const char *domain, int64_t day,
    const char *unique)
{
	return arena_printf(arena, "%s!%s!%" PRId64 "!%" PRId64 "%s%s.json.gz", submitter, domain,
	    day * DAY_S, (day + 1) * DAY_S - 1, unique[0] != '\0' ? "!" : "", unique);
}

static json_t *
make_strings(const char *const *strings, size_t count)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		(void)json_array_append_new(array, json_string(strings[i]));
	return array;
}

/* Unknown values are left out: receivers fail on "" and null. */
static void
set_known(json_t *object, const char *key, const char *text)
{
	if (text[0] != '\0')
		(void)json_object_set_new(object, key, json_string(text));
}

static json_t *
make_detail(const struct tally_detail *detail)
{
	const struct outcome_failure *failure = &detail->failure;
	json_t *object = json_object();

	set_known(object, "result-type", result_type_name(failure->type));
	set_known(object, "sending-mta-ip", failure->sending_ip);
	set_known(object, "receiving-mx-hostname", failure->mx);
	set_known(object, "receiving-mx-helo", failure->helo);
	set_known(object, "receiving-ip", failure->receiving_ip);
	(void)json_object_set_new(object, "failed-session-count",
	    json_integer((json_int_t)detail->sessions));
	set_known(object, "additional-information", failure->information);
	set_known(object, "failure-reason-code", failure->reason);
	return object;
}

static json_t *
make_details(const struct tally_policy *policy)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < policy->detail_count; i++)
		(void)json_array_append_new(array, make_detail(&policy->details[i]));
	return array;
}

static json_t *
make_policy(const struct tally_policy *tally)
{
	const struct outcome_policy *policy = &tally->policy;

	return json_pack("{s:{s:s,s:o,s:s,s:o},s:{s:I,s:I},s:o}", "policy", "policy-type",
	    outcome_type_name(policy->type), "policy-string",
	    make_strings(policy->strings, policy->string_count), "policy-domain", policy->domain,
	    "mx-host", make_strings(policy->mx, policy->mx_count), "summary",
	    "total-successful-session-count", (json_int_t)tally->succeeded,
	    "total-failure-session-count", (json_int_t)tally->failed, "failure-details",
	    make_details(tally));
}

static json_t *
make_policies(const struct tally_report *report)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < report->policy_count; i++)
		(void)json_array_append_new(array, make_policy(&report->policies[i]));
	return array;
}

/* RFC 8460 4.4 */
const char *
report_json(struct arena *arena, const struct tally_report *report,
    const struct reporter_name *name, bool running)
{
	char day[DAY_TEXT];
	char *text;
	const char *copy;
	json_t *json;

	day_format(report->day, day);
	json = json_pack("{s:s,s:{s:s,s:s},s:s,s:s,s:o}", "organization-name", name->organization,
	    "date-range", "start-datetime", arena_printf(arena, "%sT00:00:00Z", day),
	    "end-datetime", arena_printf(arena, "%sT23:59:59Z", day), "contact-info", name->contact,
	    "report-id", report_id(arena, report, name, running), "policies",
	    make_policies(report));
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	if (text == NULL)
		abort();	/* every text is UTF-8 since it was counted */
	copy = arena_strdup(arena, text);
	free(text);
	return copy;
}
