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
#define EXCERPT_MAX	60	/* octets of a record that are shown */

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

/* Cuts the text before the next separator off rest. */
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

/* RFC 6068, of which reports need one address. Some write "mailto://", as of a web address. */
static bool
read_mailto(struct arena *arena, struct sts_text rest, struct rua *rua)
{
	struct sts_text address = cut(&rest, '?');
	char *decoded, *at;
	struct domain domain;

	if (address.length > 2 && memcmp(address.octets, "//", 2) == 0) {
		address.octets += 2;
		address.length -= 2;
	}
	decoded = decode(arena, &address);
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
	if (name.length < length &&
	    !(rest.length == 0 || (rest.length == 3 && memcmp(rest.octets, "443", 3) == 0)))
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

/* host[:443][/path][?query], with the host in lower case and at least "/" for the path. */
static const char *
plain_uri(struct arena *arena, const char *uri)
{
	const char *authority = uri + HTTPS_LENGTH, *path;
	size_t length = strcspn(authority, "/?#"), i;
	char *host = arena_strndup(arena, authority, strcspn(authority, ":/?#"));

	for (i = 0; host[i] != '\0'; i++)
		if (host[i] >= 'A' && host[i] <= 'Z')
			host[i] = (char)(host[i] - 'A' + 'a');
	if (i > 0 && host[i - 1] == '.')
		host[i - 1] = '\0';
	path = authority + length;
	return arena_printf(arena, "%s%s%.*s", host, path[0] == '/' ? "" : "/",
	    (int)strcspn(path, "#"), path);
}

bool
rua_equal(const struct rua *a, const struct rua *b)
{
	struct arena *arena;
	bool equal;

	if (a->scheme != b->scheme)
		return false;
	if (a->scheme == RUA_MAILTO)
		return strcasecmp(a->target, b->target) == 0;
	arena = arena_new();
	equal = strcmp(plain_uri(arena, a->target), plain_uri(arena, b->target)) == 0;
	arena_free(arena);
	return equal;
}

const char *
rua_receiver(struct arena *arena, const struct rua *rua)
{
	char *receiver;

	if (rua->scheme == RUA_HTTPS) {
		receiver = arena_strdup(arena, plain_uri(arena, rua->target));
		*strchr(receiver, '/') = '\0';
		return receiver;
	}
	receiver = arena_strdup(arena, rua->target);
	for (size_t i = 0; receiver[i] != '\0'; i++)
		if (receiver[i] >= 'A' && receiver[i] <= 'Z')
			receiver[i] = (char)(receiver[i] - 'A' + 'a');
	return receiver;
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
		if (rua_equal(&list->at[i], rua))
			return true;
	return false;
}

static bool
void_for(struct arena *arena, struct rua_list *list, const char *fault, const struct sts_text *at)
{
	int length = at->length < EXCERPT_MAX ? (int)at->length : EXCERPT_MAX;

	list->why = arena_printf(arena, "%s: \"%.*s%s\"", fault, length, at->octets,
	    at->length > EXCERPT_MAX ? "..." : "");
	return false;
}

static bool
holds_wsp(const struct sts_text *text)
{
	return memchr(text->octets, ' ', text->length) != NULL ||
	    memchr(text->octets, '\t', text->length) != NULL;
}

/* tlsrpt-rua = "rua=" tlsrpt-uri *(*WSP "," *WSP tlsrpt-uri). A URI of no use to us, and one that
 * lacks its scheme, stays out by itself. */
static bool
read_uris(struct arena *arena, const struct sts_text *field, struct sts_text value,
    struct rua_list *list)
{
	struct sts_text uri;
	struct rua rua;
	bool more = true;

	if (value.length > 0 && is_wsp(value.octets[0]))
		return void_for(arena, list, "white space follows the = of a field", field);
	while (more) {
		more = memchr(value.octets, ',', value.length) != NULL;
		uri = cut(&value, ',');
		trim(&uri);
		if (uri.length == 0)
			return void_for(arena, list, "a URI is missing in a field", field);
		if (holds_wsp(&uri))
			return void_for(arena, list, "a URI contains white space", &uri);
		if (rua_parse_uri(arena, uri.octets, uri.length, &rua) && !is_listed(list, &rua) &&
		    list->count < LIMIT_RUAS)
			list->at[list->count++] = rua;
	}
	return true;
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

	if (name.length < field->length && name.length == 3 && memcmp(name.octets, "rua", 3) == 0)
		return read_uris(arena, field, value, list);
	if (name.length < field->length && is_extension(&name, &value))
		return true;
	return void_for(arena, list, "a field is not name=value (RFC 8460 3)", field);
}

/* RFC 8460 3: tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim] */
static bool
read_record(struct arena *arena, const struct sts_text *record, struct rua_list *list)
{
	struct sts_text rest = { record->octets + VERSION_LENGTH, record->length - VERSION_LENGTH };
	struct sts_text field = cut(&rest, ';');

	trim(&field);
	if (field.length > 0)
		return void_for(arena, list, "no ; follows the version", &field);
	trim(&rest);	/* what is left at the end followed the last delimiter */
	while (rest.length > 0) {
		field = cut(&rest, ';');
		trim(&field);
		trim(&rest);
		if (field.length == 0)
			return void_for(arena, list, "a field is empty", record);
		if (!read_field(arena, &field, list))
			return false;
	}
	if (list->count == 0)
		return void_for(arena, list, "no usable mailto: or https: address", record);
	return true;
}

/* RFC 8460 3 discards records that do not begin with "v=TLSRPTv1;". The grammar allows white space
 * before the semicolon: a single record is parsed by the grammar, as one of MTA-STS is. */
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

/* Was it meant to be one, whatever the case and what follows? */
static bool
is_near(const struct sts_text *record)
{
	struct sts_text rest = *record;

	trim(&rest);
	return rest.length >= VERSION_LENGTH - 1 &&
	    strncasecmp(rest.octets, version, VERSION_LENGTH - 1) == 0;
}

/* The record that counts; NULL with list->why. */
static const struct sts_text *
choose(struct arena *arena, const struct sts_text *records, size_t count, struct rua_list *list)
{
	const struct sts_text *found = NULL, *near = NULL;
	size_t i, several = 0;

	for (i = 0; i < count; i++) {
		if (is_tlsrpt_record(&records[i], count == 1)) {
			found = &records[i];
			several++;
		} else if (is_near(&records[i])) {
			near = &records[i];
		}
	}
	if (several > 1)
		list->why = arena_printf(arena,
		    "%zu records begin with v=TLSRPTv1;, so none is "
		    "used",
		    several);
	else if (found != NULL && !is_text(found))
		list->why = "the record is too long, or not ASCII";
	else if (found == NULL && near != NULL)
		list->why = "the record does not begin with v=TLSRPTv1;";
	return several == 1 && is_text(found) ? found : NULL;
}

bool
rua_parse(struct arena *arena, const struct sts_text *records, size_t count, struct rua_list *list)
{
	const struct sts_text *found;

	*list = (struct rua_list){ .why = "" };
	found = choose(arena, records, count, list);
	if (found == NULL)
		return false;
	list->record = arena_strndup(arena, found->octets, found->length);
	list->at = arena_array(arena, LIMIT_RUAS, sizeof(list->at[0]));
	if (read_record(arena, found, list))
		return true;
	list->count = 0;
	return false;
}
