/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/http.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/x509.h"
#include "base/store/store.h"
#include "base/store/store_dir.h"
#include "policy/dns/resolver.h"
#include "policy/facts/gather.h"
#include "policy/facts/sts_cache.h"
#include "shim/message/body.h"
#include "shim/smtp/conn_cache.h"
#include "shim/smtp/conn_limit.h"
#include "shim/smtp/deliver.h"
#include "shim/smtp/host_backoff.h"
#include "shim/smtp/tls_client.h"
#include "shim/lmtp/lmtp_server.h"
#include "integration/policymap/policy_map.h"
#include "shim/control/control.h"
#include "cmd/complain.h"
#include "cmd/engines.h"
#include "cmd/engines_report.h"
#include "cmd/listeners.h"
#include "cmd/privileges.h"
#include "cmd/timer.h"

#define DRAIN_MS	(30 * 1000)	/* what running sessions get after SIGTERM */
#define MAP_DRAIN_MS	5000	/* more than the policy map takes for any answer */
#define WHY_MAX	512

static int
open_store(struct engines *e)
{
	char why[WHY_MAX];
	int error;

	if (privileges_lower(&e->privileges) != 0) {
		complain(e->conf, "cannot become the configured user", strerror(errno));
		return -1;
	}
	e->store = store_open(e->conf->store.backend, e->conf->state_directory, why, sizeof(why));
	error = privileges_raise(&e->privileges);
	if (e->store == NULL) {
		complain(e->conf, why, "");
		return -1;
	}
	metrics_set(METRIC_STORE_DAMAGED, store_damaged_at(e->store));
	if (store_dir_is_exposed(e->conf->state_directory, why, sizeof(why)))
		log_message(LOG_LEVEL_WARNING, "store", "%s", why);
	if (error != 0)
		complain(e->conf, "cannot become root again to open the sockets", strerror(errno));
	return error;
}

static void
close_store(struct engines *e)
{
	store_close(e->store);
}

static int
open_listeners(struct engines *e)
{
	e->listeners = listeners_open(e->conf);
	return e->listeners == NULL ? -1 : 0;
}

static void
reload_listeners(struct engines *e, const struct conf *conf)
{
	listeners_reload(e->listeners, conf);
}

static void
close_listeners(struct engines *e)
{
	listeners_close(e->listeners);
}

static int
drop_privileges(struct engines *e)
{
	if (privileges_drop(&e->privileges) == 0)
		return 0;
	complain(e->conf, "cannot drop privileges", strerror(errno));
	return -1;
}

static int
limit_process(struct engines *e)
{
	(void)e;
	privileges_confine();
	return 0;
}

/* Found out now, and not by the first large message. */
static int
open_spool(struct engines *e)
{
	if (access(e->conf->spool_directory, W_OK | X_OK) != 0) {
		complain(e->conf, e->conf->spool_directory, "spool-directory cannot be written");
		return -1;
	}
	e->spool = body_spool_new(e->conf->spool_directory, e->conf->spool_memory);
	return 0;
}

static void
close_spool(struct engines *e)
{
	body_spool_free(e->spool);
}

static int
start_resolver(struct engines *e)
{
	char why[WHY_MAX];

	e->resolver = resolver_new(e->conf, why, sizeof(why));
	if (e->resolver == NULL)
		complain(e->conf, "DNS", why);
	return e->resolver == NULL ? EX_CONFIG : 0;
}

static void
free_resolver(struct engines *e)
{
	resolver_free(e->resolver);
}

static int
start_http(struct engines *e)
{
	char why[WHY_MAX];

	e->http = http_new(e->conf->tls.ca_file, e->conf->sts.http_proxy, why, sizeof(why));
	if (e->http == NULL)
		complain(e->conf, "policy fetch", why);
	return e->http == NULL ? EX_CONFIG : 0;
}

static void
free_http(struct engines *e)
{
	http_free(e->http);
}

