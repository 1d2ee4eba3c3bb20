/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * stsgate-milter(8): reads the configuration, binds the socket, runs libmilter in a thread, and
 * waits for a signal.
 *
 * libmilter has a thread that waits for SIGHUP, SIGTERM and SIGINT in sigwait() and ends the milter
 * at any of them. The sigwait() below takes the place of the C library's for it and never returns.
 * smfi_main() runs in a second thread, whose threads all block these signals, so the first thread
 * is the only one that receives them.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/log.h"
#include "base/conf/conf.h"
#include "base/conf/conf_now.h"
#include "integration/milter/milter.h"
#include "cmd/complain.h"
#include "cmd/daemon_options.h"
#include "cmd/help.h"
#include "cmd/libraries.h"
#include "cmd/privileges.h"

#define STOP_MS	6000	/* for running queries after SIGTERM */

#define ENDED	'e'	/* libmilter has ended by itself */
#define RELOAD	'r'
#define STOP	's'

/* Written by the handlers and libmilter's thread, and read by main(). */
static int events[2];

static void
tell(char event)
{
	int error = errno;

	/* A full pipe has the same events in it already. */
	if (write(events[1], &event, 1) != 1)
		errno = error;
	errno = error;
}

static void
on_signal(int number)
{
	tell(number == SIGHUP ? RELOAD : STOP);
}

/* libmilter's thread is the only caller: see above. */
int
sigwait(const sigset_t *restrict set, int *restrict number)
{
	(void)set;
	(void)number;
	for (;;)
		pause();
}

static void
handle_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void *
run(void *context)
{
	if (milter_run(context) != 0)
		log_message(LOG_LEVEL_ERROR, "milter", "libmilter cannot serve");
	tell(ENDED);
	return NULL;
}

static int
start_thread(struct conf_now *now)
{
	pthread_attr_t attributes;
	sigset_t signals;
	pthread_t thread;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setsigmask_np(&attributes, &signals);
	errno = pthread_create(&thread, &attributes, run, now);
	pthread_attr_destroy(&attributes);
	return errno == 0 ? 0 : -1;
}

/* The old configuration stays in force when the new one is wrong. */
static void
reload(struct conf_now *now, const char *path)
{
	char *errors = NULL;
	size_t length = 0;
	FILE *memory = open_memstream(&errors, &length);
	struct conf *conf;

	if (memory == NULL)
		return;
	conf = conf_load(path, memory);
	fclose(memory);
	if (conf == NULL) {
		errors[strcspn(errors, "\n")] = '\0';
		log_message(LOG_LEVEL_ERROR, "reload", "the old configuration stays in force: %s",
		    errors);
	} else {
		log_set_level(conf->log_level);
		conf_now_set(now, conf);
		log_message(LOG_LEVEL_INFO, "reload", "new sessions use the new configuration");
	}
	free(errors);
}

/* Gives the exit status. */
static int
wait_for_end(struct conf_now *now, const char *path)
{
	char event = ENDED;
	ssize_t got;

	for (;;) {
		got = read(events[0], &event, 1);
		if (got < 0 && errno == EINTR)
			continue;
		if (got != 1 || event == ENDED)
			return EX_UNAVAILABLE;
		if (event == STOP)
			return EX_OK;
		reload(now, path);
	}
}

/* From here on the process has its user's rights. */
static int
start(const struct conf *conf, const struct privileges *privileges)
{
	char why[ENDPOINT_TEXT_MAX + ENDPOINT_REASON_MAX];

	if (conf->policy_map.listener.count == 0) {
		complain(conf, "policy-map.listen is empty: stsgated cannot be queried", "");
		return -1;
	}
	if (milter_open(conf, why, sizeof(why)) != 0) {
		complain(conf, why, "");
		return -1;
	}
	if (privileges_drop(privileges) != 0) {
		complain(conf, "cannot drop privileges", strerror(errno));
		return -1;
	}
	privileges_confine();
	return 0;
}

static int
serve(struct conf *conf, const char *path)
{
	struct privileges privileges;
	struct conf_now *now;	/* never freed: libmilter's threads use it to the end */
	char why[256];
	int status;

	log_open("stsgate-milter", conf->log_to_syslog, conf->log_level);
	if (privileges_find(&privileges, conf->user, why, sizeof(why)) != 0) {
		complain(conf, why, "");
		conf_free(conf);
		return EX_CONFIG;
	}
	if (pipe2(events, O_CLOEXEC) != 0 || start(conf, &privileges) != 0)
		_exit(EX_UNAVAILABLE);
	now = conf_now_new(conf);
	handle_signals();
	log_message(LOG_LEVEL_INFO, "start", "stsgate-milter %s is ready at %s", PACKAGE_VERSION,
	    conf->milter.listen.text);
	if (start_thread(now) != 0) {
		complain(conf, "cannot start a thread", strerror(errno));
		_exit(EX_UNAVAILABLE);
	}
	status = wait_for_end(now, path);
	milter_stop(conf, deadline_in(STOP_MS));
	log_message(LOG_LEVEL_INFO, "stop", "stopped");
	/* Sessions have threads of their own, which libmilter does not end. */
	_exit(status);
}

/* why "": what says it all. */
static bool
not_ready(const char *what, const char *why)
{
	fprintf(stderr, "stsgate-milter: not ready to start: %s%s%s\n", what,
	    why[0] != '\0' ? ": " : "", why);
	return false;
}

static int
check(struct conf *conf)
{
	struct privileges privileges;
	char why[ENDPOINT_REASON_MAX];
	bool ready = true;

	if (conf->policy_map.listener.count == 0)
		ready = not_ready("policy-map.listen", "it is empty");
	if (privileges_find(&privileges, conf->user, why, sizeof(why)) != 0)
		ready = not_ready(why, "");
	if (endpoint_lacks_directory(&conf->milter.listen))
		ready = not_ready(conf->milter.listen.text,
		    endpoint_reason(&conf->milter.listen, ENOENT, why, sizeof(why)));
	printf("stsgate-milter: %s\n",
	    ready ? "configuration ok" : "no error in the configuration, but see standard error");
	conf_free(conf);
	return EX_OK;
}

static void
libraries(FILE *out)
{
	libraries_base(out);
	libraries_milter(out);
}

int
main(int argc, char **argv)
{
	static const struct help help = {
		.program = "stsgate-milter",
		.text = "usage: stsgate-milter [-t] [-c FILE]\n\n" DAEMON_OPTIONS_LINES,
		.manual = "stsgate-milter(8)",
		.letters = daemon_options_letters,
		.options = daemon_options_table,
		.libraries = libraries,
	};
	struct daemon_options options = daemon_options_read(argc, argv, &help);
	struct conf *conf;

	if (options.done)
		return options.status;
	conf = conf_load(options.path, stderr);
	if (conf == NULL)
		return EX_CONFIG;
	return options.check_only ? check(conf) : serve(conf, options.path);
}
