/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>
#include <strings.h>

#include "base/domain.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "shim/message/address.h"

#define IPV6_TAG	"IPv6:"	/* RFC 5321 4.1.3 */

static bool
is_control(char c)
{
	return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool
is_ascii(const char *text, size_t length)
{
	size_t i;

	for (i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80)
			return false;
	return true;
}

/* RFC 5321 4.1.2: "@a,@b:" before the mailbox; it must be accepted and should be ignored. */
static size_t
source_route(const char *path, size_t length)
{
	bool literal = false;
	size_t at;

	if (length == 0 || path[0] != '@')
		return 0;
	for (at = 0; at < length; at++) {
		if (path[at] == '[' || path[at] == ']')
			literal = path[at] == '[';
		else if (path[at] == ':' && !literal)
			return at + 1;
	}
	return 0;
}

/* The length of a quoted local part with its quotes, or 0. */
static size_t
quoted_length(const char *text, size_t length)
{
	size_t at;

	for (at = 1; at < length; at++) {
		if (text[at] == '"')
			return at + 1;
		if (text[at] == '\\')
			at++;
	}
	return 0;
}

/* Dots may be anywhere: old mailboxes like "name.@" exist. */
static size_t
dot_string_length(const char *text, size_t length)
{
	size_t at;

	for (at = 0; at < length; at++)
		if (strchr(" ()<>@[]\\,;:\"", text[at]) != NULL)
			break;
	return at;
}

static size_t
local_length(const char *text, size_t length)
{
	return text[0] == '"' ? quoted_length(text, length) : dot_string_length(text, length);
}

static int
parse_literal(struct arena *arena, const char *text, size_t length, struct address *address)
{
	size_t tag = strlen(IPV6_TAG);
	char inside[IP_TEXT_MAX + sizeof(IPV6_TAG)], ip[IP_TEXT_MAX];
	bool v6;

	if (length < 3 || text[length - 1] != ']' || length - 2 >= sizeof(inside))
		return -1;
	memcpy(inside, text + 1, length - 2);
	inside[length - 2] = '\0';
	v6 = strncasecmp(inside, IPV6_TAG, tag) == 0;
	if (ip_parse(v6 ? inside + tag : inside, &address->ip) != 0 || address->ip.v6 != v6)
		return -1;
	ip_format(&address->ip, ip);
	address->literal = true;
	address->next_hop = arena_printf(arena, "[%s%s]", v6 ? IPV6_TAG : "", ip);
	return 0;
}

/* RFC 5321 4.1.2: a label neither starts nor ends with a hyphen. */
static bool
has_outer_hyphen(const char *name)
{
	return name[0] == '-' || name[strlen(name) - 1] == '-' || strstr(name, ".-") != NULL ||
	    strstr(name, "-.") != NULL;
}

static int
parse_domain(struct arena *arena, const char *text, size_t length, struct address *address)
{
	struct domain domain;

	if (length > 0 && text[0] == '[')
		return parse_literal(arena, text, length, address);
	if (domain_parse(text, length, &domain) != 0 || has_outer_hyphen(domain.name))
		return -1;
	address->next_hop = arena_strdup(arena, domain.name);
	return 0;
}

static int
parse_mailbox(struct arena *arena, const char *text, size_t length, struct address *address,
    const char **why)
{
	size_t local = local_length(text, length);

	if (local == 0 || local > LIMIT_LOCAL_PART) {
		*why = "the local part is not valid";
		return -1;
	}
	if (local == length) {
		*why = "there is no domain";
		return -1;
	}
	if (text[local] != '@') {
		*why = "the local part holds a character that must be quoted";
		return -1;
	}
	if (parse_domain(arena, text + local + 1, length - local - 1, address) != 0) {
		*why = "the domain is not valid";
		return -1;
	}
	if (text[length - 1] == '.')
		length--;	/* no peer takes it there (RFC 5321 2.3.5) */
	address->mailbox = arena_strndup(arena, text, length);
	address->utf8 = !is_ascii(text, length);
	if (!address->utf8)
		address->wire = address->mailbox;
	else if (is_ascii(text, local))
		address->wire = arena_printf(arena, "%.*s@%s", (int)local, text, address->next_hop);
	return 0;
}

static const char *
what_is_wrong(const char *path, size_t length)
{
	size_t i;

	if (length > LIMIT_ADDRESS)
		return "the address is too long";
	for (i = 0; i < length; i++)
		if (is_control(path[i]))
			return "the address holds a control character";
	return utf8_is_valid(path, length) ? NULL : "the address is not valid UTF-8";
}

int
address_parse(struct arena *arena, const char *path, size_t length, bool null_allowed,
    struct address *address, const char **why)
{
	struct address parsed = { .mailbox = "", .next_hop = "", .wire = "" };
	size_t route;

	*why = what_is_wrong(path, length);
	if (*why != NULL)
		return -1;
	if (length == 0 && !null_allowed) {
		*why = "the address is empty";
		return -1;
	}
	if (length > 0) {
		route = source_route(path, length);
		parsed.wire = NULL;
		if (route == length) {
			*why = "the address is empty";
			return -1;
		}
		if (parse_mailbox(arena, path + route, length - route, &parsed, why) != 0)
			return -1;
	}
	*address = parsed;
	return 0;
}