static int
start_tls(struct engines *e)
{
	char why[WHY_MAX];

	e->tls = tls_client_new(e->conf->tls.ca_file, why, sizeof(why));
	if (e->tls == NULL)
		complain(e->conf, "TLS", why);
	return e->tls == NULL ? EX_CONFIG : 0;
}

static void
free_tls(struct engines *e)
{
	tls_client_free(e->tls);
}

static int
start_sts_cache(struct engines *e)
{
	e->sts_cache = sts_cache_new(e->conf, e->resolver, e->http, e->store);
	sts_cache_follow(e->sts_cache, e->now);
	return 0;
}

static void
free_sts_cache(struct engines *e)
{
	sts_cache_free(e->sts_cache);
}

static void
reload_sts_cache(struct engines *e, const struct conf *conf)
{
	sts_cache_reload(e->sts_cache, conf);
	/* The policy map keeps answers, which were made by the configuration before. */
	sts_cache_change_all(e->sts_cache);
}

static struct conn_cache_rules
conn_cache_rules(const struct conf *conf)
{
	return (struct conn_cache_rules){
		.idle_ms = conf->smtp.keep_idle,
		.time_ms = conf->smtp.keep_time,
		.messages = conf->smtp.keep_messages,
	};
}

static int
start_deliver(struct engines *e)
{
	const struct conf *conf = e->conf;
	struct conn_cache_rules cached = conn_cache_rules(conf);

	e->deliver = xcalloc(1, sizeof(*e->deliver));
	*e->deliver = (struct deliver_context){ .conf = conf,
		.gatherer = { .conf = conf,
		    .resolver = e->resolver,
		    .sts_cache = e->sts_cache,
		    .now = e->now },
		.tls = e->tls,
		.conn_limit = conn_limit_new(conf->smtp.max_deliveries, conf->smtp.max_per_host),
		.host_backoff = host_backoff_new(conf->smtp.host_retry),
		.recorder = e->recorder,
		.history = e->history };
	e->deliver->conn_cache = conn_cache_new(&cached, e->deliver->conn_limit);
	return 0;
}

static void
reload_deliver(struct engines *e, const struct conf *conf)
{
	struct conn_cache_rules cached = conn_cache_rules(conf);

	conn_limit_set_limits(e->deliver->conn_limit, conf->smtp.max_deliveries,
	    conf->smtp.max_per_host);
	host_backoff_set_retry(e->deliver->host_backoff, conf->smtp.host_retry);
	conn_cache_set_rules(e->deliver->conn_cache, &cached);
	conn_cache_clear(e->deliver->conn_cache);
}

static void
free_deliver(struct engines *e)
{
	conn_cache_free(e->deliver->conn_cache);
	conn_limit_free(e->deliver->conn_limit);
	host_backoff_free(e->deliver->host_backoff);
	free(e->deliver);
}

/* All callers that wait for an answer or a fetch continue at once, as if it had failed. */
static void
cancel_lookups(struct engines *e)
{
	sts_cache_cancel(e->sts_cache);
	resolver_cancel(e->resolver);
	http_cancel(e->http);
}

static int
start_timer(struct engines *e)
{
	e->timer = timer_start(e->store, e->sts_cache);
	if (e->timer == NULL)
		complain(e->conf, "timer", "cannot create a thread");
	return e->timer == NULL ? -1 : 0;
}

static bool
halt_timer(struct engines *e)
{
	timer_join(e->timer);
	return true;
}

static int
serve_policy_map(void *context, int fd, bool tcp)
{
	(void)tcp;
	return policy_map_listen(context, fd);
}

static void
unserve_policy_map(void *context, int fd)
{
	policy_map_unlisten(context, fd);
}

static int
start_policy_map(struct engines *e)
{
	e->policy_map = policy_map_new(&e->deliver->gatherer);
	return listeners_serve(e->listeners, "policy-map", serve_policy_map, unserve_policy_map,
	    e->policy_map);
}

