/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgated(8): reads the configuration, starts what runs (cmd/engines.h) and waits for a signal.
 */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/metrics.h"
#include "base/conf/conf.h"
#include "base/conf/conf_fixed.h"
#include "base/conf/conf_now.h"
#include "base/conf/conf_warn.h"
#include "base/store/store_dir.h"
#include "policy/dns/resolver.h"
#include "shim/smtp/tls_client.h"
#include "cmd/complain.h"
#include "cmd/daemon_options.h"
#include "cmd/engines.h"
#include "cmd/help.h"
#include "cmd/libraries.h"
#include "cmd/listeners.h"
#include "cmd/privileges.h"
#include "cmd/service_manager.h"

#define SELF_TEST_MS	5000	/* what -t waits for the resolver */

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

static void
log_warning(void *event, const char *warning)
{
	log_message(LOG_LEVEL_WARNING, event, "%s", warning);
}

/* Each message has its session and its connection at once, and each of them may need a second one
 * for a moment: a spool file, a look-up, a fetch. */
static void
warn_of_descriptors(const struct conf *conf)
{
	size_t limit = descriptors_limit();
	size_t needed = 2 * ((size_t)conf->lmtp.max_sessions + conf->smtp.max_deliveries);

	if (needed > limit)
		log_message(LOG_LEVEL_WARNING, "start",
		    "the limit of open files is %zu, and"
		    " lmtp.max-sessions (%u) and smtp.max-deliveries (%u) may need %zu: raise it"
		    " (LimitNOFILE), or lower them, or mail is deferred when they are used up",
		    limit, conf->lmtp.max_sessions, conf->smtp.max_deliveries, needed);
}

static void
say_ready(const struct conf *conf)
{
	char status[200], event[] = "start";

	conf_warn(conf, log_warning, event);
	warn_of_descriptors(conf);
	snprintf(status, sizeof(status), "stsgated %s is ready as %s", PACKAGE_VERSION,
	    conf->hostname);
	log_message(LOG_LEVEL_INFO, "start", "%s", status);
	service_manager_ready(status);
}

static void
warn_of_fixed_keys(const struct conf *running, const struct conf *next)
{
	struct buf names = { 0 };

	conf_fixed_changed(running, next, &names);
	if (names.length > 0)
		log_message(LOG_LEVEL_WARNING, "reload", "restart stsgated to change %s",
		    buf_text(&names));
	buf_free(&names);
}

/* NULL with one line in errors, without its end. */
static struct conf *
load(const char *path, char **errors)
{
	size_t size = 0;
	FILE *file = open_memstream(errors, &size);
	struct conf *conf;

	if (file == NULL)
		abort();
	conf = conf_load(path, file);
	if (fclose(file) != 0)
		abort();
	(*errors)[strcspn(*errors, "\n")] = '\0';
	return conf;
}

/* A broken file changes nothing: the present configuration stays in force. */
static void
reload(struct engines *engines, const char *path)
{
	const char *status = "the new configuration cannot be used, see the log";
	char event[] = "reload", *errors = NULL;
	struct conf *next;

	service_manager_reloading();
	next = load(path, &errors);
	if (next == NULL) {
		log_message(LOG_LEVEL_ERROR, "reload", "the configuration stays as it was: %s",
		    errors);
	} else if (engines_reload(engines, next) == 0) {
		log_set_level(next->log_level);
		warn_of_fixed_keys(engines->conf, next);
		conf_warn(next, log_warning, event);
		warn_of_descriptors(next);
		log_message(LOG_LEVEL_INFO, "reload", "%s is in force", path);
		status = "ready";
	} else {
		conf_free(next);
	}
	free(errors);
	service_manager_ready(status);
}

/* Returns the next signal; until then the service manager hears that the engines answer. */
static int
next_signal(struct engines *engines, const sigset_t *signals)
{
	int64_t every_ms = service_manager_alive_every_ms();
	struct timespec wait = { every_ms / 1000, every_ms % 1000 * 1000000 };
	int number;

	do {
		number = sigtimedwait(signals, NULL, every_ms > 0 ? &wait : NULL);
		if (number < 0 && errno == EAGAIN) {
			engines_probe(engines);
			service_manager_alive();
		}
	} while (number < 0);
	return number;
}

static void
serve_until_stopped(struct engines *engines, const sigset_t *signals, const char *path)
{
	while (next_signal(engines, signals) == SIGHUP)
		reload(engines, path);
}

/* The C library gives threads heaps of their own, up to eight a processor, and each keeps what a
 * busy moment took. Two a processor serve as fast. */
static void
share_heaps(void)
{
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (processors > 0 && processors < 1000)
		(void)mallopt(M_ARENA_MAX, 2 * (int)processors);
}

