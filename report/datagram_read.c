/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/domain.h"
#include "base/ip.h"
#include "base/limits.h"
#include "report/datagram.h"
#include "report/datagram_code.h"

#define DEPTH_MAX	16	/* a datagram needs five; each level takes from the stack */
#define HELO_MAX	255

struct reading {
	struct arena *arena;
	struct session_outcome *session;
	const char **why;
};

static int
refuse(const struct reading *reading, const char *why)
{
	*reading->why = why;
	return -1;
}

static bool
is_shallow(const char *octets, size_t length)
{
	bool quoted = false;
	int depth = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (quoted && octets[i] == '\\')
			i++;
		else if (octets[i] == '"')
			quoted = !quoted;
		else if (!quoted && (octets[i] == '[' || octets[i] == '{') && ++depth > DEPTH_MAX)
			return false;
		else if (!quoted && (octets[i] == ']' || octets[i] == '}'))
			depth--;
	}
	return true;
}

/* "" where it is missing, NULL if it is not a string. A long value is cut. */
static const char *
read_text(const struct reading *reading, const json_t *object, const char *key, size_t most)
{
	const json_t *value = json_object_get(object, key);
	size_t length;

	if (value == NULL || json_is_null(value))
		return "";
	if (!json_is_string(value))
		return NULL;
	length = json_string_length(value);
	return outcome_text(reading->arena, json_string_value(value),
	    length < most ? length : most);
}

static const char *
read_name(const struct reading *reading, const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	struct domain domain;

	if (!json_is_string(value) ||
	    domain_parse(json_string_value(value), json_string_length(value), &domain) != 0)
		return NULL;
	return arena_strdup(reading->arena, domain.name);
}

/* An array of strings, which may be missing. Empty ones say nothing. */
static int
read_strings(const struct reading *reading, const json_t *object, const char *key,
    const char ***texts, size_t *count)
{
	const json_t *array = json_object_get(object, key), *value;
	size_t i, length;

	*count = 0;
	if (array == NULL)
		return 0;
	if (!json_is_array(array) || json_array_size(array) > LIMIT_DATAGRAM_STRINGS)
		return -1;
	*texts = arena_array(reading->arena, json_array_size(array), sizeof((*texts)[0]));
	json_array_foreach (array, i, value) {
		length = json_string_length(value);
		if (!json_is_string(value) || length > LIMIT_DATAGRAM_TEXT)
			return -1;
		if (length > 0)
			(*texts)[(*count)++] = outcome_text(reading->arena,
			    json_string_value(value), length);
	}
	return 0;
}

/* Postfix sends the whole answer to EHLO: "250-mx.example.com\r\n250 ...". What is read here and
 * sent on must be read alike, so that no code is left at its start. */
static const char *
helo_of(struct arena *arena, const char *text)
{
	size_t length;

	while (isdigit((unsigned char)text[0]) && isdigit((unsigned char)text[1]) &&
	    isdigit((unsigned char)text[2]) && (text[3] == '-' || text[3] == ' '))
		text += 4;
	length = strcspn(text, " \t\r\n");
	return outcome_text(arena, text, length < HELO_MAX ? length : HELO_MAX);
}

static const char *
address_of(struct arena *arena, const char *text)
{
	char again[IP_TEXT_MAX];
	struct ip ip;

	if (ip_parse(text, &ip) != 0)
		return "";
	ip_format(&ip, again);
	return arena_strdup(arena, again);
}

/* additional-information is a URI, and not the free text that some put there. */
static const char *
uri_of(const char *text)
{
	size_t scheme = strspn(text,
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "0123456789+-.");

	return scheme > 0 && text[scheme] == ':' && strpbrk(text, " \t\r\n") == NULL ? text : "";
}

static int
read_failure(const struct reading *reading, const json_t *object, struct outcome_failure *failure)
{
	const json_t *code = json_object_get(object, "c");
	const char *texts[6];
	static const char keys[6][2] = { "s", "n", "h", "r", "a", "f" };
	size_t i;

	if (!json_is_integer(code))
		return refuse(reading, "a failure without a code");
	failure->type = datagram_code_type(json_integer_value(code));
	if (failure->type == RESULT_OK)
		return refuse(reading, "a failure with an unknown code");
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		texts[i] = read_text(reading, object, keys[i], LIMIT_DATAGRAM_TEXT);
		if (texts[i] == NULL)
			return refuse(reading, "a failure with a value that is not a string");
	}
	failure->sending_ip = address_of(reading->arena, texts[0]);
	failure->mx = outcome_text(reading->arena, texts[1], DOMAIN_MAX - 1);
	failure->helo = helo_of(reading->arena, texts[2]);
	failure->receiving_ip = address_of(reading->arena, texts[3]);
	failure->information = uri_of(texts[4]);
	failure->reason = outcome_text(reading->arena, texts[5], LIMIT_DATAGRAM_REASON);
	return 0;
}

static int
read_failures(const struct reading *reading, const json_t *object, struct outcome *outcome)
{
	const json_t *array = json_object_get(object, "failure-details"), *value;
	size_t i;

	if (array == NULL)
		return 0;
	if (!json_is_array(array) || json_array_size(array) > LIMIT_DATAGRAM_FAILURES)
		return refuse(reading, "failure-details is not an array, or too long");
	outcome->failures = arena_array(reading->arena, json_array_size(array),
	    sizeof(outcome->failures[0]));
	json_array_foreach (array, i, value)
		if (read_failure(reading, value, &outcome->failures[outcome->failure_count++]) != 0)
			return -1;
	return 0;
}

