/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "policy/facts/cold_failure.h"

#define DAY_S	(24 * 3600)
#define FORGET_S	DAY_S	/* without a failure */
#define FORGET_GIVEN_UP_S	(14 * DAY_S)	/* the same, once given up */
#define WRITE_EVERY_S	60	/* the last failure need not be known better */
#define KEEP_S	(FORGET_GIVEN_UP_S + DAY_S)

/* One from the future is of a store whose clock was lost: its distance says nothing. */
static bool
is_forgotten(const struct cold_failure_times *failures, int64_t now)
{
	int64_t forget_s = failures->given_up != 0 ? FORGET_GIVEN_UP_S : FORGET_S;

	return failures->first == 0 || failures->first > now + WRITE_EVERY_S ||
	    now - failures->last >= forget_s;
}

bool
cold_failure_add(struct cold_failure_times *failures, int64_t now, int64_t grace_s)
{
	struct cold_failure_times before = *failures;

	if (is_forgotten(failures, now))
		*failures = (struct cold_failure_times){ .first = now, .last = now };
	if (now - failures->last >= WRITE_EVERY_S || failures->last > now + WRITE_EVERY_S)
		failures->last = now;
	if (failures->given_up == 0 && now - failures->first >= grace_s)
		failures->given_up = failures->last = now;
	return failures->first != before.first || failures->last != before.last ||
	    failures->given_up != before.given_up;
}

/* An unreadable entry counts as no failure yet: the wait begins again. */
static enum store_result
load(struct store *store, const char *domain, struct cold_failure_times *failures)
{
	struct buf text = { 0 };
	enum store_result result = store_get(store, STORE_COLD_FAILURES, domain, &text);
	const char *at = buf_text(&text);

	*failures = (struct cold_failure_times){ 0 };
	if (result != STORE_OK || !number_take_wall(&at, &failures->first) ||
	    !number_skip(&at, ' ') || !number_take_wall(&at, &failures->last) ||
	    (*at != '\0' &&
		(!number_skip(&at, ' ') || !number_take_wall(&at, &failures->given_up))))
		*failures = (struct cold_failure_times){ 0 };
	buf_free(&text);
	return result;
}

enum cold_failure
cold_failure_count(struct store *store, const char *domain, int64_t now, int64_t grace_s)
{
	struct cold_failure_times failures;
	char text[72];
	int length;

	if (load(store, domain, &failures) == STORE_FAILED)
		return COLD_FAILURE_UNKNOWN;
	if (cold_failure_add(&failures, now, grace_s)) {
		length = snprintf(text, sizeof(text), "%" PRId64 " %" PRId64 " %" PRId64,
		    failures.first, failures.last, failures.given_up);
		if (store_put(store, STORE_COLD_FAILURES, domain, text, (size_t)length,
			failures.last + KEEP_S, STORE_LAZY) != STORE_OK &&
		    failures.first == failures.last)
			return COLD_FAILURE_UNKNOWN;
	}
	return failures.given_up != 0 ? COLD_FAILURE_OVER : COLD_FAILURE_DEFER;
}

void
cold_failure_end(struct store *store, const char *domain)
{
	struct cold_failure_times failures;

	if (load(store, domain, &failures) == STORE_OK)
		store_delete(store, STORE_COLD_FAILURES, domain, STORE_LAZY);
}