static int
serve(const struct conf *conf, const char *path)
{
	struct engines engines = { .conf = conf, .now = conf_now_new(conf) };
	sigset_t signals;
	char why[256];
	int status;

	share_heaps();
	log_open("stsgated", conf->log_to_syslog, conf->log_level);
	metrics_set(METRIC_START_TIME, clock_wall_s());
	block_signals(&signals);
	if (privileges_find(&engines.privileges, conf->user, why, sizeof(why)) != 0) {
		complain(conf, why, "");
		conf_now_free(engines.now);
		return EX_CONFIG;
	}
	status = engines_start(&engines);
	if (status != 0)
		_exit(status < 0 ? EX_UNAVAILABLE : status);
	say_ready(conf);
	serve_until_stopped(&engines, &signals, path);
	service_manager_stopping();
	log_message(LOG_LEVEL_INFO, "stop", "no new sessions; running ones are answered");
	if (!engines_stop(&engines))
		_exit(EX_OK);
	conf_now_free(engines.now);
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
		return "DNS did not answer in time: it is not known whether answers validate";
	case RESOLVER_SILENT:
		return "the DNS servers do not answer, or only with failures: all mail will be "
		       "deferred";
	case RESOLVER_RECURSES:
		return "the answers of the configured DNS servers cannot be validated; stsgated "
		       "resolves from the root instead, except for names below dns.insecure. "
		       "Let the servers pass DNSSEC records, or set dns.mode = \"recurse\"";
	case RESOLVER_BROKEN:
		return "no DNS answer can be validated: all mail will be deferred, for unsigned "
		       "domains too, except for names below dns.insecure. Let the DNS servers pass"
		       " DNSSEC records, or open port 53 for dns.mode = \"recurse\"";
	case RESOLVER_UNANCHORED:
		return "no dns.trust-anchor is configured: nothing is validated";
	}
	return "";
}

static void
print_warning(void *context, const char *warning)
{
	(void)context;
	fprintf(stderr, "stsgated: warning: %s\n", warning);
}

/* why "": what says it all. */
static bool
not_ready(const char *what, const char *why)
{
	fprintf(stderr, "stsgated: not ready to start: %s%s%s\n", what, why[0] != '\0' ? ": " : "",
	    why);
	return false;
}

/* Faults of the machine, not of the file: they are printed, and the file is still valid. Returns
 * whether stsgated could start. */
static bool
check_surroundings(const struct conf *conf)
{
	const struct endpoint *socket = listeners_without_directory(conf);
	struct privileges privileges;
	char why[ENDPOINT_REASON_MAX];
	bool ready = true;

	if (privileges_find(&privileges, conf->user, why, sizeof(why)) != 0)
		ready = not_ready(why, "");
	if (access(conf->state_directory, F_OK) != 0) {
		snprintf(why, sizeof(why),
		    "state-directory %s: %s (install -d -o %s -m 0750"
		    " makes it)",
		    conf->state_directory, strerror(errno), conf->user);
		ready = not_ready(why, "");
	}
	if (store_dir_is_exposed(conf->state_directory, why, sizeof(why)))
		fprintf(stderr, "stsgated: warning: %s\n", why);
	if (access(conf->spool_directory, F_OK) != 0) {
		snprintf(why, sizeof(why), "spool-directory %s", conf->spool_directory);
		ready = not_ready(why, strerror(errno));
	}
	if (socket != NULL)
		ready = not_ready(socket->text, endpoint_reason(socket, ENOENT, why, sizeof(why)));
	return ready;
}

static int
check(const struct conf *conf)
{
	char why[256];
	enum resolver_health health;
	struct resolver *resolver;
	struct tls_client *tls;
	bool ready;

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
	conf_warn(conf, print_warning, NULL);
	ready = check_surroundings(conf);
	health = resolver_wait_health(resolver, deadline_in(SELF_TEST_MS));
	resolver_free(resolver);
	printf("stsgated: %s; %s\n",
	    ready ? "configuration ok" : "no error in the configuration, but see standard error",
	    health_advice(health));
	return EX_OK;
}

static void
libraries(FILE *out)
{
	libraries_base(out);
	libraries_net(out);
	libraries_daemon(out);
}

int
main(int argc, char **argv)
{
	static const struct help help = {
		.program = "stsgated",
		.text = "usage: stsgated [-t] [-c FILE]\n\n" DAEMON_OPTIONS_LINES,
		.manual = "stsgated(8)",
		.letters = daemon_options_letters,
		.options = daemon_options_table,
		.libraries = libraries,
	};
	struct daemon_options options = daemon_options_read(argc, argv, &help);
	struct conf *conf;
	int status;

	(void)memory_watch();
	if (options.done)
		return options.status;
	conf = conf_load(options.path, stderr);
	if (conf == NULL)
		return EX_CONFIG;
	status = options.check_only ? check(conf) : serve(conf, options.path);
	conf_free(conf);
	return status;
}
