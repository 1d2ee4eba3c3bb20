/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgated(8): reads the configuration, opens store, engines and sockets in the order that a
 * second process cannot harm, and waits for a signal.
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/deadline.h"
#include "base/endpoint.h"
#include "base/http.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/store.h"
#include "policy/gather.h"
#include "policy/resolver.h"
#include "policy/sts_cache.h"
#include "shim/body.h"
#include "shim/control.h"
#include "shim/deliver.h"
#include "shim/host_memory.h"
#include "shim/keep.h"
#include "shim/lmtp_server.h"
#include "shim/slots.h"
#include "shim/tls_client.h"
#include "cmd/privileges.h"
#include "cmd/timer.h"

#define DEFAULT_CONF	SYSCONFDIR "/stsgate/stsgate.conf"
#define LISTEN_BACKLOG	512
#define SELF_TEST_MS	5000	/* what -t waits for the resolver */
#define DRAIN_MS	(30 * 1000)	/* what running sessions get after SIGTERM */

struct stsgated {
	struct conf *conf;
	struct privileges privileges;
	struct store *store;
	struct resolver *resolver;
	struct http *http;
	struct sts_cache *sts_cache;
	struct tls_client *tls;
	struct spool *spool;
	struct deliver_context deliver;
	struct lmtp_server *lmtp;
	struct control *control;
	struct timer *timer;
};

/* Whoever starts stsgated by hand must see why it does not run, wherever the log goes. */
static void
complain(const struct stsgated *d, const char *what, const char *why)
{
	const char *colon = why[0] == '\0' ? "" : ": ";

	if (d->conf->log_to_syslog)
		fprintf(stderr, "stsgated: %s%s%s\n", what, colon, why);
	log_message(LOG_LEVEL_ERROR, "start", "%s%s%s", what, colon, why);
}

static void
block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* Message content may be in memory: no core files, nobody else's debugger. */
static void
set_process_limits(void)
{
	struct rlimit limit = { 0, 0 };

	setrlimit(RLIMIT_CORE, &limit);
	prctl(PR_SET_DUMPABLE, 0);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	umask(077);
}

static int
open_store(struct stsgated *d)
{
	char why[512];
	int error;

	if (privileges_lower(&d->privileges) != 0) {
		complain(d, "cannot become the configured user", strerror(errno));
		return -1;
	}
	d->store = store_open(d->conf->store.backend, d->conf->state_directory, why, sizeof(why));
	error = privileges_raise(&d->privileges);
	if (d->store == NULL) {
		complain(d, why, "");
		return -1;
	}
	metrics_set(METRIC_STORE_DAMAGED, store_damaged_at(d->store));
	if (error != 0)
		complain(d, "cannot become root again to open the sockets", strerror(errno));
	return error;
}

static int
open_listener(const struct stsgated *d, const struct conf_listener *listener, size_t i)
{
	const struct endpoint *endpoint = &listener->listen[i];
	int fd = endpoint_listen(endpoint, listener->mode, listener->group, LISTEN_BACKLOG);

	if (fd >= 0)
		return fd;
	if (errno == EADDRINUSE)
		complain(d, endpoint->text, "another process is listening there already");
	else
		complain(d, endpoint->text, strerror(errno));
	return -1;
}

/* The sockets queue connections from here on; they are accepted once everything is ready. */
static int
open_listeners(const struct stsgated *d, const struct conf_listener *listener, int *descriptors)
{
	for (size_t i = 0; i < listener->count; i++) {
		descriptors[i] = open_listener(d, listener, i);
		if (descriptors[i] < 0)
			return -1;
	}
	return 0;
}

/* Found out now, and not by the first large message. */
static int
check_spool(const struct stsgated *d)
{
	if (access(d->conf->spool_directory, W_OK | X_OK) == 0)
		return 0;
	complain(d, d->conf->spool_directory, "spool-directory cannot be written");
	return -1;
}

static int
open_engines(struct stsgated *d)
{
	char why[512];
	const struct conf *conf = d->conf;

	d->resolver = resolver_new(conf, why, sizeof(why));
	if (d->resolver == NULL) {
		complain(d, "DNS", why);
		return -1;
	}
	d->http = http_new(conf->tls.ca_file, conf->sts.http_proxy, why, sizeof(why));
	if (d->http == NULL) {
		complain(d, "policy fetch", why);
		return -1;
	}
	d->tls = tls_client_new(conf->tls.ca_file, why, sizeof(why));
	if (d->tls == NULL) {
		complain(d, "TLS", why);
		return -1;
	}
	d->sts_cache = sts_cache_new(conf, d->resolver, d->http, d->store);
	d->spool = spool_new(conf->spool_directory, conf->spool_memory);
	return 0;
}

