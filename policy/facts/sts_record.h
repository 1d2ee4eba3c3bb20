/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A cached policy as octets in the store, and back. The format has a version; what cannot be read
 * is reported and never taken for a policy. Pure.
 */
#ifndef POLICY_FACTS_STS_RECORD_H
#define POLICY_FACTS_STS_RECORD_H

#include "base/arena.h"
#include "base/buf.h"
#include "policy/facts/sts_cache.h"

void sts_record_write(const struct sts_entry *entry, struct buf *octets);
/* 0, or -1: damaged or of a later version. domain is the key it was found under. */
int sts_record_read(struct arena *arena, const char *domain, const void *octets, size_t length,
    struct sts_entry *entry);

#endif
