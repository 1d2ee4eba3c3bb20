/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "policy/dns/dns_data.h"

#define LABEL_MAX	63	/* RFC 1035 2.3.4 */
#define NAME_MAX_WIRE	255

static bool
is_plain(uint8_t octet)
{
	return octet > 0x20 && octet < 0x7f && octet != '.' && octet != '\\';
}

/* Appends one octet of a label; -1 when it does not fit with the closing NUL. */
static int
add_octet(uint8_t octet, char *text, size_t room, size_t *used)
{
	size_t needed = is_plain(octet) ? 1 : 4;

	if (room - *used <= needed)
		return -1;
	if (octet >= 'A' && octet <= 'Z')
		octet = (uint8_t)(octet - 'A' + 'a');
	if (needed == 1)
		text[*used] = (char)octet;
	else
		snprintf(text + *used, room - *used, "\\%03d", octet);
	*used += needed;
	return 0;
}

static int
add_label(const uint8_t *label, size_t length, char *text, size_t room, size_t *used)
{
	size_t i;

	if (*used > 0) {
		if (room - *used <= 1)
			return -1;
		text[(*used)++] = '.';
	}
	for (i = 0; i < length; i++)
		if (add_octet(label[i], text, room, used) != 0)
			return -1;
	return 0;
}

int
dns_name_text(const uint8_t *data, size_t length, char *text, size_t room)
{
	size_t at = 0, used = 0;

	if (room == 0 || length > NAME_MAX_WIRE)
		return -1;
	while (at < length && data[at] != 0) {
		/* Above 63 are compression pointers, which uncompressed data cannot hold. */
		if (data[at] > LABEL_MAX || data[at] >= length - at)
			return -1;
		if (add_label(data + at + 1, data[at], text, room, &used) != 0)
			return -1;
		at += (size_t)data[at] + 1;
	}
	if (at + 1 != length)
		return -1;
	text[used] = '\0';
	return 0;
}

int
dns_mx_parse(const uint8_t *data, size_t length, uint16_t *preference, char *host, size_t room)
{
	if (length < 3 || dns_name_text(data + 2, length - 2, host, room) != 0)
		return -1;
	*preference = (uint16_t)(data[0] << 8 | data[1]); /* RFC 1035 3.3.9 */
	return 0;
}

int
dns_address_parse(const uint8_t *data, size_t length, struct ip *ip)
{
	struct ip parsed = { .v6 = length == 16 };

	if (length != 4 && length != 16)
		return -1;
	memcpy(parsed.octets, data, length);
	*ip = parsed;
	return 0;
}

/* The sum of the strings' lengths, or -1 when they do not fill data exactly. */
static int
txt_length(const uint8_t *data, size_t length, size_t *joined)
{
	size_t at;

	*joined = 0;
	for (at = 0; at < length; at += (size_t)data[at] + 1) {
		if (data[at] >= length - at)
			return -1;
		*joined += data[at];
	}
	return length > 0 ? 0 : -1;	/* RFC 1035 3.3.14: one or more strings */
}

int
dns_txt_join(struct arena *arena, const uint8_t *data, size_t length, const char **octets,
    size_t *joined)
{
	size_t at, part, total, used = 0;
	char *text;

	if (txt_length(data, length, &total) != 0)
		return -1;
	if (total > LIMIT_TXT_RECORD)
		total = LIMIT_TXT_RECORD + 1;
	text = arena_alloc(arena, total + 1);
	for (at = 0; used < total; at += (size_t)data[at] + 1) {
		part = data[at] < total - used ? data[at] : total - used;
		memcpy(text + used, data + at + 1, part);
		used += part;
	}
	*octets = text;
	*joined = total;
	return 0;
}
