/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/recent.h"
#include "policy/facts/cold_failure.h"
#include "policy/facts/sts_cache_inside.h"

/* At the same time. One that waited for its turn among the HTTP requests would use up its time
 * there, and a policy host that was never asked would count as one that does not answer. */
#define FETCHES_MAX	(LIMIT_HTTP_TRANSFERS - 8)
#define NOTES_MAX	16384	/* domains */
#define ALARM_EVERY_MS	(3600 * 1000)	/* for one domain */
#define USED_EVERY_S	3600	/* how well the last use is known */
#define PATIENCE_MS	2000	/* whoever waited less for TXT has not seen it fail */
#define NEW_ID_MS	2000	/* a message waits for a new policy while the old one is in force */
#define FUTURE_S	(24 * 3600)	/* a policy from later than that: the clock was wrong */

/* How the fetch that an inquiry needed came out. */
enum fetch_result { FETCH_NOT_TRIED, FETCH_SUCCEEDED, FETCH_FAILED, FETCH_UNKNOWN };

struct sts_inquiry {
	struct arena *arena;
	const char *domain;
	struct dns_question question;
	bool has_question;
	int64_t began_ms;
	enum txt_answer txt;
	char id[LIMIT_STS_ID + 1];	/* TXT_VALID */
	const char *txt_why;
	enum store_result cached;
	struct sts_entry entry;	/* STORE_OK */
	bool alive;	/* entry has not expired */
	struct sts_fetch *fetch;	/* while fetching */
	bool spare;	/* alive is good enough when the fetch takes longer than until enough */
	struct deadline enough;
	enum fetch_result fetch_result;
	enum sts_fault fault;	/* FETCH_FAILED */
	struct finding finding;	/* FETCH_FAILED */
	const char *served;	/* the same: what came instead of a policy */
	const char *why;	/* FETCH_FAILED and FETCH_UNKNOWN */
};

void
sts_cache_reload(struct sts_cache *cache, const struct conf *conf)
{
	cache->rules.refresh_interval = conf->sts.refresh_interval;
	cache->rules.retry_interval = conf->sts.retry_interval;
	cache->rules.cold_failure_grace = conf->sts.cold_failure_grace;
	cache->rules.max_policy_size = conf->sts.max_policy_size;
	cache->rules.dns_timeout = conf->dns.timeout;
}

void
sts_cache_follow(struct sts_cache *cache, struct conf_now *now)
{
	cache->now = now;
}

struct sts_cache *
sts_cache_new(const struct conf *conf, struct resolver *resolver, struct http *http,
    struct store *store)
{
	struct sts_cache *cache = xcalloc(1, sizeof(*cache));

	cache->conf = conf;
	sts_cache_reload(cache, conf);
	cache->resolver = resolver;
	cache->http = http;
	cache->store = store;
	sts_clock_start(&cache->clock, store);
	cache->stepped_ms = cache->clock.now.stepped_ms;
	cache->policies = sts_store_new(store);
	cache->backoff = sts_backoff_new(NOTES_MAX);
	cache->outage = sts_outage_new();
	cache->fetches = sts_fetches_new(FETCHES_MAX, sts_cache_fetch, cache);
	if (store_was_damaged(store))
		log_message(LOG_LEVEL_ERROR, "policy",
		    "the store was damaged and MTA-STS policies"
		    " may be lost: domains without one whose TXT record cannot be looked up wait"
		    " for sts.cold-failure-grace");
	return cache;
}

void
sts_cache_cancel(struct sts_cache *cache)
{
	sts_fetches_cancel(cache->fetches);
}

void
sts_cache_free(struct sts_cache *cache)
{
	if (cache == NULL)
		return;
	sts_cache_cancel(cache);
	sts_fetches_free(cache->fetches);
	sts_cache_anchor(cache);
	sts_store_free(cache->policies);
	sts_backoff_free(cache->backoff);
	sts_outage_free(cache->outage);
	free(cache);
}

bool
sts_cache_is_over(const struct sts_cache *cache, const struct sts_entry *entry)
{
	return sts_clock_is_over(&cache->clock, entry->fetched, entry->expires);
}

void
sts_cache_to_wall(struct sts_cache *cache, struct sts_entry *entry)
{
	entry->fetched = sts_clock_wall(&cache->clock, entry->fetched);
	entry->expires = sts_clock_wall(&cache->clock, entry->expires);
	entry->refresh = sts_clock_wall(&cache->clock, entry->refresh);
	entry->used = sts_clock_wall(&cache->clock, entry->used);
}

