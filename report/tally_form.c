/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/ip.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "report/tally_form.h"

#define REPLACEMENT	"\xef\xbf\xbd"	/* U+FFFD */

/* RFC 7493 2.1: what is no UTF-8 must not reach a report. */
const char *
tally_form_text(struct arena *arena, const char *text, size_t limit)
{
	struct buf form = { 0 };
	size_t at, step, piece, length = strlen(text);
	const char *result;

	for (at = 0; at < length; at += step) {
		step = utf8_length(text + at, length - at);
		piece = step != 0 ? step : sizeof(REPLACEMENT) - 1;
		if (form.length + piece > limit)
			break;
		buf_add(&form, step != 0 ? text + at : REPLACEMENT, piece);
		step += step == 0;
	}
	result = arena_strndup(arena, buf_text(&form), form.length);
	buf_free(&form);
	return result;
}

static const char *
form_address(struct arena *arena, const char *text)
{
	char form[IP_TEXT_MAX];
	struct ip ip;

	if (ip_parse(text, &ip) != 0)
		return "";
	ip_format(&ip, form);
	return arena_strdup(arena, form);
}

/* "250-mx.example.com greets you\r\n250 STARTTLS", as Postfix gives it, is mx.example.com. */
static const char *
form_helo(struct arena *arena, const char *text)
{
	if (strncmp(text, "250", 3) == 0 && (text[3] == '-' || text[3] == ' '))
		text += 4;
	return tally_form_text(arena, arena_strndup(arena, text, strcspn(text, " \t\r\n")),
	    LIMIT_REPORT_NAME);
}

/* RFC 3986 3: a scheme, and nothing that would have to be encoded. */
static const char *
form_uri(struct arena *arena, const char *text)
{
	const char *at = text;

	while (isalnum((unsigned char)*at) ||
	    (at > text && strchr("+-.", *at) != NULL && *at != '\0'))
		at++;
	if (!isalpha((unsigned char)*text) || *at != ':' || at[1] == '\0')
		return "";
	for (at = text; *at > ' ' && *at < 0x7f && strchr("\"<>\\^`{|}", *at) == NULL; at++)
		continue;
	return *at != '\0' || (size_t)(at - text) > LIMIT_REPORT_TEXT ? ""
								      : arena_strdup(arena, text);
}

void
tally_form_failure(struct arena *arena, const struct outcome_failure *failure,
    struct outcome_failure *form)
{
	form->type = failure->type;
	form->sending_ip = form_address(arena, failure->sending_ip);
	form->mx = tally_form_text(arena, failure->mx, LIMIT_REPORT_NAME);
	form->helo = form_helo(arena, failure->helo);
	form->receiving_ip = form_address(arena, failure->receiving_ip);
	form->information = form_uri(arena, failure->information);
	form->reason = tally_form_text(arena, failure->reason, LIMIT_REPORT_TEXT);
}

static void
form_strings(struct arena *arena, const char **strings, size_t count, const char ***forms,
    size_t *form_count)
{
	size_t i, left = LIMIT_REPORT_POLICY;

	*forms = arena_array(arena, count + 1, sizeof(**forms));
	*form_count = 0;
	for (i = 0; i < count; i++) {
		const char *form = tally_form_text(arena, strings[i], left);

		left -= strlen(form);
		if (form[0] != '\0')
			(*forms)[(*form_count)++] = form;
	}
}

static int
compare_strings(const void *one, const void *other)
{
	return strcmp(*(const char *const *)one, *(const char *const *)other);
}

void
tally_form_policy(struct arena *arena, const struct outcome_policy *policy, const char *domain,
    struct outcome_policy *form)
{
	form->type = policy->type;
	form->domain = tally_form_text(arena, policy->domain[0] != '\0' ? policy->domain : domain,
	    LIMIT_REPORT_NAME);
	form_strings(arena, policy->strings, policy->string_count, &form->strings,
	    &form->string_count);
	form_strings(arena, policy->mx, policy->mx_count, &form->mx, &form->mx_count);
	/* The order of records in a DNS answer means nothing, that of lines in a policy does. */
	if (policy->type == OUTCOME_TLSA)
		qsort(form->strings, form->string_count, sizeof(*form->strings), compare_strings);
}

