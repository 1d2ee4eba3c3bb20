/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <idn2.h>
#include <string.h>

#include "base/domain.h"

#define U_LABELS_MAX	1024	/* octets of UTF-8: more never fits 253 octets of A-labels */
#define LABEL_MAX	63	/* RFC 1035 2.3.4 */

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    c == '-' || c == '_';
}

bool
domain_is_host(const char *name)
{
	size_t at, label = 0;

	for (at = 0; name[at] != '\0'; at++) {
		if (name[at] == '.' && label == 0)
			return false;
		label = name[at] == '.' ? 0 : label + 1;
		if (at + 1 >= DOMAIN_MAX || label > LABEL_MAX)
			return false;
		if (label > 0 && !is_host_char(name[at]))
			return false;
	}
	return label > 0;
}

/* Lower-cases name, drops one trailing dot, and keeps it when it may be dialled. */
static int
take_ascii(const char *name, size_t length, struct domain *domain)
{
	struct domain taken = { { 0 } };
	size_t i;

	if (length > 0 && name[length - 1] == '.')
		length--;
	if (length >= sizeof(taken.name))
		return -1;
	for (i = 0; i < length; i++)
		taken.name[i] = lower(name[i]);
	if (!domain_is_host(taken.name))
		return -1;
	*domain = taken;
	return 0;
}

/* Characters that UTS 46 maps one way and IDNA 2008 another: sharp s, final sigma, the joiners. */
static bool
has_deviation(const uint8_t *text)
{
	static const char *const characters[] = { "\xc3\x9f", "\xe1\xba\x9e", "\xcf\x82",
		"\xe2\x80\x8c", "\xe2\x80\x8d" };

	for (size_t i = 0; i < sizeof(characters) / sizeof(characters[0]); i++)
		if (strstr((const char *)text, characters[i]) != NULL)
			return true;
	return false;
}

/* RFC 5891 5, after the mapping of UTS 46, as people type capitals and wide dots. Symbols, emoji
 * among them, are no letters for IDNA 2008, but such names are in use, and MTAs convert them by
 * UTS 46: a policy must not be missed because the name is odd. */
static int
to_ascii(const uint8_t *text, uint8_t **ascii)
{
	int error = idn2_lookup_u8(text, ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

	if ((error == IDN2_DISALLOWED || error == IDN2_UNASSIGNED) && !has_deviation(text))
		error = idn2_lookup_u8(text, ascii, IDN2_NFC_INPUT | IDN2_TRANSITIONAL);
	return error;
}

static int
take_utf8(const char *name, size_t length, struct domain *domain)
{
	uint8_t text[U_LABELS_MAX + 1] = { 0 };
	uint8_t *ascii = NULL;
	int result = -1;

	if (length > U_LABELS_MAX)
		return -1;
	memcpy(text, name, length);
	if (to_ascii(text, &ascii) == IDN2_OK)
		result = take_ascii((const char *)ascii, strlen((const char *)ascii), domain);
	idn2_free(ascii);
	return result;
}

int
domain_parse(const char *text, size_t length, struct domain *domain)
{
	size_t i;

	if (memchr(text, '\0', length) != NULL)
		return -1;
	for (i = 0; i < length; i++)
		if ((unsigned char)text[i] >= 0x80)
			return take_utf8(text, length, domain);
	return take_ascii(text, length, domain);
}

static size_t
length_without_dot(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && name[length - 1] == '.' ? length - 1 : length;
}

bool
domain_equal(const char *a, const char *b)
{
	size_t i, length = length_without_dot(a);

	if (length != length_without_dot(b))
		return false;
	for (i = 0; i < length; i++)
		if (lower(a[i]) != lower(b[i]))
			return false;
	return true;
}
