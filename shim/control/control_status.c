/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/alarm.h"
#include "base/arena.h"
#include "base/confined.h"
#include "base/deadline.h"
#include "base/metrics.h"
#include "base/recent.h"
#include "base/utc.h"
#include "base/conf/conf_warn.h"
#include "shim/control/control_status.h"

#define TROUBLE_MS	(59 * 1000)	/* for which a local fault counts after it was seen */
#define RECOUNT	20	/* times as long as a count takes, it is used */

enum state { STATE_OK, STATE_WARNING, STATE_CRITICAL };
static const char *const state_names[] = { "ok", "warning", "critical" };

struct status {
	enum state state;
	json_t *reasons;
};

static char *
text_of(const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));

	if (text == NULL)	/* no memory: see base/arena.h */
		abort();
	return text;
}

static void
add_reason(struct status *status, enum state state, const char *alarm, const char *domain,
    const char *since, const char *text)
{
	if (status->state < state)
		status->state = state;
	json_array_append_new(status->reasons,
	    json_pack("{s:s, s:s, s:s*, s:s}", "alarm", alarm, "domain", domain, "since", since,
		"text", text));
}

static void
add_alarm(void *context, const char *name, bool error, const char *domain, const char *since,
    const char *text)
{
	add_reason(context, error ? STATE_CRITICAL : STATE_WARNING, name, domain, since, text);
}

static void
add_warning(void *context, const char *warning)
{
	add_reason(context, STATE_WARNING, "config", "", NULL, warning);
}

/* The local faults that defer mail. Those with an alarm of their own are in the list already. */
static void
list_faults(const struct gatherer *gatherer,
    void (*each)(void *context, const char *name, bool has_alarm, const char *text), void *context)
{
	char words[RESOLVER_FAULT_MAX];
	enum resolver_health health = resolver_fault(gatherer->resolver, words);

	if (health == RESOLVER_BROKEN || health == RESOLVER_SILENT)
		each(context, "resolver", alarm_stands(ALARM_RESOLVER, ""),
		    words[0] != '\0' ? words : "names cannot be resolved");
	if (alarm_stands(ALARM_STORE, ""))
		each(context, "store", true, "the store fails");
	if (recent_within(RECENT_SPOOL_FULL, TROUBLE_MS))
		each(context, "spool", false,
		    "there was no room for a message in spool-memory or spool-directory");
	if (recent_within(RECENT_NO_DESCRIPTOR, TROUBLE_MS))
		each(context, "descriptors", false, "the limit of open files was reached");
}

static void
add_fault(void *context, const char *name, bool has_alarm, const char *text)
{
	if (!has_alarm)
		add_reason(context, STATE_CRITICAL, name, "", NULL, text);
}

static json_t *
resolver_of(const struct gatherer *gatherer)
{
	int64_t ago_ms = resolver_tested_ms_ago(gatherer->resolver);
	char tested[UTC_TEXT_MAX];

	utc_text(clock_wall_s() - ago_ms / 1000, tested);
	return json_pack("{s:s, s:s*}", "state",
	    resolver_health_name(resolver_health(gatherer->resolver)), "tested",
	    ago_ms >= 0 ? tested : NULL);
}

static bool
count_policy(void *context, const struct sts_entry *entry)
{
	json_int_t *counts = context;

	counts[entry->policy.mode]++;
	return true;
}

/* A large cache takes seconds to count, and monitoring asks often. */
static json_t *
policies_of(const struct gatherer *gatherer)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static json_int_t counts[STS_MODE_ENFORCE + 1];
	static int64_t counted_ms, took_ms;
	int64_t now_ms = clock_monotonic_ms();
	json_t *policies;

	(void)pthread_mutex_lock(&lock);
	if (counted_ms == 0 || now_ms - counted_ms >= RECOUNT * took_ms) {
		memset(counts, 0, sizeof(counts));
		(void)sts_cache_list(gatherer->sts_cache, "", count_policy, counts);
		counted_ms = clock_monotonic_ms();
		took_ms = counted_ms - now_ms;
	}
	policies = json_pack("{s:I, s:I, s:I}", "enforce", counts[STS_MODE_ENFORCE], "testing",
	    counts[STS_MODE_TESTING], "none", counts[STS_MODE_NONE]);
	(void)pthread_mutex_unlock(&lock);
	return policies;
}