static const char *
write_json(struct arena *arena, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	const char *copy;

	json_decref(json);
	if (text == NULL)
		abort();
	copy = arena_strdup(arena, text);
	free(text);
	return copy;
}

static json_t *
make_array(const char *const *strings, size_t count)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < count; i++)
		(void)json_array_append_new(array, json_string(strings[i]));
	return array;
}

const char *
tally_policy_write(struct arena *arena, const struct outcome_policy *form)
{
	return write_json(arena,
	    json_pack("{s:i,s:s,s:o,s:o}", "type", (int)form->type, "domain", form->domain,
		"strings", make_array(form->strings, form->string_count), "mx",
		make_array(form->mx, form->mx_count)));
}

const char *
tally_failure_write(struct arena *arena, const struct outcome_failure *form)
{
	return write_json(arena,
	    json_pack("[s,s,s,s,s,s,s]", result_type_name(form->type), form->sending_ip, form->mx,
		form->helo, form->receiving_ip, form->information, form->reason));
}

static const char **
read_array(struct arena *arena, const json_t *array, size_t *count)
{
	const char **strings = arena_array(arena, json_array_size(array) + 1, sizeof(*strings));
	const json_t *string;
	size_t i;

	json_array_foreach (array, i, string)
		strings[i] = arena_strdup(arena,
		    json_is_string(string) ? json_string_value(string) : "");
	*count = json_array_size(array);
	return strings;
}

static bool
read_type(json_int_t number, enum outcome_type *type)
{
	static const enum outcome_type types[] = { OUTCOME_TLSA, OUTCOME_STS, OUTCOME_NO_POLICY };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (number == (json_int_t)types[i]) {
			*type = types[i];
			return true;
		}
	return false;
}

int
tally_policy_read(struct arena *arena, const char *text, size_t length, struct outcome_policy *form)
{
	json_t *json = json_loadb(text, length, 0, NULL), *strings, *mx;
	const char *domain;
	json_int_t type;
	int failed;

	failed = json_unpack(json, "{s:I,s:s,s:o,s:o}", "type", &type, "domain", &domain, "strings",
	    &strings, "mx", &mx);
	if (failed == 0 &&
	    (!read_type(type, &form->type) || domain[0] == '\0' ||
		strlen(domain) > LIMIT_REPORT_NAME))
		failed = -1;
	if (failed == 0) {
		form->domain = arena_strdup(arena, domain);
		form->strings = read_array(arena, strings, &form->string_count);
		form->mx = read_array(arena, mx, &form->mx_count);
	}
	json_decref(json);
	return failed;
}

/* RESULT_OK: no name of a failure. */
static enum result_type
type_named(const char *name)
{
	enum result_type type;

	for (type = RESULT_STARTTLS_NOT_SUPPORTED; type <= RESULT_DANE_REQUIRED; type++)
		if (strcmp(result_type_name(type), name) == 0)
			return type;
	return RESULT_OK;
}

int
tally_failure_read(struct arena *arena, const char *text, size_t length,
    struct outcome_failure *form)
{
	json_t *json = json_loadb(text, length, 0, NULL);
	const char *type, *texts[6];
	int failed = json_unpack(json, "[s,s,s,s,s,s,s!]", &type, &texts[0], &texts[1], &texts[2],
	    &texts[3], &texts[4], &texts[5]);

	if (failed == 0)
		*form = (struct outcome_failure){ type_named(type), arena_strdup(arena, texts[0]),
			arena_strdup(arena, texts[1]), arena_strdup(arena, texts[2]),
			arena_strdup(arena, texts[3]), arena_strdup(arena, texts[4]),
			arena_strdup(arena, texts[5]) };
	json_decref(json);
	return failed == 0 && form->type == RESULT_OK ? -1 : failed;
}
