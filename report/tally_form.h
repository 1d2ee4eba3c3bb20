/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The form in which policies and failures are counted: what is equal in a report is equal here, and
 * what a report must not hold is gone. As text they stand in the store, and their digest in its
 * keys. Pure; any thread; results live in the caller's arena.
 */
#ifndef REPORT_TALLY_FORM_H
#define REPORT_TALLY_FORM_H

#include <stddef.h>

#include "base/arena.h"
#include "report/outcome.h"

/* UTF-8, no empty strings, no longer than base/limits.h allows; TLSA sets sorted. A policy without
 * a domain is domain's. */
void tally_form_policy(struct arena *arena, const struct outcome_policy *policy, const char *domain,
    struct outcome_policy *form);
/* Addresses as RFC 5952 has them, helo only the name in it, information only if it is a URI. */
void tally_form_failure(struct arena *arena, const struct outcome_failure *failure,
    struct outcome_failure *form);
const char *tally_form_text(struct arena *arena, const char *text, size_t limit);

const char *tally_policy_write(struct arena *arena, const struct outcome_policy *form);
const char *tally_failure_write(struct arena *arena, const struct outcome_failure *form);
/* 0, or -1: not what the functions above wrote. */
int tally_policy_read(struct arena *arena, const char *text, size_t length,
    struct outcome_policy *form);
int tally_failure_read(struct arena *arena, const char *text, size_t length,
    struct outcome_failure *form);

#endif
