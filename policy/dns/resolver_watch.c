/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include "policy/dns/resolver_watch.h"

#define GOOD_MS	(60 * 60 * 1000)	/* from one good test to the next */
#define RETRY_MS	(5 * 1000)	/* after the first that was not good, then twice as long */
#define RETRY_MOST_MS	(30 * 1000)	/* while mail is deferred for it */
#define AROUND_MOST_MS	(5 * 60 * 1000)	/* while mail goes, from the root */
#define DOUBT_MS	(60 * 1000)	/* so old a test is made again for one bogus answer */
#define FREQUENT	5	/* so many of them ... */
#define FREQUENT_MS	(10 * 1000)	/* ... make it this */

void
resolver_watch_start(struct resolver_watch *watch, int64_t now_ms)
{
	*watch = (struct resolver_watch){ .due_ms = now_ms };
}

void
resolver_watch_stop(struct resolver_watch *watch)
{
	watch->due_ms = INT64_MAX;
}

static int64_t
retry_ms(unsigned failures, int64_t most_ms)
{
	int64_t ms = RETRY_MS;

	for (unsigned i = 1; i < failures && ms < most_ms; i++)
		ms *= 2;
	return ms < most_ms ? ms : most_ms;
}

void
resolver_watch_tested(struct resolver_watch *watch, enum resolver_health health, int64_t now_ms)
{
	int64_t wait_ms = GOOD_MS;

	watch->tested_ms = now_ms;
	watch->bogus = watch->failed = watch->unasked = 0;
	switch (health) {
	case RESOLVER_VALIDATES:
	case RESOLVER_UNANCHORED:
		watch->failures = 0;
		break;
	case RESOLVER_RECURSES:
		wait_ms = retry_ms(++watch->failures, AROUND_MOST_MS);
		break;
	case RESOLVER_UNTESTED:
	case RESOLVER_SILENT:
	case RESOLVER_BROKEN:
		wait_ms = retry_ms(++watch->failures, RETRY_MOST_MS);
		break;
	}
	watch->due_ms = now_ms + wait_ms;
}

static void
count(struct resolver_watch *watch, enum dns_state state)
{
	switch (state) {
	case DNS_SECURE:
	case DNS_INSECURE:
		watch->failed = watch->unasked = 0;
		break;
	case DNS_BOGUS:
		watch->bogus++;
		break;
	case DNS_FAILED:
		watch->failed++;
		break;
	}
}

bool
resolver_watch_doubts_engine(const struct resolver_watch *watch)
{
	return watch->failed >= FREQUENT || watch->unasked >= FREQUENT;
}

bool
resolver_watch_answers(struct resolver_watch *watch, enum resolver_health health,
    const struct dns_question *questions, size_t answers, int64_t now_ms)
{
	int64_t age_ms = now_ms - watch->tested_ms;
	bool bogus = false, wanted;

	for (size_t i = 0; i < answers; i++) {
		if (questions[i].answer.not_asked) {	/* which says nothing about the servers */
			watch->unasked++;
			continue;
		}
		count(watch, questions[i].answer.state);
		bogus = bogus || questions[i].answer.state == DNS_BOGUS;
	}
	/* While it is known to be broken it is tested often enough. */
	if (watch->due_ms == INT64_MAX || health == RESOLVER_BROKEN || health == RESOLVER_SILENT)
		return false;
	wanted = (bogus && age_ms >= DOUBT_MS) ||
	    ((watch->bogus >= FREQUENT || watch->failed >= FREQUENT) && age_ms >= FREQUENT_MS);
	if (wanted && watch->due_ms > now_ms)
		watch->due_ms = now_ms;
	return bogus && watch->due_ms <= now_ms;
}
