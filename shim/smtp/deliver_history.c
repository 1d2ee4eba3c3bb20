/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/deadline.h"
#include "shim/smtp/deliver_history.h"
#include "shim/smtp/deliver_log.h"

/* X.7.Y (RFC 3463 3.8): a policy, DANE, a destination or REQUIRETLS stands against it. */
static bool
is_refused(const struct reply *reply)
{
	return !reply_is_positive(reply) && !reply->remote && reply->enhanced[0] != '\0' &&
	    strncmp(reply->enhanced + 1, ".7.", 3) == 0;
}

bool
deliver_history_would(const struct delivery *delivery, const struct attempt *attempt,
    struct finding *finding)
{
	const struct demand *leading;
	size_t i;

	/* The sender has asked for that. */
	if (attempt == NULL || !attempt->judged || delivery->txn->wish == WISH_NO)
		return false;
	leading = plan_host_policy(attempt->host);
	for (i = 0; i < attempt->host->demand_count; i++) {
		const struct demand *demand = &attempt->host->demands[i];

		/* Where DANE decides, MTA-STS is not asked (RFC 8461 2). */
		if (demand->enforce ||
		    (leading != NULL && leading->enforce && leading->source == SOURCE_DANE))
			continue;
		if (!plan_judge_demand(delivery->plan, attempt->host, demand, &attempt->proof,
			finding)) {
			if (attempt->plaintext)
				*finding = attempt->judgement.finding;
			return true;
		}
	}
	return false;
}

/* "testing" where the domain itself asks for no more, whatever applies here. */
static const char *
mode_of(const struct plan *plan, const struct plan_host *host, enum history_kind kind)
{
	const char *mode = host != NULL && host->use ? plan_host_mode(plan, host) : plan->mode;

	if (kind == HISTORY_WOULD && plan->published != NULL &&
	    strcmp(plan->published, "testing") == 0)
		return plan->published;
	return mode;
}

static const struct plan_host *
host_with(const struct plan *plan, const struct finding *finding)
{
	size_t i;

	for (i = 0; i < plan->host_count; i++)
		if (&plan->hosts[i].finding == finding)
			return &plan->hosts[i];
	return NULL;
}

static void
describe(const struct delivery *delivery, const struct attempt *attempt, enum history_kind kind,
    const struct finding *finding, struct history_entry *entry)
{
	const struct plan *plan = delivery->plan;
	const struct plan_host *host = attempt != NULL ? attempt->host : host_with(plan, finding);
	enum policy_source source = deliver_log_source(plan, host);

	if (attempt != NULL && attempt->judged && attempt->judgement.source != SOURCE_NONE)
		source = attempt->judgement.source;
	entry->kind = kind;
	entry->domain = delivery->group->domain;
	entry->policy = policy_source_name(source);
	entry->mode = mode_of(plan, host, kind);
	if (source != SOURCE_DANE)
		entry->policy_id = plan->policy_id;
	entry->host = host != NULL && host->name[0] != '\0' ? host->name : NULL;
	if (attempt != NULL) {
		entry->address = attempt->address;
		entry->chain = attempt->chain;
	}
	if (finding != NULL && finding->type != RESULT_OK) {
		entry->result = result_type_name(finding->type);
		entry->reason = finding->reason;
	}
}

static bool
equals(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
add(struct deliver_history *history, const struct history_entry *entry, const struct reply *reply)
{
	struct deliver_history_row *row;
	char line[REPLY_LINE_MAX + 1];

	for (row = history->rows; row != NULL; row = row->next)
		if (row->entry.kind == entry->kind && equals(row->entry.host, entry->host) &&
		    equals(row->entry.result, entry->result)) {
			row->entry.recipients++;
			return;
		}
	row = arena_alloc(history->arena, sizeof(*row));
	row->entry = *entry;
	row->entry.recipients = 1;
	if (entry->address != NULL)
		row->entry.address = arena_strdup(history->arena, entry->address);
	if (entry->reason != NULL)
		row->entry.reason = arena_strdup(history->arena, entry->reason);
	/* The words of a host that took the message may repeat a recipient. */
	reply_line(reply, line);
	if (reply->remote)
		(void)snprintf(line, sizeof(line), "%d %s", reply->code, reply->enhanced);
	row->entry.reply = arena_strdup(history->arena, line);
	row->next = history->rows;
	history->rows = row;
}

static void
note_end(struct deliver_history *history, enum history_end end)
{
	if (end > history->end)
		history->end = end;
}

void
deliver_history_note(const struct delivery *delivery, const struct attempt *attempt,
    const struct reply *reply)
{
	struct history_entry entry = { .kind = HISTORY_REFUSED };
	const struct finding *finding;
	struct finding shortfall;

	if (delivery->history == NULL)
		return;
	if (is_refused(reply)) {
		finding = attempt != NULL && attempt->judged ? &attempt->judgement.finding
		    : attempt == NULL                        ? deliver_log_finding(delivery->plan)
							     : NULL;
		describe(delivery, attempt, HISTORY_REFUSED, finding, &entry);
		note_end(delivery->history, HISTORY_END_REFUSED);
	} else if (reply_is_positive(reply) && (attempt == NULL || !attempt->otherwise) &&
	    deliver_history_would(delivery, attempt, &shortfall)) {
		describe(delivery, attempt, HISTORY_WOULD, &shortfall, &entry);
		note_end(delivery->history, HISTORY_END_WOULD);
	} else {
		if (reply_is_positive(reply) && attempt != NULL) {
			note_end(delivery->history, HISTORY_END_SENT);
			if (attempt->judged && attempt->judgement.verified)
				delivery->history->verified_by = attempt->host->name;
		}
		return;
	}
	add(delivery->history, &entry, reply);
}

void
deliver_history_end(const struct delivery *delivery)
{
	struct deliver_history *history = delivery->history;
	struct deliver_history_row *row;
	int64_t now_s = clock_wall_s();

	if (history == NULL)
		return;
	if (history->end != HISTORY_END_NONE)
		history_note_end(delivery->context->history, delivery->group->domain, history->end,
		    history->verified_by, now_s);
	for (row = history->rows; row != NULL; row = row->next) {
		row->entry.count = 1;
		row->entry.last_s = now_s;
		history_note(delivery->context->history, &row->entry);
	}
}