/* The sections that ask less of a domain than it publishes. */
static int
overrides_of(const struct conf *conf)
{
	int count = 0;

	for (size_t i = 0; i < conf->destination_count; i++) {
		unsigned tls = conf->destinations[i].tls;

		count += tls == TLS_NONE || tls == TLS_MAY || tls == TLS_AUDIT;
	}
	return count;
}

static double
share(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (double)part / (double)whole : 0;
}

static json_t *
rates_of(const struct recent_figures *figures)
{
	const uint64_t *counts = figures->counts;

	return json_pack("{s:f, s:f, s:f, s:f}", "messages",
	    (double)counts[RECENT_MESSAGES] / figures->seconds, "kept",
	    share(counts[RECENT_KEPT], counts[RECENT_ATTEMPTS]), "resumed",
	    share(counts[RECENT_RESUMED], counts[RECENT_HANDSHAKES]), "cached",
	    share(counts[RECENT_CACHED], counts[RECENT_LOOKUPS]));
}

static json_int_t
gauge(enum metric metric, const char *value)
{
	return metrics_get(metric, value, NULL);
}

static json_t *
confine_now(void)
{
	struct confined confined;

	confined_read(&confined);
	return json_pack("{s:b, s:b, s:i}", "no_new_privs", (int)confined.no_new_privs, "seccomp",
	    (int)confined.seccomp, "landlock", confined.landlock);
}

static void
add_use(json_t *object, const struct conf *conf)
{
	struct recent_figures figures;

	recent_read(&figures);
	json_object_set_new(object, "sessions",
	    json_pack("{s:I, s:I}", "running", gauge(METRIC_LMTP_SESSIONS_RUNNING, NULL), "max",
		(json_int_t)conf->lmtp.max_sessions));
	json_object_set_new(object, "connections",
	    json_pack("{s:I, s:I, s:I}", "open", gauge(METRIC_CONNECTIONS_OPEN, NULL), "max",
		(json_int_t)conf->smtp.max_deliveries, "waiting",
		gauge(METRIC_CONNECTIONS_WAITING, NULL)));
	json_object_set_new(object, "spool",
	    json_pack("{s:I, s:I}", "memory", gauge(METRIC_SPOOL_BYTES, "memory"), "max",
		(json_int_t)conf->spool_memory));
	json_object_set_new(object, "rates", rates_of(&figures));
	json_object_set_new(object, "latency",
	    json_pack("{s:f, s:f, s:f}", "p50", figures.p50, "p95", figures.p95, "p99",
		figures.p99));
}

void
control_status(const struct gatherer *gatherer, struct control_answer *answer)
{
	struct status status = { .reasons = json_array() };
	json_t *object;

	alarm_list(add_alarm, &status);
	list_faults(gatherer, add_fault, &status);
	conf_warn(gatherer->conf, add_warning, &status);
	object = json_pack("{s:s, s:o, s:I, s:s, s:o, s:o, s:i}", "state",
	    state_names[status.state], "reasons", status.reasons, "uptime",
	    (json_int_t)(clock_wall_s() - gauge(METRIC_START_TIME, NULL)), "version",
	    PACKAGE_VERSION, "resolver", resolver_of(gatherer), "policies", policies_of(gatherer),
	    "overrides", overrides_of(gatherer->conf));
	add_use(object, gatherer->conf);
	json_object_set_new(object, "confine", confine_now());
	answer->status = 200;
	answer->text = text_of(object);
	json_decref(object);
}

static void
add_text(void *context, const char *name, bool has_alarm, const char *text)
{
	json_t *reasons = context;

	(void)has_alarm;
	json_array_append_new(reasons, json_sprintf("%s: %s", name, text));
}

void
control_health(const struct gatherer *gatherer, struct control_answer *answer)
{
	json_t *reasons = json_array(), *object;

	list_faults(gatherer, add_text, reasons);
	if (json_array_size(reasons) == 0) {
		json_decref(reasons);
		object = json_pack("{s:s}", "status", "ok");
		answer->status = 200;
	} else {
		object = json_pack("{s:s, s:o}", "status", "degraded", "reasons", reasons);
		answer->status = 503;
	}
	answer->text = text_of(object);
	json_decref(object);
}