struct sts_policy
sts_policy_copy(struct arena *arena, const struct sts_policy *policy)
{
	struct sts_policy copy = *policy;

	copy.mx = arena_array(arena, policy->mx_count, sizeof(copy.mx[0]));
	for (size_t i = 0; i < policy->mx_count; i++)
		copy.mx[i] = arena_strdup(arena, policy->mx[i]);
	if (policy->body != NULL)
		copy.body = arena_strndup(arena, policy->body, policy->body_length);
	return copy;
}

struct sts_inquiry *
sts_cache_begin(struct sts_cache *cache, struct arena *arena, const char *domain)
{
	struct sts_inquiry *inquiry = arena_alloc(arena, sizeof(*inquiry));

	(void)cache;
	inquiry->arena = arena;
	inquiry->domain = arena_strdup(arena, domain);
	inquiry->question.name = arena_printf(arena, "_mta-sts.%s", domain);
	inquiry->question.type = DNS_TXT;
	/* A name too long to exist cannot announce anything. */
	inquiry->has_question = strlen(inquiry->question.name) < DOMAIN_MAX;
	inquiry->began_ms = clock_monotonic_ms();
	return inquiry;
}

struct dns_question *
sts_inquiry_question(struct sts_inquiry *inquiry)
{
	return inquiry->has_question ? &inquiry->question : NULL;
}

/* Is a fetch needed, and not already known to be in vain? */
static void
send_for_policy(struct sts_cache *cache, struct sts_inquiry *inquiry)
{
	struct sts_backoff_failure failure;

	if (inquiry->txt != TXT_VALID ||
	    (inquiry->alive && strcmp(inquiry->id, inquiry->entry.policy.id) == 0))
		return;
	if (sts_cache_backs_off(cache, inquiry->domain, inquiry->id, inquiry->alive, &failure)) {
		inquiry->fetch_result = FETCH_FAILED;
		inquiry->fault = failure.fault;
		inquiry->finding = failure.finding;
		inquiry->why = arena_strdup(inquiry->arena, failure.why);
		inquiry->served = arena_strdup(inquiry->arena, failure.served);
		return;
	}
	inquiry->fetch = sts_fetches_join(cache->fetches, inquiry->domain, inquiry->id, false);
	inquiry->spare = inquiry->alive;
	inquiry->enough = deadline_in(NEW_ID_MS);
}

static void
look_up(struct sts_cache *cache, struct sts_inquiry *inquiry)
{
	inquiry->cached = sts_store_get(cache->policies, inquiry->arena, inquiry->domain,
	    &inquiry->entry);
	inquiry->alive = inquiry->cached == STORE_OK && !sts_cache_is_over(cache, &inquiry->entry);
}

void
sts_cache_answered(struct sts_cache *cache, struct sts_inquiry *inquiry)
{
	inquiry->txt = TXT_NONE;
	inquiry->txt_why = "";
	if (inquiry->has_question)
		inquiry->txt = sts_cache_read_txt(inquiry->arena, &inquiry->question.answer,
		    inquiry->id, &inquiry->txt_why);
	if (inquiry->txt == TXT_NONE && inquiry->question.answer.state == DNS_SECURE)
		sts_cache_ran_out_ends(inquiry->domain,
		    "the domain provably no longer publishes a policy");
	look_up(cache, inquiry);
	if (!inquiry->alive && inquiry->txt != TXT_FAILED && inquiry->txt != TXT_BOGUS)
		cold_failure_end(cache->store, inquiry->domain);
	send_for_policy(cache, inquiry);
}

static void
take_landing(struct sts_inquiry *inquiry, const struct sts_fetch *fetch)
{
	switch (fetch->outcome) {
	case STS_FETCHES_FETCHED:
		inquiry->fetch_result = FETCH_SUCCEEDED;
		inquiry->entry = fetch->entry;
		inquiry->entry.domain = inquiry->domain;
		inquiry->entry.policy = sts_policy_copy(inquiry->arena, &fetch->entry.policy);
		inquiry->entry.last_error = "";
		break;
	case STS_FETCHES_FAILED:
		inquiry->fetch_result = FETCH_FAILED;
		inquiry->fault = fetch->fault;
		inquiry->finding = fetch->finding;
		inquiry->served = arena_strdup(inquiry->arena,
		    fetch->served != NULL ? fetch->served : "");
		break;
	case STS_FETCHES_UNANNOUNCED:
		inquiry->fetch_result = FETCH_NOT_TRIED;
		break;
	case STS_FETCHES_BROKEN:
		inquiry->fetch_result = FETCH_UNKNOWN;
		break;
	}
	inquiry->why = arena_strdup(inquiry->arena, fetch->why);
}

