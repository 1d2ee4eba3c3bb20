/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A cached policy as one JSON object, for people, for a backup and for another stsgated; and back,
 * by the same parsers that a TXT record and a fetched file must pass. Pure.
 */
#ifndef POLICY_FACTS_STS_JSON_H
#define POLICY_FACTS_STS_JSON_H

#include <stddef.h>

#include "base/arena.h"
#include "policy/facts/sts_cache.h"

#define STS_JSON_WHY_MAX	200

/* {"domain", "mode", "id", "mx", "max_age", "fetched", "expires", "refresh", "last_error",
 * "policy"} on one line, in ASCII, freed with free(). "policy" is the file as it was served. */
char *sts_json_write(const struct sts_entry *entry);

/* 0 with the entry in the arena, or -1 with why in words. Of "policy", or where it is missing of
 * "mode", "mx" and "max_age", the policy is made; it expires max_age after "fetched", whatever
 * "expires" says. */
int sts_json_read(struct arena *arena, const char *text, size_t length, struct sts_entry *entry,
    char why[STS_JSON_WHY_MAX]);

#endif
