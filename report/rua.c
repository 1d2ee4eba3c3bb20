/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "base/domain.h"
#include "base/limits.h"
#include "report/rua.h"

#define EXT_NAME_MAX	32	/* tlsrpt-ext-name */
#define LOCAL_PART_MAX	64	/* RFC 5321 4.5.3.1.1 */

static const char version[] = "v=TLSRPTv1";
#define VERSION_LENGTH	(sizeof(version) - 1)
static const char https[] = "https://";
#define HTTPS_LENGTH	(sizeof(https) - 1)
static const char mailto[] = "mailto:";
#define MAILTO_LENGTH	(sizeof(mailto) - 1)

const char *
rua_scheme_name(enum rua_scheme scheme)
{
	static const char *const names[] = { [RUA_MAILTO] = "mailto", [RUA_HTTPS] = "https" };

	return names[scheme];
}

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void
trim(struct sts_text *text)
{
	while (text->length > 0 && is_wsp(text->octets[0])) {
		text->octets++;
		text->length--;
	}
	while (text->length > 0 && is_wsp(text->octets[text->length - 1]))
		text->length--;
}

/* Cuts what stands before the next separator off rest. */
static struct sts_text
cut(struct sts_text *rest, char separator)
{
	const char *end = memchr(rest->octets, separator, rest->length);
	struct sts_text piece = *rest;
	size_t used = rest->length;

	if (end != NULL) {
		piece.length = (size_t)(end - rest->octets);
		used = piece.length + 1;
	}
	rest->octets += used;
	rest->length -= used;
	return piece;
}

/* NULL for what is no escape, or hides something that can be in no header or command. */
static char *
decode(struct arena *arena, const struct sts_text *text)
{
	char *decoded = arena_alloc(arena, text->length + 1);
	size_t i, used = 0;

	for (i = 0; i < text->length; i++) {
		int c = (unsigned char)text->octets[i];

		if (c == '%') {
			int high = i + 2 < text->length ? hex_value(text->octets[i + 1]) : -1;
			int low = high >= 0 ? hex_value(text->octets[i + 2]) : -1;

			if (low < 0)
				return NULL;
			c = high << 4 | low;
			i += 2;
		}
		if (c <= 0x20 || c >= 0x7f)
			return NULL;
		decoded[used++] = (char)c;
	}
	return decoded;
}

/* RFC 6068, of which reports need one address. */
static bool
read_mailto(struct arena *arena, struct sts_text rest, struct rua *rua)
{
	struct sts_text address = cut(&rest, '?');
	char *decoded = decode(arena, &address), *at;
	struct domain domain;

	if (decoded == NULL || strpbrk(decoded, "<>\"\\()") != NULL)
		return false;
	at = strchr(decoded, '@');
	if (at == NULL || at == decoded || at - decoded > LOCAL_PART_MAX ||
	    strchr(at + 1, '@') != NULL || domain_parse(at + 1, strlen(at + 1), &domain) != 0)
		return false;
	*at = '\0';
	*rua = (struct rua){ RUA_MAILTO, arena_printf(arena, "%s@%s", decoded, domain.name) };
	return true;
}

/* Neither user nor password, nor another port than 443. */
static bool
is_plain_authority(const char *authority, size_t length)
{
	struct sts_text rest = { authority, length }, name;
	struct domain domain;

	name = cut(&rest, ':');
	if (name.length < length && !(rest.length == 0 ||
	    (rest.length == 3 && memcmp(rest.octets, "443", 3) == 0)))
		return false;
	return domain_parse(name.octets, name.length, &domain) == 0;
}

static bool
read_https(struct arena *arena, const char *uri, size_t length, struct rua *rua)
{
	const char *authority = uri + HTTPS_LENGTH;
	size_t i, end = 0, left = length - HTTPS_LENGTH;

	for (i = 0; i < length; i++)
		if (uri[i] <= 0x20 || uri[i] >= 0x7f || strchr("\"<>\\^`{|}", uri[i]) != NULL)
			return false;
	while (end < left && strchr("/?#", authority[end]) == NULL)
		end++;
	if (!is_plain_authority(authority, end))
		return false;
	*rua = (struct rua){ RUA_HTTPS, arena_strndup(arena, uri, length) };
	return true;
}