/* How long to wait for the fetch. One that is slow holds up one message, not each of many. */
static struct deadline
patience(const struct sts_inquiry *inquiry, struct deadline deadline)
{
	const struct deadline late = { inquiry->fetch->began_ms + NEW_ID_MS };

	if (!inquiry->spare)
		return deadline;
	return deadline_earlier(deadline, deadline_earlier(inquiry->enough, late));
}

/* No domain has a colon in its name. */
static const char *
host_key(const struct sts_inquiry *inquiry)
{
	return arena_printf(inquiry->arena, "host:%s", inquiry->domain);
}

/* The addresses of the policy host were answered, which ends their failures. An answer for TXT says
 * nothing about them. */
static void
forgive_host(struct sts_cache *cache, const struct sts_inquiry *inquiry)
{
	if (!inquiry->alive &&
	    (inquiry->fetch_result == FETCH_SUCCEEDED ||
		(inquiry->fetch_result == FETCH_FAILED &&
		    sts_fault_blame(inquiry->fault) == STS_BLAME_PEER)))
		cold_failure_end(cache->store, host_key(inquiry));
}

/* Waits for the fetch. The fetch that was under way may have been for another id, and says nothing
 * about ours then: one more. */
static void
end_fetch(struct sts_cache *cache, struct sts_inquiry *inquiry, struct deadline deadline)
{
	while (inquiry->fetch != NULL) {
		struct sts_fetch *fetch = inquiry->fetch, *next = NULL;

		if (!sts_fetches_wait(cache->fetches, fetch, patience(inquiry, deadline))) {
			inquiry->fetch_result = FETCH_UNKNOWN;
			inquiry->why = "its policy is still being fetched";
		} else if (strcmp(fetch->id, inquiry->id) != 0 && !deadline_passed(deadline)) {
			next = sts_fetches_join(cache->fetches, inquiry->domain, inquiry->id,
			    false);
		} else {
			take_landing(inquiry, fetch);
			forgive_host(cache, inquiry);
		}
		sts_fetches_leave(cache->fetches, fetch);
		inquiry->fetch = next;
	}
}

static void __attribute__((format(printf, 2, 3)))
explain(struct sts_facts *sts, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sts->why, sizeof(sts->why), format, args);
	va_end(args);
}

static void
use_entry(struct sts_cache *cache, const struct sts_inquiry *inquiry, bool from_cache,
    struct sts_facts *sts)
{
	struct sts_policy *policy = arena_alloc(inquiry->arena, sizeof(*policy));

	*policy = inquiry->entry.policy;
	sts->state = STS_VALID;
	sts->policy = policy;
	sts->from_cache = from_cache;
	sts->fetched = sts_clock_wall(&cache->clock, inquiry->entry.fetched);
	sts->expires = sts_clock_wall(&cache->clock, inquiry->entry.expires);
}

static void
alarm_once(struct sts_cache *cache, const struct sts_inquiry *inquiry, enum sts_backoff_action kind,
    const char *message)
{
	static const struct finding none = { .type = RESULT_OK };
	static const char *const names[STS_ACTIONS] = { [STS_ACTION_TXT_GONE] = "txt-gone",
		[STS_ACTION_STUCK] = "stuck",
		[STS_ACTION_FUTURE] = "future" };

	if (inquiry->entry.policy.mode == STS_MODE_NONE ||
	    !sts_backoff_once(cache->backoff, inquiry->domain, kind, clock_monotonic_ms(),
		ALARM_EVERY_MS))
		return;
	metrics_count(METRIC_POLICY_ALARMS, names[kind], NULL);
	sts_cache_say(LOG_LEVEL_WARNING, inquiry->domain, &inquiry->entry.policy,
	    kind == STS_ACTION_STUCK ? &inquiry->finding : &none, message);
}

/* RFC 8461 5.1: a policy in force outlives its TXT record; but an administrator should look into
 * it. */
