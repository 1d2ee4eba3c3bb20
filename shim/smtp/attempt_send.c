/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>
#include <stddef.h>

#include "shim/message/address.h"
#include "shim/message/body.h"
#include "shim/message/txn.h"
#include "shim/smtp/attempt_inside.h"
#include "shim/smtp/deliver_history.h"
#include "shim/smtp/deliver_log.h"
#include "shim/smtp/smtp_send.h"

bool
attempt_is_abandoned(void *context)
{
	struct call *call = context;

	return txn_is_abandoned(call->delivery->txn);
}

void
attempt_settle(const struct delivery *delivery, struct attempt *attempt, struct rcpt *rcpt,
    const struct reply *reply)
{
	if (attempt != NULL)
		deliver_log_attempt(delivery, attempt);
	deliver_log_delivery(delivery, attempt, rcpt, reply);
	deliver_history_note(delivery, attempt, reply);
	txn_settle(delivery->txn, rcpt, reply);
}

static bool
is_open(const struct call *call, size_t rcpt)
{
	return !txn_is_settled(call->delivery->txn, call->delivery->group->rcpts[rcpt]);
}

static bool
any_open(const struct call *call)
{
	size_t i;

	for (i = 0; i < call->delivery->group->count; i++)
		if (is_open(call, i))
			return true;
	return false;
}

static void
relay_success(const char *who, const struct reply *said, struct reply *reply)
{
	char line[REPLY_LINE_MAX + 1];

	reply_line(said, line);
	reply_set(reply, 250, "2.0.0", "%s said: %s", who, line);
	reply->remote = true;
}

/* RFC 6531 3.2: an address whose domain alone is international goes out as A-labels. */
static bool
needs_utf8(const struct address *address)
{
	return address->utf8 && address->wire == NULL;
}

static const char *
path_of(const struct address *address)
{
	return address->wire != NULL ? address->wire : address->mailbox;
}

static bool
message_needs_utf8(const struct txn *txn)
{
	/* Octets beyond ASCII in a header that was not announced as SMTPUTF8 are old custom, and
	 * go as they came. */
	return needs_utf8(&txn->sender) || (txn->smtputf8 && body_header_has_8bit(txn->body));
}

/* RFC 8689 4.2.1 5; and a bounce is not to be lost for it (RFC 8689 5). */
static bool
lacks_requiretls(const struct call *call)
{
	const struct txn *txn = call->delivery->txn;

	return txn->wish == WISH_REQUIRETLS && txn->sender.mailbox[0] != '\0' &&
	    !call->client.features.requiretls;
}

/* Can this host take this message at all? */
static bool
fits(struct call *call)
{
	const struct smtp_features *features = &call->client.features;
	const struct txn *txn = call->delivery->txn;
	uint64_t size = body_size(txn->body);

	if (lacks_requiretls(call)) {
		reply_set(&call->attempt->reply, 550, "5.7.30",
		    "%s does not offer REQUIRETLS, which the sender asked for", call->who);
		return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_UNREQUIRED);
	}
	if (message_needs_utf8(txn) && !features->smtputf8)
		reply_set(&call->attempt->reply, 553, "5.6.7",
		    "%s does not support SMTPUTF8, which the sender's address or a header needs",
		    call->who);
	else if (features->size_limit > 0 && size > features->size_limit)
		reply_set(&call->attempt->reply, 552, "5.3.4",
		    "%s accepts messages of up to %" PRIu64 " octets, and this one has %" PRIu64,
		    call->who, features->size_limit, size);
	else
		return true;
	return attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_UNFIT);
}

/* The next recipients that are waiting and that this host can take. */
static void
load(struct call *call, struct smtp_message *message)
{
	const struct group *group = call->delivery->group;
	const struct smtp_features *features = &call->client.features;
	struct batch *batch = &call->batch;
	size_t i;

	batch->count = 0;
	for (i = 0; i < group->count && batch->count < SMTP_RCPTS_MAX; i++) {
		const struct address *address = &group->rcpts[i]->address;

		if (!is_open(call, i))
			continue;
		if (needs_utf8(address) && !features->smtputf8) {
			call->unfit = true;
			continue;
		}
		message->smtputf8 = message->smtputf8 || needs_utf8(address);
		batch->rcpts[batch->count] = (struct smtp_rcpt){ .path = path_of(address) };
		batch->of[batch->count++] = group->rcpts[i];
	}
	message->rcpts = batch->rcpts;
	message->rcpt_count = batch->count;
}

static void
mail_accepted(void *context)
{
	attempt_serves(context, HOST_BACKOFF_SENDER);
}

static void
rcpt_refused(void *context, size_t rcpt, const struct reply *said)
{
	struct call *call = context;
	struct reply reply;

	attempt_relay_refusal(call->who, said, &reply);
	attempt_settle(call->delivery, call->attempt, call->batch.of[rcpt], &reply);
}

/* Does this transaction settle all that are left? */
static bool
settles_all(const struct call *call)
{
	size_t i, open = 0, taken = 0;

	for (i = 0; i < call->delivery->group->count; i++)
		open += is_open(call, i);
	for (i = 0; i < call->batch.count; i++)
		taken += call->batch.rcpts[i].state == SMTP_RCPT_TAKEN;
	return open == taken;
}

