/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>
#include <stdint.h>

#include "base/limits.h"
#include "shim/control/control_path.h"

static int
hex_of(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* RFC 3986 2.1: moves *at after one octet. -1: it is not one. */
static int
take_octet(const char **at)
{
	int high, low;

	if (**at != '%')
		return (unsigned char)*(*at)++;
	high = hex_of((*at)[1]);
	low = high < 0 ? -1 : hex_of((*at)[2]);
	if (low < 0)
		return -1;
	*at += 3;
	return high << 4 | low;
}

static bool
is_control(int octet)
{
	return octet < 0x20 || octet == 0x7f;
}

bool
control_path_is_sound(const char *uri)
{
	bool query = false;

	while (*uri != '\0') {
		bool escaped = *uri == '%';
		int octet = take_octet(&uri);

		if (octet < 0 || is_control(octet) || (octet == '/' && escaped && !query))
			return false;
		if (octet == '?' && !escaped)
			query = true;
	}
	return true;
}

bool
control_path_is_cut(const char *end, const char *next)
{
	uintptr_t from = (uintptr_t)end, to = (uintptr_t)next;

	if (to <= from || to - from > LIMIT_CONTROL_HEADER)
		return false;
	for (size_t i = 1; i < to - from; i++)	/* the parser's own NUL is the first */
		if (end[i] != ' ' && end[i] != '\t')
			return true;
	return false;
}