static void
raise_alarms(struct sts_cache *cache, const struct sts_inquiry *inquiry)
{
	if (inquiry->txt == TXT_NONE)
		alarm_once(cache, inquiry, STS_ACTION_TXT_GONE,
		    "the _mta-sts record is gone, but the"
		    " policy stays in force until its max_age is over");
	else if (inquiry->txt == TXT_INVALID || inquiry->txt == TXT_BOGUS)
		alarm_once(cache, inquiry, STS_ACTION_TXT_GONE,
		    "the _mta-sts record is no longer "
		    "valid, but the policy stays in force until its max_age is over");
	if (inquiry->fetch_result == FETCH_FAILED)
		alarm_once(cache, inquiry, STS_ACTION_STUCK,
		    "the _mta-sts record has a new id, but the"
		    " new policy cannot be fetched; the old one stays in force");
}

struct touching {
	struct sts_cache *cache;
	int64_t fetched;	/* of the entry that was used */
};

static enum sts_store_change
touch(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	struct touching *touching = context;
	struct sts_cache *cache = touching->cache;
	int64_t now = sts_clock_now(&cache->clock);

	(void)arena;
	if (!found || entry->fetched != touching->fetched)
		return STS_STORE_LEAVE;
	entry->used = now;
	if (entry->fetched > now + FUTURE_S) {
		entry->fetched = now;
		entry->expires = now + entry->policy.max_age;
		entry->refresh = now;
	}
	if (entry->refresh == 0)
		entry->refresh = sts_cache_next_refresh(cache, entry->policy.max_age);
	return STS_STORE_WRITE;
}

/* A policy in use is refreshed. One from the future, of a store whose anchor was lost, gets its
 * max_age from now on: it must end some time. */
static void
remember_use(struct sts_cache *cache, const struct sts_inquiry *inquiry)
{
	const struct sts_entry *entry = &inquiry->entry;
	struct touching touching = { cache, entry->fetched };
	int64_t now = sts_clock_now(&cache->clock), since = now - entry->used;
	bool future = entry->fetched > now + FUTURE_S;

	if (future)
		alarm_once(cache, inquiry, STS_ACTION_FUTURE,
		    "the policy was fetched while the clock was"
		    " wrong: it stays in force for its max_age from now on");
	else if (since < USED_EVERY_S && since > -USED_EVERY_S && entry->refresh != 0)
		return;
	sts_store_update(cache->policies, inquiry->domain, STORE_LAZY, touch, &touching);
}

/* A policy of mode none protects nothing, so a proven absence may end it early. */
static bool
is_over(const struct sts_inquiry *inquiry)
{
	return inquiry->txt == TXT_NONE && inquiry->entry.policy.mode == STS_MODE_NONE;
}

static void
use_cached(struct sts_cache *cache, const struct sts_inquiry *inquiry, struct sts_facts *sts)
{
	if (is_over(inquiry)) {
		sts_store_forget(cache->policies, inquiry->domain);
		sts->state = STS_NONE;
		return;
	}
	use_entry(cache, inquiry, true, sts);
	if (inquiry->fetch_result == FETCH_FAILED)
		sts->finding = inquiry->finding;
	if (inquiry->fetch_result != FETCH_NOT_TRIED)
		explain(sts, "%s", inquiry->why);
	else if (inquiry->txt != TXT_VALID)
		explain(sts, "%s", inquiry->txt_why);
	raise_alarms(cache, inquiry);
	remember_use(cache, inquiry);
}

/* After damage to the store a failed look-up may hide a policy that we had. */
static bool
must_distrust(const struct sts_cache *cache)
{
	int64_t damaged_at = sts_clock_damaged(&cache->clock);

	return damaged_at != 0 &&
	    sts_clock_now(&cache->clock) - damaged_at < cache->rules.cold_failure_grace / 1000;
}

static void
say_given_up(const struct sts_inquiry *inquiry, const char *reason, const char *message)
{
	struct log_line line;

	metrics_count(METRIC_POLICY_ALARMS, "given-up", NULL);
	log_begin(&line, LOG_LEVEL_WARNING, "policy");
	log_text(&line, "domain", inquiry->domain);
	log_text(&line, "reason", reason);
	log_text(&line, "msg", message);
	log_end(&line);
}

/* The look-up that failed just now has been failing for sts.cold-failure-grace. */
static bool
is_grace_over(struct sts_cache *cache, const char *key, struct sts_facts *sts)
{
	switch (cold_failure_count(cache->store, key, sts_clock_now(&cache->clock),
	    cache->rules.cold_failure_grace / 1000)) {
	case COLD_FAILURE_DEFER:
		break;
	case COLD_FAILURE_OVER:
		return !must_distrust(cache);
	case COLD_FAILURE_UNKNOWN:
		sts->state = STS_STORE_FAILED;
		break;
	}
	return false;
}