static int
compare_texts(const void *a, const void *b)
{
	const char *const *left = a, *const *right = b;

	return strcmp(*left, *right);
}

/* One policy, whatever the order in which a name server gave the records, and the case of HEX. */
static void
sort_records(const struct reading *reading, struct outcome_policy *policy)
{
	char *text;
	size_t i, j;

	for (i = 0; i < policy->string_count; i++) {
		text = arena_strdup(reading->arena, policy->strings[i]);
		for (j = 0; text[j] != '\0'; j++)
			if (text[j] >= 'a' && text[j] <= 'f')
				text[j] = (char)(text[j] - 'a' + 'A');
		policy->strings[i] = text;
	}
	if (policy->string_count > 1)
		qsort(policy->strings, policy->string_count, sizeof(policy->strings[0]),
		    compare_texts);
}

static bool
read_type(const json_t *object, enum outcome_type *type)
{
	static const enum outcome_type types[] = { OUTCOME_TLSA, OUTCOME_STS, OUTCOME_NO_POLICY };
	const json_t *number = json_object_get(object, "policy-type");
	size_t i;

	for (i = 0; json_is_integer(number) && i < sizeof(types) / sizeof(types[0]); i++)
		if (json_integer_value(number) == (json_int_t)types[i]) {
			*type = types[i];
			return true;
		}
	return false;
}

/* Postfix before 3.10.5 leaves it out where there is no policy. */
static const char *
read_policy_domain(const struct reading *reading, const json_t *object)
{
	if (json_object_get(object, "policy-domain") == NULL)
		return reading->session->domain;
	return read_name(reading, object, "policy-domain");
}

static int
read_policy(const struct reading *reading, const json_t *object, struct outcome *outcome)
{
	const json_t *failed = json_object_get(object, "f");
	struct outcome_policy *policy = &outcome->policy;

	if (!read_type(object, &policy->type))
		return refuse(reading, "a policy of unknown type");
	policy->domain = read_policy_domain(reading, object);
	if (policy->domain == NULL)
		return refuse(reading, "policy-domain is not a domain name");
	if (read_strings(reading, object, "policy-string", &policy->strings,
		&policy->string_count) != 0 ||
	    read_strings(reading, object, "mx-host", &policy->mx, &policy->mx_count) != 0)
		return refuse(reading,
		    "policy-string or mx-host is not an array of strings, or "
		    "too long");
	if (policy->type == OUTCOME_TLSA)
		sort_records(reading, policy);
	if (!json_is_boolean(failed) &&
	    !(json_is_integer(failed) &&
		(json_integer_value(failed) == 0 || json_integer_value(failed) == 1)))
		return refuse(reading, "a policy without a final result");
	outcome->failed = json_is_true(failed) || json_integer_value(failed) == 1;
	return read_failures(reading, object, outcome);
}

static int
read_policies(const struct reading *reading, const json_t *array)
{
	struct session_outcome *session = reading->session;
	const json_t *value;
	size_t i;

	if (!json_is_array(array) || json_array_size(array) == 0 ||
	    json_array_size(array) > LIMIT_DATAGRAM_POLICIES)
		return refuse(reading, "policies is not an array, empty or too long");
	session->outcomes = arena_array(reading->arena, json_array_size(array),
	    sizeof(session->outcomes[0]));
	json_array_foreach (array, i, value)
		if (read_policy(reading, value, &session->outcomes[session->count++]) != 0)
			return -1;
	return 0;
}

static int
read_session(const struct reading *reading, const json_t *object)
{
	struct session_outcome *session = reading->session;
	const json_t *version = json_object_get(object, "dpv");

	if (!json_is_object(object))
		return refuse(reading, "no JSON object");
	/* Senders older than libtlsrpt 0.5 say none. */
	if (version != NULL &&
	    (!json_is_string(version) || strcmp(json_string_value(version), "1") != 0))
		return refuse(reading, "an unknown version of the protocol");
	session->domain = read_name(reading, object, "d");
	if (session->domain == NULL)
		return refuse(reading, "d is not a domain name");
	session->record = read_text(reading, object, "pr", LIMIT_TXT_RECORD + 1);
	if (session->record == NULL || session->record[0] == '\0' ||
	    strlen(session->record) > LIMIT_TXT_RECORD)
		return refuse(reading, "pr is no TXT record");
	return read_policies(reading, json_object_get(object, "policies"));
}

int
datagram_read(struct arena *arena, const char *octets, size_t length, int64_t at_s,
    struct session_outcome *session, const char **why)
{
	const struct reading reading = { .arena = arena, .session = session, .why = why };
	json_t *object;
	int result;

	*session = (struct session_outcome){ .at_s = at_s };
	if (length > LIMIT_DATAGRAM)
		return refuse(&reading, "too long");
	if (!is_shallow(octets, length))
		return refuse(&reading, "nested too deeply");
	object = json_loadb(octets, length, 0, NULL);
	result = read_session(&reading, object);
	json_decref(object);
	return result;
}
