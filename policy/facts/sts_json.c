/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/domain.h"
#include "base/utc.h"
#include "base/conf/conf_value.h"
#include "policy/plan_text.h"
#include "policy/facts/sts_json.h"

static void
set_time(json_t *object, const char *key, int64_t wall_s)
{
	char text[UTC_TEXT_MAX];

	if (wall_s == 0)
		return;
	utc_text(wall_s, text);
	json_object_set_new(object, key, json_string(text));
}

static json_t *
patterns(const struct sts_policy *policy)
{
	json_t *mx = json_array();

	for (size_t i = 0; i < policy->mx_count; i++)
		json_array_append_new(mx, json_string(policy->mx[i]));
	return mx;
}

char *
sts_json_write(const struct sts_entry *entry)
{
	const struct sts_policy *policy = &entry->policy;
	json_t *object = json_object();
	char *text;

	json_object_set_new(object, "domain", json_string(entry->domain));
	json_object_set_new(object, "mode", json_string(sts_mode_name(policy->mode)));
	json_object_set_new(object, "id", json_string(policy->id));
	json_object_set_new(object, "mx", patterns(policy));
	json_object_set_new(object, "max_age", json_integer(policy->max_age));
	set_time(object, "fetched", entry->fetched);
	set_time(object, "expires", entry->expires);
	set_time(object, "refresh", entry->refresh);
	if (entry->last_error[0] != '\0')
		json_object_set_new(object, "last_error", json_string(entry->last_error));
	if (policy->body_length > 0)
		json_object_set_new(object, "policy",
		    json_stringn(policy->body, policy->body_length));
	text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(object);
	if (text == NULL)	/* no memory: see base/arena.h */
		abort();
	return text;
}

static int __attribute__((format(printf, 2, 3)))
refuse(char why[STS_JSON_WHY_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, STS_JSON_WHY_MAX, format, args);
	va_end(args);
	return -1;
}

static int
read_domain(struct arena *arena, const json_t *object, struct sts_entry *entry,
    char why[STS_JSON_WHY_MAX])
{
	const char *text = json_string_value(json_object_get(object, "domain"));
	struct domain domain;

	if (text == NULL)
		return refuse(why, "no \"domain\"");
	if (conf_host(text, &domain) != 0)
		return refuse(why, "\"domain\" is not a domain name");
	entry->domain = arena_strdup(arena, domain.name);
	return 0;
}

/* The id must be one that a TXT record can have (RFC 8461 3.1). */
static int
read_id(struct arena *arena, const json_t *object, struct sts_policy *policy,
    char why[STS_JSON_WHY_MAX])
{
	const char *id = json_string_value(json_object_get(object, "id")), *invalid = "";
	struct sts_text record;

	if (id == NULL)
		return refuse(why, "no \"id\"");
	record.octets = arena_printf(arena, "v=STSv1; id=%s;", id);
	record.length = strlen(record.octets);
	if (sts_txt_parse(&record, 1, policy->id, &invalid) != STS_TXT_VALID ||
	    strcmp(policy->id, id) != 0)
		return refuse(why, "\"id\" is not the id of a TXT record");
	return 0;
}

static int
read_time(const json_t *object, const char *key, int64_t *wall_s, char why[STS_JSON_WHY_MAX])
{
	const char *text = json_string_value(json_object_get(object, key));

	if (text == NULL)
		return refuse(why, "no \"%s\"", key);
	if (utc_read(text, wall_s) == 0 && *wall_s > 0)
		return 0;
	return refuse(why, "\"%s\" is not a time like 2026-01-31T23:59:59Z", key);
}

/* The file that would have said the same. */
static void
write_file(const json_t *object, struct buf *file)
{
	const char *mode = json_string_value(json_object_get(object, "mode"));
	const json_t *max_age = json_object_get(object, "max_age"), *pattern;
	size_t i;

	buf_add_text(file, "version: STSv1\n");
	if (mode != NULL)
		buf_printf(file, "mode: %s\n", mode);
	if (json_is_integer(max_age))
		buf_printf(file, "max_age: %" JSON_INTEGER_FORMAT "\n",
		    json_integer_value(max_age));
	json_array_foreach (json_object_get(object, "mx"), i, pattern)
		buf_printf(file, "mx: %s\n",
		    json_is_string(pattern) ? json_string_value(pattern) : "");
}

/* Its own words must not contradict the file. */
static int
check_mode(const json_t *object, const struct sts_policy *policy, char why[STS_JSON_WHY_MAX])
{
	const char *mode = json_string_value(json_object_get(object, "mode"));

	if (mode != NULL && strcmp(mode, sts_mode_name(policy->mode)) != 0)
		return refuse(why, "\"mode\" is not the mode of \"policy\"");
	return 0;
}

static int
read_policy(struct arena *arena, const json_t *object, struct sts_policy *policy,
    char why[STS_JSON_WHY_MAX])
{
	const json_t *served = json_object_get(object, "policy");
	struct finding finding = { .type = RESULT_OK };
	struct buf file = { 0 };
	int result;

	if (served != NULL && !json_is_string(served))
		return refuse(why, "\"policy\" is no text");
	if (served != NULL)
		buf_add(&file, json_string_value(served), json_string_length(served));
	else
		write_file(object, &file);
	result = sts_policy_parse(arena, buf_text(&file), file.length, policy, &finding);
	if (result != 0)
		(void)refuse(why, "the policy is not valid: %s", finding.reason);
	else
		result = check_mode(object, policy, why);
	buf_free(&file);
	return result;
}

static int
read_object(struct arena *arena, const json_t *object, struct sts_entry *entry,
    char why[STS_JSON_WHY_MAX])
{
	if (!json_is_object(object))
		return refuse(why, "not a JSON object");
	if (read_domain(arena, object, entry, why) != 0 ||
	    read_policy(arena, object, &entry->policy, why) != 0 ||
	    read_id(arena, object, &entry->policy, why) != 0 ||
	    read_time(object, "fetched", &entry->fetched, why) != 0)
		return -1;
	entry->expires = entry->fetched + entry->policy.max_age;
	return 0;
}

int
sts_json_read(struct arena *arena, const char *text, size_t length, struct sts_entry *entry,
    char why[STS_JSON_WHY_MAX])
{
	json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	int result;

	*entry = (struct sts_entry){ .domain = "", .last_error = "" };
	result = read_object(arena, object, entry, why);
	json_decref(object);
	return result;
}
