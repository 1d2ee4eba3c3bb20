/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/utf8.h"
#include "policy/sts.h"
#include "policy/sts_char.h"

struct reading {
	struct arena *arena;
	struct sts_policy policy;
	struct finding *why;
	size_t line;	/* counted from 1 */
	size_t blank;	/* an empty line before this one, 0 for none */
	bool has_version, has_mode, has_max_age;
};

static int
invalid(struct reading *reading, const char *what)
{
	finding_set(reading->why, RESULT_STS_POLICY_INVALID, "line %zu: %s", reading->line, what);
	return -1;
}

static int
incomplete(struct reading *reading, const char *what)
{
	finding_set(reading->why, RESULT_STS_POLICY_INVALID, "%s", what);
	return -1;
}

static bool
is_text(const struct sts_text *value, const char *text)
{
	return value->length == strlen(text) && memcmp(value->octets, text, value->length) == 0;
}

/* Nothing but sts-policy-vchar and, where allowed, %x20 (RFC 8461 3.2). */
static bool
is_vchars(const struct sts_text *text, bool space_allowed)
{
	size_t i;

	for (i = 0; i < text->length; i++) {
		unsigned char c = (unsigned char)text->octets[i];

		if (c < 0x20 || c == 0x7f || (c == ' ' && !space_allowed))
			return false;
	}
	return utf8_is_valid(text->octets, text->length);
}

static int
take_mode(struct reading *reading, const struct sts_text *value)
{
	static const enum sts_mode modes[] = { STS_MODE_NONE, STS_MODE_TESTING, STS_MODE_ENFORCE };
	size_t i;

	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (is_text(value, sts_mode_name(modes[i]))) {
			reading->policy.mode = modes[i];
			return 0;
		}
	return invalid(reading, "unknown mode");
}

static int
take_max_age(struct reading *reading, const struct sts_text *value)
{
	uint64_t seconds = 0;
	size_t i;

	if (value->length > 10)	/* 1*10(DIGIT) */
		return invalid(reading, "max_age is too long");
	for (i = 0; i < value->length; i++) {
		if (!sts_is_digit(value->octets[i]))
			return invalid(reading, "max_age is not a number");
		seconds = seconds * 10 + (uint64_t)(value->octets[i] - '0');
	}
	reading->policy.max_age_capped = seconds > LIMIT_STS_MAX_AGE;
	if (reading->policy.max_age_capped)
		seconds = LIMIT_STS_MAX_AGE;
	reading->policy.max_age = (uint32_t)seconds;
	return 0;
}

/* Any value is kept, in lower case and without its trailing dot: a value that is not a name, or has
 * a "*" other than as its first label, matches no host. */
static int
take_mx(struct reading *reading, const struct sts_text *value)
{
	size_t i, length = value->length;
	char *pattern;

	if (reading->policy.mx_count == LIMIT_STS_MX_PATTERNS) {
		finding_set(reading->why, RESULT_STS_POLICY_FETCH_ERROR, "too-many-mx-patterns");
		return -1;
	}
	if (length > 1 && value->octets[length - 1] == '.' && value->octets[length - 2] != '.')
		length--;
	pattern = arena_strndup(reading->arena, value->octets, length);
	for (i = 0; i < length; i++)
		pattern[i] = sts_lower(pattern[i]);
	reading->policy.mx[reading->policy.mx_count++] = pattern;
	return 0;
}

/* RFC 8461 3.2: of a field given twice, mx apart, all but the first are ignored; so are unknown
 * fields, even those whose name has invalid syntax. */
static int
take_field(struct reading *reading, const struct sts_text *name, const struct sts_text *value)
{
	if (is_text(name, "mx"))
		return take_mx(reading, value);
	if (is_text(name, "version") && !reading->has_version) {
		reading->has_version = true;
		return is_text(value, "STSv1") ? 0 : invalid(reading, "unknown version");
	}
	if (is_text(name, "mode") && !reading->has_mode) {
		reading->has_mode = true;
		return take_mode(reading, value);
	}
	if (is_text(name, "max_age") && !reading->has_max_age) {
		reading->has_max_age = true;
		return take_max_age(reading, value);
	}
	return 0;
}

static void
trim(struct sts_text *text)
{
	while (text->length > 0 && sts_is_wsp(text->octets[0])) {
		text->octets++;
		text->length--;
	}
	while (text->length > 0 && sts_is_wsp(text->octets[text->length - 1]))
		text->length--;
}

static int
take_line(struct reading *reading, const struct sts_text *line)
{
	struct sts_text name = *line, value = *line;
	const char *colon;

	trim(&value);
	if (value.length == 0) {
		reading->blank = reading->line;
		return 0;
	}
	/* The grammar has no empty field; at the end of real files they are common. */
	if (reading->blank != 0)
		return invalid(reading, "an empty line before it");
	colon = memchr(line->octets, ':', line->length);
	if (colon == NULL)
		return invalid(reading, "no colon");
	name.length = (size_t)(colon - line->octets);
	if (name.length == 0 || !is_vchars(&name, false))
		return invalid(reading, "the field's name has invalid syntax");
	value.octets = colon + 1;
	value.length = line->length - name.length - 1;
	trim(&value);
	if (value.length == 0 || !is_vchars(&value, true))
		return invalid(reading, "the field's value is empty or has invalid syntax");
	return take_field(reading, &name, &value);
}

/* Cuts the next line off body, with its LF or CRLF. */
static struct sts_text
next_line(struct sts_text *body)
{
	const char *end = memchr(body->octets, '\n', body->length);
	struct sts_text line = *body;
	size_t used = body->length;

	if (end != NULL) {
		line.length = (size_t)(end - body->octets);
		used = line.length + 1;
		if (line.length > 0 && line.octets[line.length - 1] == '\r')
			line.length--;
	}
	body->octets += used;
	body->length -= used;
	return line;
}

static int
check_complete(struct reading *reading)
{
	if (!reading->has_version)
		return incomplete(reading, "no version");
	if (!reading->has_mode)
		return incomplete(reading, "no mode");
	if (!reading->has_max_age)
		return incomplete(reading, "no max_age");
	/* RFC 8461 3.2: mx is required except when mode is "none". */
	if (reading->policy.mx_count == 0 && reading->policy.mode != STS_MODE_NONE)
		return incomplete(reading, "no mx");
	return 0;
}

/* An upper bound for the number of mx fields. */
static size_t
count_lines(const char *body, size_t length)
{
	size_t i, lines = 1;

	for (i = 0; i < length && lines < LIMIT_STS_MX_PATTERNS; i++)
		lines += body[i] == '\n';
	return lines;
}

int
sts_policy_parse(struct arena *arena, const char *body, size_t length, struct sts_policy *policy,
    struct finding *why)
{
	struct reading reading = { .arena = arena, .why = why };
	struct sts_text rest = { body, length }, line;
	char *copy;

	if (length >= 3 && memcmp(body, "\xef\xbb\xbf", 3) == 0)
		return incomplete(&reading, "byte order mark before the first line");
	reading.policy.mx = arena_array(arena, count_lines(body, length), sizeof(char *));
	while (rest.length > 0) {
		reading.line++;
		line = next_line(&rest);
		if (take_line(&reading, &line) != 0)
			return -1;
	}
	if (check_complete(&reading) != 0)
		return -1;
	copy = arena_alloc(arena, length + 1);
	memcpy(copy, body, length);
	reading.policy.body = copy;
	reading.policy.body_length = length;
	*policy = reading.policy;
	return 0;
}