static int
start_lmtp(struct stsgated *d, const int *descriptors)
{
	const struct conf_listener *listener = &d->conf->lmtp.listener;
	struct keep_rules keep = {
		.idle_ms = d->conf->smtp.keep_idle,
		.time_ms = d->conf->smtp.keep_time,
		.messages = d->conf->smtp.keep_messages,
	};

	d->deliver = (struct deliver_context){
		.conf = d->conf,
		.gatherer = { d->conf, d->resolver, d->sts_cache },
		.tls = d->tls,
		.slots = slots_new(d->conf->smtp.max_deliveries, d->conf->smtp.max_per_host),
		.hosts = host_memory_new(d->conf->smtp.host_retry)
	};
	d->deliver.keep = keep_new(&keep, d->deliver.slots);
	d->lmtp = lmtp_server_new(d->conf, d->spool, deliver_group, &d->deliver);
	for (size_t i = 0; i < listener->count; i++) {
		bool tcp = !endpoint_is_unix(&listener->listen[i]);

		if (lmtp_server_listen(d->lmtp, descriptors[i], tcp) != 0) {
			complain(d, listener->listen[i].text, strerror(errno));
			return -1;
		}
	}
	return 0;
}

static int
start_control(struct stsgated *d, const int *descriptors)
{
	const struct conf_listener *listener = &d->conf->control.listener;
	struct control_context context = { d->conf, { d->conf, d->resolver, d->sts_cache },
	    &d->deliver };

	d->control = control_new(&context);
	for (size_t i = 0; i < listener->count; i++) {
		bool tcp = !endpoint_is_unix(&listener->listen[i]);

		if (control_listen(d->control, descriptors[i], tcp) != 0) {
			complain(d, listener->listen[i].text, "cannot serve there");
			return -1;
		}
	}
	return 0;
}

/* The order matters: the lock on the state directory comes before the store is recovered and
 * before any socket is touched, so that a second stsgated harms nothing. */
static int
start(struct stsgated *d)
{
	int *lmtp = xcalloc(d->conf->lmtp.listener.count + 1, sizeof(*lmtp));
	int *control = xcalloc(d->conf->control.listener.count + 1, sizeof(*control));
	int result = -1;

	if (open_store(d) != 0 || open_listeners(d, &d->conf->lmtp.listener, lmtp) != 0 ||
	    open_listeners(d, &d->conf->control.listener, control) != 0)
		goto out;
	if (privileges_drop(&d->privileges) != 0) {
		complain(d, "cannot drop privileges", strerror(errno));
		goto out;
	}
	set_process_limits();
	if (check_spool(d) != 0 || open_engines(d) != 0 || start_lmtp(d, lmtp) != 0 ||
	    start_control(d, control) != 0)
		goto out;
	d->timer = timer_start(d->store, d->sts_cache);
	if (d->timer == NULL)
		goto out;
	result = 0;
out:
	free(lmtp);
	free(control);
	return result;
}

static void
wait_for_stop(const sigset_t *signals)
{
	int number;

	for (;;) {
		if (sigwait(signals, &number) != 0)
			continue;
		if (number != SIGHUP)
			return;
		log_message(LOG_LEVEL_WARNING, "signal",
		    "SIGHUP has no effect: restart stsgated to read the configuration again");
	}
}

/* Listening sockets that outlive us would swallow connections that nobody accepts. */
static void
unlink_sockets(const struct conf_listener *listener)
{
	for (size_t i = 0; i < listener->count; i++) {
		const char *path = endpoint_path(&listener->listen[i]);

		if (path != NULL)
			unlink(path);
	}
}

static void
stop(struct stsgated *d)
{
	bool drained;

	keep_stop(d->deliver.keep);
	drained = lmtp_server_drain(d->lmtp, deadline_in(DRAIN_MS));
	unlink_sockets(&d->conf->lmtp.listener);
	unlink_sockets(&d->conf->control.listener);
	control_free(d->control);
	timer_stop(d->timer);
	if (!drained) {
		/* Threads still use the engines. The MTA keeps what is unanswered. */
		log_message(LOG_LEVEL_WARNING, "stop",
		    "sessions were still running when the time to stop was over");
		store_checkpoint(d->store);
		_exit(EX_OK);
	}
	lmtp_server_free(d->lmtp);
	keep_free(d->deliver.keep);
	slots_free(d->deliver.slots);
	host_memory_free(d->deliver.hosts);
	sts_cache_free(d->sts_cache);
	http_free(d->http);
	resolver_free(d->resolver);
	tls_client_free(d->tls);
	spool_free(d->spool);
	store_close(d->store);
}

