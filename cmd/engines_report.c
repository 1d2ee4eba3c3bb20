/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alarm.h"
#include "base/deadline.h"
#include "base/endpoint.h"
#include "policy/dns/resolver.h"
#include "report/collector.h"
#include "report/forward.h"
#include "report/history.h"
#include "report/recorder.h"
#include "report/reporter.h"
#include "report/tally.h"
#include "cmd/complain.h"
#include "cmd/engines_report.h"

/* Figures must not be deleted before their report could be sent. */
#define SENDING_MS	(INT64_C(3) * 86400 * 1000)

int
engines_report_start_tally(struct engines *e)
{
	int64_t keep = e->conf->tlsrpt.keep;

	if (e->conf->tlsrpt.enable == TLSRPT_SEND && keep < SENDING_MS)
		keep = SENDING_MS;
	if (e->conf->tlsrpt.enable != TLSRPT_OFF)
		e->tally = tally_new(e->store, keep / 1000);
	return 0;
}

void
engines_report_free_tally(struct engines *e)
{
	tally_free(e->tally);
}

static bool
has_tlsrpt(const struct engines *e, const char *socket)
{
	return e->conf->tlsrpt.enable != TLSRPT_OFF && socket[0] != '\0';
}

int
engines_report_open_tlsrpt(struct engines *e)
{
	const char *socket = e->conf->tlsrpt.socket, *why = "";
	char reason[ENDPOINT_REASON_MAX];
	struct endpoint endpoint;

	e->tlsrpt_fd = -1;
	if (!has_tlsrpt(e, socket))
		return 0;
	if (endpoint_parse(socket, &endpoint, &why) != 0) {
		complain(e->conf, socket, why);
		return -1;
	}
	e->tlsrpt_fd = endpoint_receive(&endpoint, e->conf->tlsrpt.socket_mode,
	    e->conf->tlsrpt.socket_group);
	if (e->tlsrpt_fd < 0)
		complain(e->conf, socket,
		    endpoint_reason(&endpoint, errno, reason, sizeof(reason)));
	return e->tlsrpt_fd < 0 ? -1 : 0;
}

void
engines_report_close_tlsrpt(struct engines *e)
{
	const char *why;
	struct endpoint endpoint;

	if (has_tlsrpt(e, e->conf->tlsrpt.socket) &&
	    endpoint_parse(e->conf->tlsrpt.socket, &endpoint, &why) == 0)
		unlink(endpoint_path(&endpoint));
	if (e->tlsrpt_fd >= 0)
		close(e->tlsrpt_fd);
}

int
engines_report_start_forward(struct engines *e)
{
	const char *forward = e->conf->tlsrpt.forward, *why = "";
	struct endpoint endpoint;

	if (!has_tlsrpt(e, forward))
		return 0;
	if (endpoint_parse(forward, &endpoint, &why) != 0) {
		complain(e->conf, forward, why);
		return -1;
	}
	e->forward = forward_new(&endpoint);
	if (e->forward == NULL)
		complain(e->conf, forward, strerror(errno));
	return e->forward == NULL ? -1 : 0;
}

void
engines_report_free_forward(struct engines *e)
{
	forward_free(e->forward);
}

int
engines_report_start_recorder(struct engines *e)
{
	if (e->conf->tlsrpt.enable == TLSRPT_OFF)
		return 0;
	e->recorder = recorder_new(e->resolver, e->tally, e->forward);
	if (e->recorder == NULL)
		complain(e->conf, "TLS reports", "cannot create a thread");
	return e->recorder == NULL ? -1 : 0;
}

void
engines_report_free_recorder(struct engines *e)
{
	recorder_free(e->recorder);
}

int
engines_report_start_collector(struct engines *e)
{
	if (e->tlsrpt_fd < 0)
		return 0;
	e->collector = collector_new(e->tlsrpt_fd, e->recorder);
	e->tlsrpt_fd = -1;
	if (e->collector == NULL)
		complain(e->conf, e->conf->tlsrpt.socket, "cannot create a thread");
	return e->collector == NULL ? -1 : 0;
}

bool
engines_report_halt_collector(struct engines *e)
{
	collector_free(e->collector);
	return true;
}

int
engines_report_start_reporter(struct engines *e)
{
	const struct reporter_plan plan = { e->conf, e->now, e->store, e->tally, e->resolver,
		e->http };

	if (e->tally == NULL)
		return 0;
	e->reporter = reporter_start(&plan);
	if (e->reporter == NULL)
		complain(e->conf, "reports", "cannot create a thread");
	return e->reporter == NULL ? -1 : 0;
}

bool
engines_report_halt_reporter(struct engines *e)
{
	if (e->reporter != NULL && !reporter_drain(e->reporter))
		http_cancel(e->http);
	return true;
}

void
engines_report_free_reporter(struct engines *e)
{
	if (e->reporter != NULL)
		reporter_free(e->reporter);
}

static void
note_alarm(void *context, const char *name, const char *domain, const char *text)
{
	const struct history_entry event = { .kind = HISTORY_ALARM,
		.domain = domain,
		.last_s = clock_wall_s(),
		.result = name,
		.reason = text };

	history_note(context, &event);
}

int
engines_report_start_history(struct engines *e)
{
	const struct conf *conf = e->conf;

	e->history = history_new(e->store, conf->history.keep / 1000, conf->history.max_size);
	if (e->history == NULL)
		complain(conf, "history", "cannot create a thread");
	else
		alarm_listen(note_alarm, e->history);
	return e->history == NULL ? -1 : 0;
}

void
engines_report_reload_history(struct engines *e, const struct conf *conf)
{
	history_set_limits(e->history, conf->history.keep / 1000, conf->history.max_size);
}

void
engines_report_free_history(struct engines *e)
{
	alarm_listen(NULL, NULL);
	history_free(e->history);
}
