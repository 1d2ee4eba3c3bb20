/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alarm.h"
#include "base/log.h"
#include "base/metrics.h"
#include "policy/facts/sts_cache_inside.h"
#include "policy/facts/sts_https.h"

#define BACKOFF_DOUBLINGS	6	/* retry-interval grows up to 64-fold */

void
sts_cache_say(enum log_level level, const char *domain, const struct sts_policy *policy,
    const struct finding *finding, const char *message)
{
	struct log_line line;

	log_begin(&line, level, "policy");
	log_text(&line, "domain", domain);
	if (policy != NULL) {
		log_text(&line, "mode", sts_mode_name(policy->mode));
		log_text(&line, "policy-id", policy->id);
		log_number(&line, "max-age", policy->max_age);
	}
	log_text(&line, "result", result_type_name(finding->type));
	log_text(&line, "reason", finding->reason[0] != '\0' ? finding->reason : NULL);
	log_text(&line, "msg", message);
	log_end(&line);
}

void
sts_cache_ran_out(const struct sts_entry *entry)
{
	if (entry->policy.mode == STS_MODE_ENFORCE &&
	    alarm_begin(ALARM_RAN_OUT, entry->domain,
		"the enforced policy %s of %s ended and could not be refreshed (%s): mail to it "
		"is no longer protected by MTA-STS. Check whether https://mta-sts.%s/ can be "
		"reached; if the domain has abandoned MTA-STS: stsgate cache forget %s",
		entry->policy.id, entry->domain,
		entry->last_error[0] != '\0' ? entry->last_error : "no fetch was tried",
		entry->domain, entry->domain))
		metrics_count(METRIC_POLICY_ALARMS, "ran-out", NULL);
}

void
sts_cache_ran_out_ends(const char *domain, const char *how)
{
	alarm_end(ALARM_RAN_OUT, domain, "%s", how);
}

/* Somewhere in the later half of span, so that it is unpredictable (RFC 8461 10.2). */
static int64_t
jittered(int64_t span_s)
{
	return span_s - arc4random_uniform((uint32_t)(span_s / 2 + 1));
}

int64_t
sts_cache_next_refresh(const struct sts_cache *cache, uint32_t max_age)
{
	int64_t span = cache->rules.refresh_interval / 1000;
	int64_t least = cache->rules.retry_interval / 1000;

	if (max_age == 0)
		return 0;
	if (span > (int64_t)max_age * 3 / 4)	/* with time left to try again */
		span = (int64_t)max_age * 3 / 4;
	span = jittered(span);
	return sts_clock_now(&cache->clock) + (span > least ? span : least);
}

/* The same after so many failures in a row. */
static int64_t
next_try(const struct sts_cache *cache, unsigned failures)
{
	unsigned doublings = failures > 1 ? failures - 1 : 0;
	int64_t wait = cache->rules.retry_interval / 1000;
	uint32_t jitter;

	wait <<= doublings < BACKOFF_DOUBLINGS ? doublings : BACKOFF_DOUBLINGS;
	if (wait > cache->rules.refresh_interval / 1000)
		wait = cache->rules.refresh_interval / 1000;
	jitter = arc4random_uniform((uint32_t)(wait / 4 + 1));
	return sts_clock_now(&cache->clock) + wait + jitter;
}

/* A policy is looked at once more when it ends. */
static int64_t
by_its_end(const struct sts_entry *entry, int64_t refresh)
{
	return refresh > entry->expires ? entry->expires : refresh;
}

static enum sts_store_change
postpone(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	(void)arena;
	if (!found || entry->refresh == 0)
		return STS_STORE_LEAVE;
	entry->refresh = by_its_end(entry, sts_cache_next_refresh(context, entry->policy.max_age));
	return STS_STORE_WRITE;
}

/*
 * A refresh uses the present id of TXT. Without one the old policy's id stays: an attacker who
 * removes a TXT record must not be able to let the policy expire (RFC 8461 10.2). The lifetime is
 * not extended only when the domain has provably withdrawn its record.
 */