static int
serve(struct conf *conf)
{
	struct stsgated d = { .conf = conf };
	sigset_t signals;
	char why[256];

	log_open("stsgated", conf->log_to_syslog, conf->log_level);
	metrics_set(METRIC_START_TIME, clock_wall_s());
	block_signals(&signals);
	if (privileges_find(&d.privileges, conf->user, why, sizeof(why)) != 0) {
		complain(&d, why, "");
		return EX_CONFIG;
	}
	if (start(&d) != 0)
		_exit(EX_UNAVAILABLE);
	log_message(LOG_LEVEL_INFO, "start", "stsgated %s is ready as %s", PACKAGE_VERSION,
	    conf->hostname);
	wait_for_stop(&signals);
	log_message(LOG_LEVEL_INFO, "stop", "no new sessions; running ones are answered");
	stop(&d);
	log_message(LOG_LEVEL_INFO, "stop", "stopped");
	return EX_OK;
}

/* The words for a resolver path that an administrator has to act upon. */
static const char *
health_advice(enum resolver_health health)
{
	switch (health) {
	case RESOLVER_VALIDATES:
		return "DNS answers validate";
	case RESOLVER_UNTESTED:
		return "DNS did not answer: whether answers validate is not known";
	case RESOLVER_RECURSES:
		return "the configured DNS servers drop DNSSEC; stsgated asks from the root"
		    " instead. Set dns.mode = \"recurse\", or let the servers pass DNSSEC records";
	case RESOLVER_BROKEN:
		return "the configured DNS servers drop DNSSEC and the root cannot be asked: every"
		    " signed domain will be deferred. Let the servers pass DNSSEC records, or"
		    " open port 53 for dns.mode = \"recurse\"";
	case RESOLVER_UNANCHORED:
		return "no dns.trust-anchor is configured: nothing is validated";
	}
	return "";
}

/* What depends on the machine and not on the file: told, and no reason to call the file wrong. */
static void
check_surroundings(const struct conf *conf)
{
	struct privileges privileges;
	char why[256];

	if (privileges_find(&privileges, conf->user, why, sizeof(why)) != 0)
		fprintf(stderr, "stsgated: not ready to start: %s\n", why);
	if (access(conf->state_directory, F_OK) != 0)
		fprintf(stderr, "stsgated: not ready to start: state-directory %s: %s\n",
		    conf->state_directory, strerror(errno));
	if (access(conf->spool_directory, F_OK) != 0)
		fprintf(stderr, "stsgated: not ready to start: spool-directory %s: %s\n",
		    conf->spool_directory, strerror(errno));
}

static int
check(const struct conf *conf)
{
	char why[256];
	enum resolver_health health;
	struct resolver *resolver;
	struct tls_client *tls;

	log_open("stsgated", false, LOG_LEVEL_ERROR);
	tls = tls_client_new(conf->tls.ca_file, why, sizeof(why));
	if (tls == NULL) {
		fprintf(stderr, "stsgated: tls.ca-file: %s\n", why);
		return EX_CONFIG;
	}
	tls_client_free(tls);
	resolver = resolver_new(conf, why, sizeof(why));
	if (resolver == NULL) {
		fprintf(stderr, "stsgated: DNS: %s\n", why);
		return EX_CONFIG;
	}
	check_surroundings(conf);
	health = resolver_wait_health(resolver, deadline_in(SELF_TEST_MS));
	resolver_free(resolver);
	printf("stsgated: configuration ok; %s\n", health_advice(health));
	return EX_OK;
}

int
main(int argc, char **argv)
{
	const char *path = DEFAULT_CONF;
	bool check_only = false;
	struct conf *conf;
	int option, status;

	while ((option = getopt(argc, argv, "c:tV")) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 't':
			check_only = true;
			break;
		case 'V':
			printf("stsgated %s\n", PACKAGE_VERSION);
			return EX_OK;
		default:
			fprintf(stderr, "usage: stsgated [-tV] [-c FILE]\n");
			return EX_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "usage: stsgated [-tV] [-c FILE]\n");
		return EX_USAGE;
	}
	conf = conf_load(path, stderr);
	if (conf == NULL)
		return EX_CONFIG;
	status = check_only ? check(conf) : serve(conf);
	conf_free(conf);
	return status;
}
