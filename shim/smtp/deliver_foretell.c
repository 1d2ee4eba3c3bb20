/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <string.h>

#include "base/deadline.h"
#include "shim/smtp/deliver_foretell.h"
#include "shim/smtp/deliver_history.h"

#define TRIALS_MAX	5	/* hosts for one message */
#define TRIALS_TIME_MS	(20 * 1000)	/* for all of them: the message waits */
#define SLOT_TIME_MS	1000

static void
look_on(void *context, const struct attempt *attempt, const char *step, bool ok, const char *words)
{
	(void)context;
	(void)attempt;
	(void)step;
	(void)ok;
	(void)words;
}

/* Does it meet each demand, also those that are not enforced? false: it could not be tried out, for
 * lack of a free connection or of time. */
static bool
try_out(const struct delivery *delivery, const struct plan_host *host, struct deadline deadline,
    bool *passes)
{
	static const struct attempt_watch watch = { look_on, NULL };
	struct attempt trial = { .host = host,
		.ip = &host->addresses[0],
		.watch = &watch,
		.deadline = deadline,
		.slot_deadline = deadline_earlier(deadline, deadline_in(SLOT_TIME_MS)),
		.limit = deadline };
	struct finding shortfall;
	enum attempt_end end = ATTEMPT_OMIT;

	while (end == ATTEMPT_OMIT)
		end = attempt_run(delivery, &trial);
	*passes = trial.judged && trial.proof.tls == PROOF_ESTABLISHED &&
	    trial.judgement.step == JUDGEMENT_GO_ON &&
	    !deliver_history_would(delivery, &trial, &shortfall);
	return trial.judged ||
	    (end != ATTEMPT_STOP && strcmp(trial.reply.enhanced, "4.4.5") != 0 &&
		!deadline_passed(deadline));
}

static bool
is_audited(const struct delivery *delivery, const struct plan_host *host)
{
	const char *mode = plan_host_mode(delivery->plan, host);

	return mode != NULL && strcmp(mode, "audit") == 0;
}

/* The first that passes is enough. */
static bool
any_passes(const struct delivery *delivery, const struct plan_host *but, struct deadline deadline)
{
	struct history *history = delivery->context->history;
	const struct plan *plan = delivery->plan;
	unsigned tried = 0;
	bool good = false;
	size_t i;

	for (i = 0; i < plan->host_count && !good && tried < TRIALS_MAX; i++) {
		const struct plan_host *host = &plan->hosts[i];

		if (host == but || !host->use || host->address_count == 0 ||
		    history_trial(history, plan->domain, host->name, &good))
			continue;
		if (deadline_passed(deadline) || txn_is_abandoned(delivery->txn))
			break;
		tried++;
		if (try_out(delivery, host, deadline, &good))
			history_note_trial(history, plan->domain, host->name, good);
	}
	return good;
}

void
deliver_foretell(const struct delivery *delivery, struct attempt *attempt)
{
	struct finding shortfall;

	if (delivery->history == NULL || attempt->watch != NULL || delivery->plan->use_count < 2 ||
	    !is_audited(delivery, attempt->host) ||
	    !deliver_history_would(delivery, attempt, &shortfall))
		return;
	attempt->otherwise = any_passes(delivery, attempt->host,
	    deadline_earlier(attempt->deadline, deadline_in(TRIALS_TIME_MS)));
}