static bool
halt_policy_map(struct engines *e)
{
	bool drained = policy_map_drain(e->policy_map, deadline_in(MAP_DRAIN_MS));

	/* No caller waits for look-ups in the background. */
	cancel_lookups(e);
	policy_map_join(e->policy_map);
	return drained;
}

static void
free_policy_map(struct engines *e)
{
	policy_map_free(e->policy_map);
}

static int
serve_control(void *context, int fd, bool tcp)
{
	return control_listen(context, fd, tcp);
}

static void
unserve_control(void *context, int fd)
{
	control_unlisten(context, fd);
}

static int
start_control(struct engines *e)
{
	struct control_context context = { e->conf, e->deliver->gatherer, e->deliver,
		{ e->conf, e->store, e->tally, e->reporter } };

	e->control = control_new(&context);
	return listeners_serve(e->listeners, "control", serve_control, unserve_control, e->control);
}

static bool
halt_control(struct engines *e)
{
	control_free(e->control);
	return true;
}

static int
serve_lmtp(void *context, int fd, bool tcp)
{
	return lmtp_server_listen(context, fd, tcp);
}

static void
unserve_lmtp(void *context, int fd)
{
	lmtp_server_unlisten(context, fd);
}

static void
reload_lmtp(struct engines *e, const struct conf *conf)
{
	lmtp_server_reload(e->lmtp, conf);
}

static int
start_lmtp(struct engines *e)
{
	e->lmtp = lmtp_server_new(e->conf, e->spool, deliver_group, e->deliver);
	lmtp_server_follow(e->lmtp, e->now);
	return listeners_serve(e->listeners, "lmtp", serve_lmtp, unserve_lmtp, e->lmtp);
}

static bool
halt_lmtp(struct engines *e)
{
	conn_cache_stop(e->deliver->conn_cache);
	if (lmtp_server_drain(e->lmtp, deadline_in(DRAIN_MS)))
		return true;
	/* No caller waits for an answer or a policy any longer. */
	cancel_lookups(e);
	lmtp_server_cancel(e->lmtp);
	return false;
}

static void
free_lmtp(struct engines *e)
{
	lmtp_server_free(e->lmtp);
}

/*
 * In the order in which they start. The lock on the state directory comes before the store is
 * recovered and before any socket is touched, so that a second stsgated harms nothing. The rows
 * above the line that drops privileges run as root if stsgated was started as root, and start no
 * thread. Servers come last, LMTP after everything that a delivery needs.
 *
 * They stop in the reverse order: first halt of each, which drains it and joins its threads, then,
 * when no thread is left, free of each. cancel_lookups() and engines_report.c cancel what the
 * resolver and HTTP still do for others: no engine stops another.
 */
static const struct engine {
	const char *name;
	/* 0, or -1 after complain() */
	int (*start)(struct engines *e);	/* as engines_start() */
	/* Applies another configuration; steps that can fail are in prepare_reload(). NULL: nothing
	 * can change, or it is fixed (conf_fixed.h). */
	void (*reload)(struct engines *e, const struct conf *conf);
	/* Finishes what runs and takes no more; false: threads still run. NULL: has none. */
	bool (*halt)(struct engines *e);
	void (*free)(struct engines *e);	/* NULL: nothing left after halt */
} engines[] = {
	{ "store", open_store, NULL, NULL, close_store },
	{ "listeners", open_listeners, reload_listeners, NULL, close_listeners },
	{ "tlsrpt-socket", engines_report_open_tlsrpt, NULL, NULL, engines_report_close_tlsrpt },
	{ "privileges", drop_privileges, NULL, NULL, NULL },
	{ "limits", limit_process, NULL, NULL, NULL },
	{ "spool", open_spool, NULL, NULL, close_spool },
	{ "resolver", start_resolver, NULL, NULL, free_resolver },
	{ "http", start_http, NULL, NULL, free_http },
	{ "tls", start_tls, NULL, NULL, free_tls },
	{ "sts-cache", start_sts_cache, reload_sts_cache, NULL, free_sts_cache },
	{ "tally", engines_report_start_tally, NULL, NULL, engines_report_free_tally },
	{ "tlsrpt-forward", engines_report_start_forward, NULL, NULL, engines_report_free_forward },
	{ "recorder", engines_report_start_recorder, NULL, NULL, engines_report_free_recorder },
	{ "collector", engines_report_start_collector, NULL, engines_report_halt_collector, NULL },
	{ "history", engines_report_start_history, engines_report_reload_history, NULL,
	    engines_report_free_history },
	{ "deliver", start_deliver, reload_deliver, NULL, free_deliver },
	{ "policy-map", start_policy_map, NULL, halt_policy_map, free_policy_map },
	{ "timer", start_timer, NULL, halt_timer, NULL },
	{ "reporter", engines_report_start_reporter, NULL, engines_report_halt_reporter,
	    engines_report_free_reporter },
	{ "control", start_control, NULL, halt_control, NULL },
	{ "lmtp", start_lmtp, reload_lmtp, halt_lmtp, free_lmtp },
};
#define ENGINE_COUNT	(sizeof(engines) / sizeof(engines[0]))

