/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/domain.h"
#include "base/ip.h"
#include "policy/sts.h"
#include "policy/sts_char.h"

#define EXT_NAME_MAX	32	/* RFC 8461 3.1, sts-ext-name */

static const char version[] = "v=STSv1";
#define VERSION_LENGTH	(sizeof(version) - 1)

const char sts_txt_several[] = "several MTA-STS records";

static const char *const mode_names[] = {
	[STS_MODE_NONE] = "none",
	[STS_MODE_TESTING] = "testing",
	[STS_MODE_ENFORCE] = "enforce",
};

const char *
sts_mode_name(enum sts_mode mode)
{
	return mode_names[mode];
}

struct cursor {
	const char *at, *end;
};

static bool
skip_wsp(struct cursor *cursor)
{
	const char *start = cursor->at;

	while (cursor->at < cursor->end && sts_is_wsp(*cursor->at))
		cursor->at++;
	return cursor->at > start;
}

static bool
is_ext_name_char(char c)
{
	return sts_is_alnum(c) || c == '_' || c == '-' || c == '.';
}

static bool
is_ext_value_char(char c)
{
	return c > 0x20 && c < 0x7f && c != ';' && c != '=';
}

static struct sts_text
take_while(struct cursor *cursor, bool (*belongs)(char c))
{
	struct sts_text taken = { .octets = cursor->at };

	while (cursor->at < cursor->end && belongs(*cursor->at))
		cursor->at++;
	taken.length = (size_t)(cursor->at - taken.octets);
	return taken;
}

/* sts-field: an id is an extension as well as far as its octets go. NULL, or what is wrong. */
static const char *
take_field(struct cursor *cursor, struct sts_text *name, struct sts_text *value)
{
	*name = take_while(cursor, is_ext_name_char);
	if (name->length == 0 || !sts_is_alnum(name->octets[0]) || name->length > EXT_NAME_MAX)
		return "a field's name has invalid syntax";
	if (cursor->at == cursor->end || *cursor->at++ != '=')
		return "a field without =";
	*value = take_while(cursor, is_ext_value_char);
	return value->length > 0 ? NULL : "a field's value is empty or has invalid syntax";
}

static const char *
take_id(const struct sts_text *value, char id[LIMIT_STS_ID + 1])
{
	size_t i;

	if (value->length > LIMIT_STS_ID)
		return "the id is longer than 32 characters";
	for (i = 0; i < value->length; i++)
		if (!sts_is_alnum(value->octets[i]))
			return "the id has characters other than letters and digits";
	memcpy(id, value->octets, value->length);
	id[value->length] = '\0';
	return NULL;
}

static bool
is_id(const struct sts_text *name)
{
	return name->length == 2 && memcmp(name->octets, "id", 2) == 0;
}

/* RFC 8461 3.1: sts-version 1*(sts-field-delim sts-field) [sts-field-delim]. NULL, or what is
 * wrong. */
static const char *
record_parse(const struct sts_text *record, char id[LIMIT_STS_ID + 1])
{
	struct cursor cursor = { record->octets + VERSION_LENGTH, record->octets + record->length };
	struct sts_text name, value;
	bool has_id = false;
	const char *why;

	if (record->length > LIMIT_TXT_RECORD)
		return "the record is too long";
	while (cursor.at < cursor.end) {
		if (skip_wsp(&cursor) && cursor.at == cursor.end)
			return "white space at the end";
		if (*cursor.at++ != ';')
			return "fields are not separated by ;";
		skip_wsp(&cursor);
		if (cursor.at == cursor.end)
			break;
		if ((why = take_field(&cursor, &name, &value)) != NULL)
			return why;
		/* RFC 8461 3.2: of a field given twice, all but the first are ignored. */
		if (!is_id(&name) || has_id)
			continue;
		if ((why = take_id(&value, id)) != NULL)
			return why;
		has_id = true;
	}
	return has_id ? NULL : "no id";
}

/* RFC 8461 3.1 discards records that do not begin with "v=STSv1;". The grammar allows white space
 * before the semicolon (erratum 6285): a single record is parsed by the grammar. */
static bool
is_sts_record(const struct sts_text *record, bool alone)
{
	char next;

	if (record->length < VERSION_LENGTH || memcmp(record->octets, version, VERSION_LENGTH) != 0)
		return false;
	if (record->length == VERSION_LENGTH)
		return alone;
	next = record->octets[VERSION_LENGTH];
	return next == ';' || (alone && sts_is_wsp(next));
}

enum sts_txt_state
sts_txt_parse(const struct sts_text *records, size_t count, char id[LIMIT_STS_ID + 1],
    const char **why)
{
	const struct sts_text *found = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!is_sts_record(&records[i], count == 1))
			continue;
		if (found != NULL) {
			*why = sts_txt_several;
			return STS_TXT_INVALID;
		}
		found = &records[i];
	}
	if (found == NULL)
		return STS_TXT_NONE;
	*why = record_parse(found, id);
	return *why == NULL ? STS_TXT_VALID : STS_TXT_INVALID;
}

/* Lower-cased and without its trailing dot; -1 for what is no host name. */
static int
normalise(const char *name, char normal[DOMAIN_MAX])
{
	size_t i, length = strnlen(name, DOMAIN_MAX + 1);

	if (length > 0 && name[length - 1] == '.')
		length--;
	if (length >= DOMAIN_MAX)
		return -1;
	for (i = 0; i < length; i++)
		normal[i] = sts_lower(name[i]);
	normal[length] = '\0';
	return domain_is_host(normal) ? 0 : -1;
}

bool
sts_pattern_match(const char *pattern, const char *host)
{
	char wanted[DOMAIN_MAX], name[DOMAIN_MAX];
	bool wild = strncmp(pattern, "*.", 2) == 0;
	const char *rest = name;
	struct ip literal;

	if (normalise(wild ? pattern + 2 : pattern, wanted) != 0 || normalise(host, name) != 0)
		return false;
	if (ip_parse(name, &literal) == 0)
		return false;
	if (wild) {
		/* RFC 8461 4.1: "*" is the whole left-most label, and just one. */
		rest = strchr(name, '.');
		if (rest == NULL)
			return false;
		rest++;
	}
	return strcmp(rest, wanted) == 0;
}

bool
sts_mx_match(const struct sts_policy *policy, const char *host)
{
	size_t i;

	for (i = 0; i < policy->mx_count; i++)
		if (sts_pattern_match(policy->mx[i], host))
			return true;
	return false;
}