static void
settle_taken(struct call *call, const struct reply *reply)
{
	size_t i;

	for (i = 0; i < call->batch.count; i++)
		if (call->batch.rcpts[i].state == SMTP_RCPT_TAKEN)
			attempt_settle(call->delivery, call->attempt, call->batch.of[i], reply);
}

static void
settle_open(struct call *call, const struct reply *reply)
{
	size_t i;

	for (i = 0; i < call->delivery->group->count; i++)
		if (is_open(call, i))
			attempt_settle(call->delivery, call->attempt,
			    call->delivery->group->rcpts[i], reply);
}

static bool
settled(struct call *call, const struct reply *reply, enum smtp_status status)
{
	call->served = true;
	call->messages++;
	/* The next message may be here as soon as the MTA hears of this one. */
	if (settles_all(call))
		attempt_keep(call);
	settle_taken(call, reply);
	/* An address that delivers needs no more bounds for the sake of others. */
	call->client.deadline = call->delivery->txn->deadline;
	if (!any_open(call))
		return attempt_over(call, ATTEMPT_DONE, ATTEMPT_WEIGHT_NONE);
	/* Only the end of the connection keeps the others from a transaction of their own. */
	if (call->client.spent)
		return attempt_trouble(call, status == SMTP_ANSWERED ? SMTP_LOST : status);
	return true;
}

/* A worn connection said no: once more on a fresh one, before the MTA is told. */
static bool
ask_again(struct call *call, const struct reply *said)
{
	call->client.spent = true;
	attempt_relay_refusal(call->who, said, &call->attempt->reply);
	return attempt_over(call, ATTEMPT_FRESH, ATTEMPT_WEIGHT_TROUBLE);
}

/* What became of one transaction. true: on to the next on this connection. */
static bool
conclude(struct call *call, enum smtp_fate fate, enum smtp_status status)
{
	struct reply reply;

	switch (fate) {
	case SMTP_FATE_DELIVERED:
		relay_success(call->who, &call->client.reply, &reply);
		return settled(call, &reply, status);
	case SMTP_FATE_REFUSED:
		attempt_relay_refusal(call->who, &call->client.reply, &reply);
		return settled(call, &reply, status);
	case SMTP_FATE_ELSEWHERE:
		if (status == SMTP_ANSWERED && reply_is_permanent(&call->client.reply))
			return ask_again(call, &call->client.reply);
		return attempt_trouble(call, status);
	case SMTP_FATE_UNKNOWN:
		/* It may have been delivered: trying elsewhere might deliver it twice. */
		call->blameless = true;
		(void)attempt_trouble(call, status);
		settle_taken(call, &call->attempt->reply);
		return false;
	case SMTP_FATE_BROKEN_OFF:
		return attempt_trouble(call, SMTP_STOPPED);
	case SMTP_FATE_UNREADABLE:
		break;
	}
	reply_set(&reply, 451, "4.3.0", "the message cannot be read back from spool-directory");
	settle_open(call, &reply);
	return attempt_over(call, ATTEMPT_DONE, ATTEMPT_WEIGHT_NONE);
}

static bool
has_state(const struct call *call, enum smtp_rcpt_state state)
{
	size_t i;

	for (i = 0; i < call->batch.count; i++)
		if (call->batch.rcpts[i].state == state)
			return true;
	return false;
}

static bool
transact(struct call *call)
{
	const struct smtp_features *features = &call->client.features;
	struct txn *txn = call->delivery->txn;
	struct smtp_message message = {
		.sender = path_of(&txn->sender),
		.smtputf8 = message_needs_utf8(txn),
		.requiretls = txn->wish == WISH_REQUIRETLS && features->requiretls,
		.body = txn->body,
		.worn = call->attempt->reused || call->served,
		.begun = mail_accepted,
		.refused = rcpt_refused,
		.abandoned = attempt_is_abandoned,
		.context = call,
	};
	enum smtp_status status;
	enum smtp_fate fate;
	bool on;

	load(call, &message);
	if (message.rcpt_count == 0)
		return attempt_over(call, ATTEMPT_DONE, ATTEMPT_WEIGHT_NONE);
	message.eightbit = features->eightbitmime &&
	    (message.smtputf8 || txn->body_8bitmime || body_has_8bit(txn->body));
	fate = smtp_send(&call->client, &message, &status);
	call->accepted = call->accepted || has_state(call, SMTP_RCPT_TAKEN);
	on = conclude(call, fate, status);
	if (has_state(call, SMTP_RCPT_AGAIN) && call->end != ATTEMPT_STOP && any_open(call))
		return ask_again(call, &message.again);
	return on;
}

void
attempt_send(struct call *call)
{
	call->mailing = true;
	if (!fits(call))
		return;
	while (transact(call))
		continue;
	if (call->end == ATTEMPT_STOP)
		return;
	if (!any_open(call)) {
		call->end = ATTEMPT_DONE;
	} else if (call->end == ATTEMPT_NEXT && call->served) {
		call->end = ATTEMPT_AGAIN;
	} else if (call->end == ATTEMPT_DONE && call->unfit) {
		reply_set(&call->attempt->reply, 553, "5.6.7",
		    "%s does not support SMTPUTF8, which the recipient's address needs", call->who);
		(void)attempt_over(call, ATTEMPT_NEXT, ATTEMPT_WEIGHT_UNFIT);
	}
}