int
engines_start(struct engines *e)
{
	int status = 0;

	for (size_t i = 0; i < ENGINE_COUNT && status == 0; i++) {
		log_message(LOG_LEVEL_DEBUG, "start", "%s", engines[i].name);
		status = engines[i].start(e);
	}
	return status;
}

/* The steps that can fail. */
static int
prepare_reload(struct engines *e, const struct conf *conf, struct x509_trust **trust)
{
	char why[WHY_MAX];

	*trust = x509_trust_load(conf->tls.ca_file, why, sizeof(why));
	if (*trust != NULL && resolver_reload(e->resolver, conf, why, sizeof(why)) == 0)
		return 0;
	log_message(LOG_LEVEL_ERROR, "reload", "the configuration stays as it was: %s", why);
	x509_trust_free(*trust);
	return -1;
}

int
engines_reload(struct engines *e, struct conf *conf)
{
	struct x509_trust *trust;

	if (prepare_reload(e, conf, &trust) != 0)
		return -1;
	tls_client_trust(e->tls, trust);
	http_trust(e->http, trust);
	x509_trust_free(trust);
	conf_now_set(e->now, conf);
	for (size_t i = 0; i < ENGINE_COUNT; i++)
		if (engines[i].reload != NULL)
			engines[i].reload(e, conf);
	return 0;
}

void
engines_probe(struct engines *e)
{
	struct arena *arena = arena_new();
	struct ip nowhere = { .v6 = false };
	struct sts_entry entry;

	(void)resolver_health(e->resolver);
	if (conn_limit_take(e->deliver->conn_limit, &nowhere, "", 0, deadline_in(0), NULL, NULL))
		conn_limit_give(e->deliver->conn_limit, &nowhere, "");
	(void)sts_cache_peek(e->sts_cache, arena, "watchdog.invalid", &entry);
	arena_free(arena);
}

/* Every one is halted, also after one that could not be. */
static bool
halt_all(struct engines *e)
{
	bool halted = true;

	for (size_t i = ENGINE_COUNT; i-- > 0;) {
		log_message(LOG_LEVEL_DEBUG, "stop", "%s", engines[i].name);
		if (engines[i].halt != NULL && !engines[i].halt(e))
			halted = false;
	}
	return halted;
}

bool
engines_stop(struct engines *e)
{
	if (!halt_all(e)) {
		/* Threads still use the engines. The MTA keeps what is unanswered. */
		log_message(LOG_LEVEL_WARNING, "stop",
		    "sessions were still running when the time to stop was over");
		listeners_close(e->listeners);
		store_checkpoint(e->store);
		return false;
	}
	for (size_t i = ENGINE_COUNT; i-- > 0;)
		if (engines[i].free != NULL)
			engines[i].free(e);
	return true;
}