/* Nothing cached, and TXT unanswered: may the message go? */
static void
weigh_txt(struct sts_cache *cache, const struct sts_inquiry *inquiry, struct deadline deadline,
    struct sts_facts *sts)
{
	explain(sts, "%s", inquiry->txt_why);
	sts->state = STS_UNKNOWN;
	if (sts_fault_blame(sts_fault_of_txt(&inquiry->question.answer)) == STS_BLAME_OURS)
		return;
	sts->state = STS_TXT_FAILED;
	if (deadline_passed(deadline) && clock_monotonic_ms() - inquiry->began_ms < PATIENCE_MS)
		return;
	if (!is_grace_over(cache, inquiry->domain, sts))
		return;
	sts->state = STS_TXT_GIVEN_UP;
	say_given_up(inquiry, inquiry->txt_why,
	    "the _mta-sts record has been failing for longer"
	    " than sts.cold-failure-grace: delivering as if the domain had no policy");
}

/* Nothing cached, and the fetch failed. RFC 8461 3.3 lets the message go, whatever the reason;
 * here it goes only when the reason is the domain's own, or has lasted for cold-failure-grace: an
 * attacker on the path can make the look-up of an address fail, too. */
static void
weigh_fetch(struct sts_cache *cache, const struct sts_inquiry *inquiry, struct sts_facts *sts)
{
	sts->finding = inquiry->finding;
	sts->served = inquiry->served;
	switch (sts_fault_blame(inquiry->fault)) {
	case STS_BLAME_PEER:
		sts->state = STS_FETCH_FAILED;
		break;
	case STS_BLAME_WAY:
		sts->state = STS_HOST_FAILED;
		if (!is_grace_over(cache, host_key(inquiry), sts))
			break;
		sts->state = STS_FETCH_FAILED;
		say_given_up(inquiry, inquiry->why,
		    "the look-up of the policy host's addresses has"
		    " been failing for longer than sts.cold-failure-grace: delivering as if the"
		    " domain had no policy");
		break;
	case STS_BLAME_FORGED:
		sts->state = STS_HOST_BOGUS;
		break;
	case STS_BLAME_OURS:	/* never recorded as a failure */
		sts->state = STS_UNKNOWN;
		break;
	}
}

static void
use_nothing(struct sts_cache *cache, const struct sts_inquiry *inquiry, struct deadline deadline,
    struct sts_facts *sts)
{
	switch (inquiry->txt) {
	case TXT_NONE:
		sts->state = STS_NONE;
		break;
	case TXT_INVALID:
		sts->state = STS_NONE;
		explain(sts, "the _mta-sts record is not valid: %s", inquiry->txt_why);
		/* RFC 8461 3.1: several count as none, and are not reported as an error. */
		if (inquiry->txt_why != sts_txt_several)
			finding_set(&sts->finding, RESULT_STS_POLICY_INVALID, "%s",
			    inquiry->txt_why);
		break;
	case TXT_FAILED:
		weigh_txt(cache, inquiry, deadline, sts);
		break;
	case TXT_BOGUS:
		sts->state = STS_TXT_BOGUS;
		explain(sts, "%s", inquiry->txt_why);
		break;
	case TXT_VALID:
		sts->state = STS_UNKNOWN;
		if (inquiry->fetch_result == FETCH_FAILED)
			weigh_fetch(cache, inquiry, sts);
		explain(sts, "%s", inquiry->why);
		break;
	}
}

static const char *
answer_word(const struct sts_facts *sts)
{
	if (sts->state == STS_VALID)
		return sts->from_cache ? "cache" : "fetch";
	return sts->state == STS_NONE ? "none" : "failed";
}

bool
sts_cache_await(struct sts_cache *cache, const struct sts_inquiry *inquiry,
    struct deadline deadline)
{
	struct deadline until;

	if (inquiry->fetch == NULL)
		return true;
	until = patience(inquiry, deadline);
	return sts_fetches_wait(cache->fetches, inquiry->fetch, until) ||
	    until.at_ms < deadline.at_ms;
}