bool
rua_parse_uri(struct arena *arena, const char *uri, size_t length, struct rua *rua)
{
	/* They would have to be encoded: DMARC's "!10m" is no part of a URI here. */
	if (memchr(uri, '!', length) != NULL)
		return false;
	if (length > HTTPS_LENGTH && strncasecmp(uri, https, HTTPS_LENGTH) == 0)
		return read_https(arena, uri, length, rua);
	if (length <= MAILTO_LENGTH || strncasecmp(uri, mailto, MAILTO_LENGTH) != 0)
		return false;
	return read_mailto(arena, (struct sts_text){ uri + MAILTO_LENGTH, length - MAILTO_LENGTH },
	    rua);
}

static bool
is_listed(const struct rua_list *list, const struct rua *rua)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (list->at[i].scheme == rua->scheme &&
		    strcmp(list->at[i].target, rua->target) == 0)
			return true;
	return false;
}

static void
read_uris(struct arena *arena, struct sts_text value, struct rua_list *list)
{
	struct sts_text uri;
	struct rua rua;

	while (value.length > 0 && list->count < LIMIT_RUAS) {
		uri = cut(&value, ',');
		trim(&uri);
		if (rua_parse_uri(arena, uri.octets, uri.length, &rua) && !is_listed(list, &rua))
			list->at[list->count++] = rua;
	}
}

/* tlsrpt-extension */
static bool
is_extension(const struct sts_text *name, const struct sts_text *value)
{
	size_t i;

	if (name->length == 0 || name->length > EXT_NAME_MAX || !is_alnum(name->octets[0]))
		return false;
	for (i = 1; i < name->length; i++)
		if (!is_alnum(name->octets[i]) && strchr("_-.", name->octets[i]) == NULL)
			return false;
	for (i = 0; i < value->length; i++)
		if (value->octets[i] == '=' || value->octets[i] <= 0x20 || value->octets[i] >= 0x7f)
			return false;
	return value->length > 0;
}

static bool
read_field(struct arena *arena, const struct sts_text *field, struct rua_list *list)
{
	struct sts_text value = *field, name = cut(&value, '=');

	if (name.length == field->length)
		return false;
	if (name.length == 3 && memcmp(name.octets, "rua", 3) == 0) {
		read_uris(arena, value, list);
		return true;
	}
	return is_extension(&name, &value);
}

/* RFC 8460 3: tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim] */
static bool
read_record(struct arena *arena, const struct sts_text *record, struct rua_list *list)
{
	struct sts_text rest = { record->octets + VERSION_LENGTH, record->length - VERSION_LENGTH };
	struct sts_text field = cut(&rest, ';');

	trim(&field);
	if (field.length > 0)
		return false;
	while (rest.length > 0) {
		field = cut(&rest, ';');
		trim(&field);
		if (field.length == 0 && rest.length == 0)
			break;	/* the delimiter at the end */
		if (!read_field(arena, &field, list))
			return false;
	}
	return list->count > 0;
}

/* RFC 8460 3 discards what does not begin with "v=TLSRPTv1;". The grammar allows white space before
 * the semicolon: a record that stands alone is taken by the grammar, as one of MTA-STS is. */
static bool
is_tlsrpt_record(const struct sts_text *record, bool alone)
{
	char next;

	if (record->length <= VERSION_LENGTH ||
	    memcmp(record->octets, version, VERSION_LENGTH) != 0)
		return false;
	next = record->octets[VERSION_LENGTH];
	return next == ';' || (alone && is_wsp(next));
}

static bool
is_text(const struct sts_text *record)
{
	size_t i;

	for (i = 0; i < record->length; i++)
		if ((record->octets[i] < 0x20 && record->octets[i] != '\t') ||
		    record->octets[i] >= 0x7f)
			return false;
	return record->length <= LIMIT_TXT_RECORD;
}

bool
rua_parse(struct arena *arena, const struct sts_text *records, size_t count,
    struct rua_list *list)
{
	const struct sts_text *found = NULL;
	size_t i;

	*list = (struct rua_list){ 0 };
	for (i = 0; i < count; i++) {
		if (!is_tlsrpt_record(&records[i], count == 1))
			continue;
		if (found != NULL)
			return false;
		found = &records[i];
	}
	if (found == NULL || !is_text(found))
		return false;
	list->record = arena_strndup(arena, found->octets, found->length);
	list->at = arena_array(arena, LIMIT_RUAS, sizeof(list->at[0]));
	return read_record(arena, found, list);
}
