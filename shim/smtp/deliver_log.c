/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stddef.h>
#include <string.h>

#include "base/buf.h"
#include "base/deadline.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/recent.h"
#include "policy/finding.h"
#include "shim/smtp/deliver_history.h"
#include "shim/smtp/deliver_log.h"

enum policy_source
deliver_log_source(const struct plan *plan, const struct plan_host *host)
{
	const struct demand *policy;

	if (host == NULL)
		return plan->source;
	if (!host->use)
		return host->finding_source;
	policy = plan_host_policy(host);
	return policy != NULL ? policy->source : SOURCE_NONE;
}

static void
add_policy(struct log_line *line, const struct plan *plan, const struct plan_host *host)
{
	enum policy_source source = deliver_log_source(plan, host);

	log_text(line, "policy", policy_source_name(source));
	if (source == SOURCE_DANE) {	/* which leaves out none but where it is enforced */
		log_text(line, "mode",
		    host != NULL && host->use ? plan_host_mode(plan, host) : "enforce");
		return;
	}
	log_text(line, "mode", plan->mode);
	log_text(line, "policy-id", plan->policy_id);
}

static void
begin(struct log_line *line, const char *event, const struct delivery *delivery,
    const struct rcpt *rcpt, const struct plan_host *host)
{
	const char *sender = delivery->txn->sender.mailbox;

	log_begin(line, LOG_LEVEL_INFO, event);
	log_text(line, "id", delivery->txn->id);
	log_text(line, "from", sender[0] != '\0' ? sender : "<>");
	log_text(line, "to", rcpt != NULL ? rcpt->address.mailbox : NULL);
	log_text(line, "domain", delivery->group->domain);
	add_policy(line, delivery->plan, host);
}

static const char *
tls_word(const struct attempt *attempt)
{
	if (attempt->proof.tls != PROOF_ESTABLISHED)
		return "none";
	return attempt->judged && attempt->judgement.verified ? "verified" : "encrypted";
}

static void
add_connection(struct log_line *line, const struct attempt *attempt)
{
	bool tls = attempt->proof.tls == PROOF_ESTABLISHED;

	log_text(line, "mx", attempt->host->name[0] != '\0' ? attempt->host->name : NULL);
	log_text(line, "ip", attempt->address);
	log_text(line, "tls", tls_word(attempt));
	log_text(line, "proto", tls ? attempt->proof.protocol : NULL);
	log_text(line, "cipher", tls ? attempt->proof.cipher : NULL);
	log_text(line, "reused", attempt->reused ? "yes" : "no");
}

/* Statistics by tls= must include these too. */
static void
add_no_connection(struct log_line *line)
{
	log_text(line, "tls", "none");
	log_text(line, "reused", "no");
}

static void
add_reply(struct log_line *line, const struct reply *reply)
{
	char text[REPLY_LINE_MAX + 1];

	reply_line(reply, text);
	log_text(line, "dsn", reply->enhanced);
	log_text(line, "reply", text);
}

static void
count_recent(const struct attempt *attempt)
{
	recent_count(RECENT_ATTEMPTS);
	if (attempt->reused) {
		recent_count(RECENT_KEPT);
	} else if (attempt->proof.tls == PROOF_ESTABLISHED) {
		recent_count(RECENT_HANDSHAKES);
		if (attempt->proof.resumed)
			recent_count(RECENT_RESUMED);
	}
}

static void
count_attempt(const struct delivery *delivery, const struct attempt *attempt)
{
	const char *policy = policy_source_name(deliver_log_source(delivery->plan, attempt->host));

	metrics_count(METRIC_ATTEMPTS, policy,
	    attempt->judged ? result_type_name(attempt->judgement.finding.type) : "not-judged");
	if (attempt->judged)
		metrics_count(METRIC_CONNECTIONS, tls_word(attempt), NULL);
	if (attempt->judged)
		count_recent(attempt);
}

/* A failure although the message is delivered: by the policy that decides, or otherwise by the
 * other one, with its name. */
static void
add_failure(struct log_line *line, const struct judgement *judgement)
{
	const struct finding *beside = &judgement->beside_finding;
	struct buf text = { 0 };

	if (judgement->finding.reason[0] != '\0') {
		log_text(line, "reply", judgement->finding.reason);
		return;
	}
	if (judgement->beside == SOURCE_NONE)
		return;
	buf_printf(&text, "%s: %s %s", policy_source_name(judgement->beside),
	    result_type_name(beside->type), beside->reason);
	log_text(line, "reply", buf_text(&text));
	buf_free(&text);
}

