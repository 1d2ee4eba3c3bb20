/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/utf8.h"
#include "report/outcome.h"

const char *
outcome_type_name(enum outcome_type type)
{
	switch (type) {
	case OUTCOME_TLSA:
		return "tlsa";
	case OUTCOME_STS:
		return "sts";
	case OUTCOME_NO_POLICY:
		break;
	}
	return "no-policy-found";
}

const char *
outcome_text(struct arena *arena, const char *octets, size_t length)
{
	char *text = arena_strndup(arena, octets, strnlen(octets, length));
	size_t i = 0, used, left = strlen(text);

	for (; left > 0; i += used, left -= used) {
		used = utf8_length(text + i, left);
		if (used == 0) {
			text[i] = '?';
			used = 1;
		}
	}
	return text;
}