static bool
learn_id(struct sts_cache *cache, struct sts_fetch *fetch)
{
	struct dns_question question = { .type = DNS_TXT };
	struct sts_entry entry;
	const char *why = "no TXT record announces a policy";
	enum txt_answer txt;

	question.name = arena_printf(fetch->arena, "_mta-sts.%s", fetch->domain);
	resolver_ask(cache->resolver, fetch->arena, &question, 1,
	    deadline_in(cache->rules.dns_timeout));
	txt = sts_cache_read_txt(fetch->arena, &question.answer, fetch->id, &why);
	if (txt == TXT_VALID)
		return true;
	if (fetch->background && txt == TXT_NONE && question.answer.state == DNS_SECURE)
		sts_store_update(cache->policies, fetch->domain, STORE_LAZY, postpone, cache);
	else if (sts_store_get(cache->policies, fetch->arena, fetch->domain, &entry) == STORE_OK &&
	    !sts_cache_is_over(cache, &entry)) {
		snprintf(fetch->id, sizeof(fetch->id), "%s", entry.policy.id);
		return true;
	}
	if (txt == TXT_NONE || txt == TXT_INVALID)
		fetch->outcome = STS_FETCHES_UNANNOUNCED;
	snprintf(fetch->why, sizeof(fetch->why), "%s", why);
	return false;
}

/* Is a fetch of this id not to be tried again yet? When nothing is in force, only a fault of the
 * peer has a back-off: a failed or forged DNS answer is soon looked up again. */
bool
sts_cache_backs_off(struct sts_cache *cache, const char *domain, const char *id, bool alive,
    struct sts_backoff_failure *failure)
{
	return sts_backoff_applies(cache->backoff, domain, id, clock_monotonic_ms(),
		   cache->rules.retry_interval, failure) &&
	    (alive || sts_fault_blame(failure->fault) == STS_BLAME_PEER);
}

/* A policy that was fetched, or failed, while this fetch was waiting to begin is not fetched
 * again. */
static bool
is_settled(struct sts_cache *cache, struct sts_fetch *fetch)
{
	struct sts_entry *entry = &fetch->entry;
	struct sts_backoff_failure failure;
	bool alive = sts_store_get(cache->policies, fetch->arena, fetch->domain, entry) ==
		STORE_OK &&
	    !sts_cache_is_over(cache, entry);

	if (alive && strcmp(entry->policy.id, fetch->id) == 0) {
		fetch->outcome = STS_FETCHES_FETCHED;
		return true;
	}
	if (!sts_cache_backs_off(cache, fetch->domain, fetch->id, alive, &failure))
		return false;
	fetch->outcome = STS_FETCHES_FAILED;
	fetch->fault = failure.fault;
	fetch->finding = failure.finding;
	snprintf(fetch->why, sizeof(fetch->why), "%s", failure.why);
	fetch->served = arena_strdup(fetch->arena, failure.served);
	return true;
}

struct replacing {
	struct sts_cache *cache;
	struct sts_fetch *fetch;
	bool fell;	/* from enforce */
};

static enum sts_store_change
replace(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	struct replacing *replacing = context;
	struct sts_fetch *fetch = replacing->fetch;
	struct sts_cache *cache = replacing->cache;

	(void)arena;
	replacing->fell = found && !sts_cache_is_over(cache, entry) &&
	    entry->policy.mode == STS_MODE_ENFORCE && fetch->entry.policy.mode != STS_MODE_ENFORCE;
	fetch->entry.used = fetch->refresh && found ? entry->used : sts_clock_now(&cache->clock);
	*entry = fetch->entry;
	return STS_STORE_WRITE;
}

/* RFC 8461 3.3, 5.1: verified and well-formed, so it takes the place of the old one at once. */
static void
keep(struct sts_cache *cache, struct sts_fetch *fetch, const struct sts_policy *policy)
{
	struct replacing replacing = { .cache = cache, .fetch = fetch };
	struct sts_entry *entry = &fetch->entry;

	*entry = (struct sts_entry){ .domain = arena_strdup(fetch->arena, fetch->domain),
		.policy = *policy,
		.last_error = "" };
	memcpy(entry->policy.id, fetch->id, sizeof(entry->policy.id));
	entry->fetched = sts_clock_now(&cache->clock);
	entry->expires = entry->fetched + policy->max_age;
	entry->refresh = by_its_end(entry, sts_cache_next_refresh(cache, policy->max_age));
	sts_store_update(cache->policies, fetch->domain, STORE_SYNC, replace, &replacing);
	sts_backoff_succeeded(cache->backoff, fetch->domain);
	sts_outage_succeeded(cache->outage);
	alarm_end(ALARM_FETCH_OUTAGE, "", "the policy of %s was fetched", fetch->domain);
	sts_cache_ran_out_ends(fetch->domain, "a policy was fetched");
	fetch->outcome = STS_FETCHES_FETCHED;
	if (replacing.fell) {
		metrics_count(METRIC_POLICY_ALARMS, "fell", NULL);
		sts_cache_say(LOG_LEVEL_WARNING, fetch->domain, &entry->policy, &fetch->finding,
		    "the domain no longer enforces its policy: mail to it is no longer protected");
	} else {
		sts_cache_say(LOG_LEVEL_INFO, fetch->domain, &entry->policy, &fetch->finding,
		    policy->max_age_capped ? "fetched; its max_age is over a year and was cut"
					   : "fetched");
	}
}

