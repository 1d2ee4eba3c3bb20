/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "policy/sts_grace.h"

#define FORGET_S	(24 * 3600)	/* without a failure */
#define WRITE_EVERY_S	60	/* the last failure need not be known better */
#define KEEP_S	(2 * FORGET_S)

bool
sts_failures_add(struct sts_failures *failures, struct sts_now now)
{
	/* One from the future was stamped by a clock that was wrong: its distance says nothing. */
	if (failures->first == 0 || failures->first > now.later + WRITE_EVERY_S ||
	    now.earlier - failures->last >= FORGET_S) {
		failures->first = failures->last = now.later;
		return true;
	}
	if (now.later - failures->last < WRITE_EVERY_S &&
	    failures->last - now.later <= WRITE_EVERY_S)
		return false;
	failures->last = now.later;
	return true;
}

bool
sts_failures_over(const struct sts_failures *failures, struct sts_now now, int64_t grace_s)
{
	return now.earlier - failures->first >= grace_s;
}

/* What cannot be read back counts as no failure yet: the wait begins anew. */
static enum store_result
load(struct store *store, const char *domain, struct sts_failures *failures)
{
	struct buf text = { 0 };
	enum store_result result = store_get(store, STORE_GRACE, domain, &text);
	const char *at = buf_text(&text);

	if (result != STORE_OK || !number_take_wall(&at, &failures->first) ||
	    !number_skip(&at, ' ') || !number_take_wall(&at, &failures->last))
		*failures = (struct sts_failures){ 0 };
	buf_free(&text);
	return result;
}

enum sts_grace
sts_grace_failed(struct store *store, const char *domain, struct sts_now now, int64_t grace_s)
{
	struct sts_failures failures;
	char text[48];
	int length;

	if (load(store, domain, &failures) == STORE_FAILED)
		return GRACE_UNKNOWN;
	if (sts_failures_add(&failures, now)) {
		length = snprintf(text, sizeof(text), "%" PRId64 " %" PRId64, failures.first,
		    failures.last);
		if (store_put(store, STORE_GRACE, domain, text, (size_t)length,
		    failures.last + KEEP_S, STORE_LAZY) != STORE_OK &&
		    failures.first == failures.last)
			return GRACE_UNKNOWN;
	}
	return sts_failures_over(&failures, now, grace_s) ? GRACE_OVER : GRACE_RUNNING;
}

void
sts_grace_answered(struct store *store, const char *domain)
{
	struct sts_failures failures;

	if (load(store, domain, &failures) == STORE_OK)
		store_delete(store, STORE_GRACE, domain, STORE_LAZY);
}
