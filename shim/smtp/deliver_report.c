/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/deadline.h"
#include "base/limits.h"
#include "report/recorder.h"
#include "report/report.h"
#include "shim/smtp/deliver_report.h"

#define ROOM_AT_FIRST	2

/* Reports that beget reports would never end, whatever smtp.tls-required-no says. */
static bool
is_own_report(const struct delivery *delivery)
{
	return reporter_is_sender(delivery->context->conf, delivery->txn->sender.mailbox);
}

/* The relay's name is the policy domain where there is one; what has no name has no policy. */
static const char *
domain_of(const struct delivery *delivery)
{
	const struct conf_destination *destination = delivery->destination;

	if (destination != NULL && destination->relay_host != NULL)
		return destination->relay_literal ? NULL : destination->relay_host;
	return delivery->group->rcpts[0]->address.literal ? NULL : delivery->group->domain;
}

void
deliver_report_begin(struct deliver_report *report, struct arena *arena,
    const struct delivery *delivery)
{
	const char *domain = domain_of(delivery);

	*report = (struct deliver_report){ .arena = arena, .began_s = clock_wall_s() };
	/* RFC 8689 5: a sender that asked for no TLS policy has made none fail. */
	report->wanted = delivery->context->recorder != NULL && domain != NULL &&
	    delivery->txn->wish != WISH_NO && !is_own_report(delivery);
	if (report->wanted)
		recorder_begin(delivery->context->recorder, domain);
}

static void
grow(struct deliver_report *report)
{
	struct reported_session *more;

	report->room = report->room > 0 ? 2 * report->room : ROOM_AT_FIRST;
	more = arena_array(report->arena, report->room, sizeof(*more));
	if (report->count > 0)
		memcpy(more, report->attempts, report->count * sizeof(*more));
	report->attempts = more;
}

void
deliver_report_attempt(struct deliver_report *report, const struct attempt *attempt)
{
	struct reported_session *session;

	report->reused = report->reused || attempt->reused;
	if (!report->wanted || !attempt->is_session || report->count == LIMIT_ATTEMPTS)
		return;
	if (report->count == report->room)
		grow(report);
	session = &report->attempts[report->count++];
	*session = attempt->session;
	session->host = attempt->host;
	session->to = *attempt->ip;
	session->proof = attempt->proof;
}

void
deliver_report_end(const struct deliver_report *report, const struct delivery *delivery,
    const struct facts *facts)
{
	const struct outcomes_of of = {
		.plan = delivery->plan,
		.facts = facts,
		.attempts = report->attempts,
		.attempt_count = report->count,
		.reused = report->reused,
		.exhausted = report->exhausted,
		.at_s = report->began_s,
	};

	if (report->wanted)
		recorder_record(delivery->context->recorder, &of);
}