struct blaming {
	struct sts_cache *cache;
	const struct sts_fetch *fetch;
	unsigned failures;
};

static enum sts_store_change
blame(void *context, struct arena *arena, struct sts_entry *entry, bool found)
{
	const struct blaming *blaming = context;
	const struct finding *finding = &blaming->fetch->finding;
	const char *colon = finding->reason[0] != '\0' ? ": " : "";

	if (!found)
		return STS_STORE_LEAVE;
	entry->last_error = arena_printf(arena, "%s%s%s", result_type_name(finding->type), colon,
	    finding->reason);
	if (blaming->fetch->refresh && entry->refresh != 0)
		entry->refresh = by_its_end(entry, next_try(blaming->cache, blaming->failures));
	if (sts_cache_is_over(blaming->cache, entry))
		sts_cache_ran_out(entry);
	return STS_STORE_WRITE;
}

static void
count_for_outage(struct sts_cache *cache, const struct sts_fetch *fetch)
{
	if (sts_outage_failed(cache->outage, fetch->domain, clock_monotonic_ms()) &&
	    alarm_begin(ALARM_FETCH_OUTAGE, "",
		"every policy fetch of the last ten minutes "
		"failed, for at least five domains: check whether this machine can connect to "
		"port 443 of other hosts, or whether sts.http-proxy works"))
		metrics_count(METRIC_POLICY_ALARMS, "fetch-outage", NULL);
}

static void
remember_failure(struct sts_cache *cache, struct sts_fetch *fetch, const char *served)
{
	struct blaming blaming = { .cache = cache, .fetch = fetch };
	struct sts_backoff_failure failure = { .fault = fetch->fault, .finding = fetch->finding };

	snprintf(failure.why, sizeof(failure.why), "%s", fetch->why);
	snprintf(failure.served, sizeof(failure.served), "%s", served != NULL ? served : "");
	fetch->served = served;
	blaming.failures = sts_backoff_failed(cache->backoff, fetch->domain, fetch->id,
	    clock_monotonic_ms(), &failure);
	sts_store_update(cache->policies, fetch->domain, STORE_LAZY, blame, &blaming);
	fetch->outcome = STS_FETCHES_FAILED;
	sts_cache_say(LOG_LEVEL_WARNING, fetch->domain, NULL, &fetch->finding, fetch->why);
	count_for_outage(cache, fetch);
}

/* A cached failure is shown with it and retried; it is not enforced. */
static void
note_own_trouble(struct sts_cache *cache, struct sts_fetch *fetch)
{
	struct blaming blaming = { .cache = cache, .fetch = fetch, .failures = 1 };

	sts_store_update(cache->policies, fetch->domain, STORE_LAZY, blame, &blaming);
	sts_cache_say(LOG_LEVEL_ERROR, fetch->domain, NULL, &fetch->finding, fetch->why);
	count_for_outage(cache, fetch);
}

static int
download(struct sts_cache *cache, struct sts_fetch *fetch, struct sts_policy *policy)
{
	const struct conf *conf = cache->now != NULL ? conf_now_take(cache->now) : cache->conf;
	struct sts_https_failure failure;
	int result;

	result = sts_https_get(conf, cache->resolver, cache->http, fetch->arena, fetch->domain,
	    deadline_in(conf->sts.fetch_timeout), policy, &failure);
	fetch->fault = failure.fault;
	fetch->finding = failure.finding;
	snprintf(fetch->why, sizeof(fetch->why), "%s", failure.why);
	if (cache->now != NULL)
		conf_now_give(cache->now, conf);
	return result;
}

void
sts_cache_fetch(void *context, struct sts_fetch *fetch)
{
	struct sts_cache *cache = context;
	struct sts_policy policy;

	if (fetch->refresh ? !learn_id(cache, fetch) : is_settled(cache, fetch))
		return;
	fetch->outcome = STS_FETCHES_BROKEN;
	if (download(cache, fetch, &policy) == 0)
		keep(cache, fetch, &policy);
	else if (sts_fetches_stopping(cache->fetches))
		return;
	else if (sts_fault_blame(fetch->fault) == STS_BLAME_OURS)
		note_own_trouble(cache, fetch);
	else
		remember_failure(cache, fetch, policy.body);
}
