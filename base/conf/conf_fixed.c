/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/conf/conf_fixed.h"
#include "base/conf/conf_kind.h"
#include "base/conf/conf_table.h"

static bool
differs(const struct conf_key *key, const struct conf *a, const struct conf *b)
{
	const char *in_a = (const char *)a + key->at, *in_b = (const char *)b + key->at;
	const char *text_a, *text_b;

	if (key->kind->size > 0)
		return memcmp(in_a, in_b, key->kind->size) != 0;
	memcpy(&text_a, in_a, sizeof(text_a));
	memcpy(&text_b, in_b, sizeof(text_b));
	return strcmp(text_a, text_b) != 0;
}

void
conf_fixed_changed(const struct conf *running, const struct conf *next, struct buf *names)
{
	for (size_t i = 0; i < conf_key_count; i++) {
		const struct conf_key *key = &conf_keys[i];

		if (key->fixed && differs(key, running, next))
			buf_printf(names, "%s%s%s%s", names->length > 0 ? ", " : "", key->section,
			    key->section[0] != '\0' ? "." : "", key->name);
	}
}
