/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdint.h>

#include "base/utf8.h"

/* The rows of RFC 3629 4: the range of the first octet, and of the second. */
static const struct form {
	uint8_t first, last, second_first, second_last;
	size_t length;
} forms[] = {
	{ 0x00, 0x7f, 0x00, 0x00, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
};

static bool
tail_fits(const struct form *form, const uint8_t *octets)
{
	if (form->length == 1)
		return true;
	if (octets[1] < form->second_first || octets[1] > form->second_last)
		return false;
	for (size_t i = 2; i < form->length; i++)
		if (octets[i] < 0x80 || octets[i] > 0xbf)
			return false;
	return true;
}

size_t
utf8_length(const char *text, size_t left)
{
	const uint8_t *octets = (const uint8_t *)text;

	if (left == 0)
		return 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *form = &forms[i];

		if (octets[0] >= form->first && octets[0] <= form->last)
			return left >= form->length && tail_fits(form, octets) ? form->length : 0;
	}
	return 0;
}

bool
utf8_is_valid(const char *text, size_t length)
{
	size_t at, step;

	for (at = 0; at < length; at += step) {
		step = utf8_length(text + at, length - at);
		if (step == 0)
			return false;
	}
	return true;
}