void
sts_cache_finish(struct sts_cache *cache, struct sts_inquiry *inquiry, struct deadline deadline,
    struct sts_facts *sts)
{
	*sts = (struct sts_facts){ .state = STS_NONE };
	end_fetch(cache, inquiry, deadline);
	sts->fetch_tried = inquiry->fetch_result != FETCH_NOT_TRIED;
	if (inquiry->fetch_result == FETCH_SUCCEEDED) {
		use_entry(cache, inquiry, false, sts);
	} else if (inquiry->alive) {
		use_cached(cache, inquiry, sts);
	} else if (inquiry->cached == STORE_FAILED) {
		sts->state = STS_STORE_FAILED;
		explain(sts, "see stsgated's log");
	} else {
		use_nothing(cache, inquiry, deadline, sts);
	}
	metrics_count(METRIC_POLICY_LOOKUPS, answer_word(sts), NULL);
	recent_count(RECENT_LOOKUPS);
	if (sts->state == STS_VALID && sts->from_cache)
		recent_count(RECENT_CACHED);
}

void
sts_cache_get(struct sts_cache *cache, struct arena *arena, const char *domain,
    struct deadline deadline, struct sts_facts *sts)
{
	struct sts_inquiry *inquiry = sts_cache_begin(cache, arena, domain);

	if (inquiry->has_question)
		resolver_ask(cache->resolver, arena, &inquiry->question, 1, deadline);
	sts_cache_answered(cache, inquiry);
	sts_cache_finish(cache, inquiry, deadline, sts);
}

/* Is there any news in the answer, compared with what made the refusal? */
static bool
is_news(const struct sts_inquiry *inquiry, const struct sts_facts *sts)
{
	switch (inquiry->txt) {
	case TXT_FAILED:
	case TXT_BOGUS:
		return false;
	case TXT_NONE:
	case TXT_INVALID:
		return sts->state == STS_TXT_FAILED || sts->state == STS_TXT_BOGUS;
	case TXT_VALID:
		break;
	}
	return sts->state != STS_VALID || strcmp(sts->policy->id, inquiry->id) != 0;
}

struct sts_inquiry *
sts_cache_recheck(struct sts_cache *cache, struct arena *arena, const char *domain,
    struct deadline deadline, const struct sts_facts *sts)
{
	struct sts_inquiry *inquiry = sts_cache_begin(cache, arena, domain);
	int64_t interval = cache->rules.retry_interval;

	if (!inquiry->has_question ||
	    !sts_backoff_once(cache->backoff, domain, STS_ACTION_RECHECK, clock_monotonic_ms(),
		interval))
		return NULL;
	resolver_ask_afresh(cache->resolver, arena, &inquiry->question, interval, deadline);
	inquiry->txt = sts_cache_read_txt(arena, &inquiry->question.answer, inquiry->id,
	    &inquiry->txt_why);
	if (!is_news(inquiry, sts))
		return NULL;
	sts_cache_answered(cache, inquiry);
	return inquiry;
}

struct sts_inquiry *
sts_cache_refresh_begin(struct sts_cache *cache, struct arena *arena, const char *domain)
{
	struct sts_inquiry *inquiry = sts_cache_begin(cache, arena, domain);

	look_up(cache, inquiry);
	inquiry->fetch = sts_fetches_join(cache->fetches, domain, "", true);
	inquiry->fetch_result = FETCH_UNKNOWN;
	inquiry->why = "the fetch has not ended in time";
	return inquiry;
}

int
sts_cache_refresh_end(struct sts_cache *cache, struct sts_inquiry *inquiry,
    struct deadline deadline, struct sts_facts *sts)
{
	*sts = (struct sts_facts){ .state = STS_NONE, .fetch_tried = true };
	if (sts_cache_await(cache, inquiry, deadline))
		take_landing(inquiry, inquiry->fetch);
	sts_fetches_leave(cache->fetches, inquiry->fetch);
	if (inquiry->fetch_result == FETCH_SUCCEEDED || inquiry->alive)
		use_entry(cache, inquiry, inquiry->fetch_result != FETCH_SUCCEEDED, sts);
	else if (inquiry->fetch_result == FETCH_FAILED)
		sts->state = STS_FETCH_FAILED;
	else if (inquiry->fetch_result == FETCH_UNKNOWN)
		sts->state = STS_UNKNOWN;
	if (inquiry->fetch_result == FETCH_SUCCEEDED)
		return 0;
	sts->finding = inquiry->finding;
	explain(sts, "%s", inquiry->why);
	return -1;
}