void
deliver_log_attempt(const struct delivery *delivery, struct attempt *attempt)
{
	const struct finding *finding = &attempt->judgement.finding;
	struct log_line line;

	if (attempt->logged)
		return;
	attempt->logged = true;
	count_attempt(delivery, attempt);
	begin(&line, "attempt", delivery, NULL, attempt->host);
	add_connection(&line, attempt);
	log_text(&line, "wish", sender_wish_name(delivery->txn->wish));
	if (attempt->judged)
		log_text(&line, "result", result_type_name(finding->type));
	if (attempt->reply.code != 0)
		add_reply(&line, &attempt->reply);
	else if (attempt->judged)
		add_failure(&line, &attempt->judgement);
	log_number(&line, "ms", clock_monotonic_ms() - attempt->began_ms);
	log_end(&line);
}

void
deliver_log_unlisted(const struct delivery *delivery)
{
	const struct plan *plan = delivery->plan;
	const struct plan_host *host;
	struct log_line line;
	size_t i;

	for (i = 0; i < plan->host_count; i++) {
		host = &plan->hosts[i];
		if (host->use || host->finding.type == RESULT_OK)
			continue;
		metrics_count(METRIC_ATTEMPTS, policy_source_name(host->finding_source),
		    result_type_name(host->finding.type));
		begin(&line, "attempt", delivery, NULL, host);
		log_text(&line, "mx", host->name);
		add_no_connection(&line);
		log_text(&line, "wish", sender_wish_name(delivery->txn->wish));
		log_text(&line, "result", result_type_name(host->finding.type));
		log_text(&line, "reply",
		    host->reason != NULL ? host->reason : host->finding.reason);
		log_number(&line, "ms", 0);
		log_end(&line);
	}
}

const struct finding *
deliver_log_finding(const struct plan *plan)
{
	size_t i;

	if (plan->finding.type != RESULT_OK && plan->source != SOURCE_DANE)
		return &plan->finding;
	for (i = 0; i < plan->host_count; i++)
		if (plan->hosts[i].finding.type != RESULT_OK)
			return &plan->hosts[i].finding;
	return NULL;
}

static const char *
status_word(const struct reply *reply)
{
	if (reply_is_positive(reply))
		return "sent";
	return reply_is_permanent(reply) ? "bounced" : "deferred";
}

/* The mode that is published where another applies, what enforcement would have done, and why. */
static void
add_foretold(struct log_line *line, const struct delivery *delivery, const struct attempt *attempt,
    const struct reply *reply, const struct finding *finding)
{
	const struct plan *plan = delivery->plan;
	struct finding shortfall;

	if (plan->published != NULL && strcmp(plan->published, plan->mode) != 0)
		log_text(line, "published", plan->published);
	if (reply_is_positive(reply) && deliver_history_would(delivery, attempt, &shortfall)) {
		log_text(line, "would", attempt->otherwise ? "sent" : "deferred");
		finding = &shortfall;
	}
	if (finding != NULL && finding->reason[0] != '\0')
		log_text(line, "reason", finding->reason);
}

void
deliver_log_delivery(const struct delivery *delivery, const struct attempt *attempt,
    const struct rcpt *rcpt, const struct reply *reply)
{
	const struct finding *finding = deliver_log_finding(delivery->plan);
	struct log_line line;

	if (attempt != NULL)
		finding = attempt->judged ? &attempt->judgement.finding : NULL;
	metrics_count(METRIC_RECIPIENTS, status_word(reply), NULL);
	begin(&line, "delivery", delivery, rcpt, attempt != NULL ? attempt->host : NULL);
	if (attempt != NULL)
		add_connection(&line, attempt);
	else
		add_no_connection(&line);
	log_text(&line, "wish", sender_wish_name(delivery->txn->wish));
	if (finding != NULL)
		log_text(&line, "result", result_type_name(finding->type));
	add_foretold(&line, delivery, attempt, reply, finding);
	log_text(&line, "status", status_word(reply));
	add_reply(&line, reply);
	log_number(&line, "ms", clock_monotonic_ms() - delivery->began_ms);
	log_end(&line);
	recent_latency(clock_monotonic_ms() - delivery->began_ms);
}
