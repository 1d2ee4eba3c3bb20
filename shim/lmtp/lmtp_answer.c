/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/recent.h"
#include "policy/plan.h"
#include "shim/lmtp/lmtp_answer.h"

/* A message on its way, as txn_run()'s callbacks see it. */
struct telling {
	const struct lmtp_service *service;
	struct stream *stream;
	const struct lmtp_message *message;
	struct txn *txn;
	size_t told;	/* recipients that have their final reply */
	bool lost;	/* the MTA can no longer be reached */
};

bool
lmtp_answer_write(const struct lmtp_service *service, const struct conf *conf,
    struct stream *stream, const struct reply *reply)
{
	char line[REPLY_LINE_MAX + 3];

	reply_line(reply, line);
	line[conf->lmtp.reply_length] = '\0';	/* a longer one is cut */
	strcat(line, "\r\n");
	return stream_write(stream, line, strlen(line), deadline_in(service->wait_ms), 0) ==
	    STREAM_OK;
}

/* RFC 8689 4.1: with REQUIRETLS the header field is ignored. */
static enum sender_wish
wish_of(const struct lmtp_message *message, const struct body *body)
{
	if (message->requiretls)
		return WISH_REQUIRETLS;
	if (message->conf->smtp.tls_required_no && body_tls_required_no(body))
		return WISH_NO;
	return WISH_NONE;
}

/* The fields of the log's delivery line for a message without delivery. */
static void
log_refusal(const struct lmtp_message *message, const struct rcpt *rcpt, const struct reply *reply)
{
	const char *status = reply_is_permanent(reply) ? "bounced" : "deferred";
	char text[REPLY_LINE_MAX + 1];
	struct log_line line;

	metrics_count(METRIC_RECIPIENTS, status, NULL);
	reply_line(reply, text);
	log_begin(&line, LOG_LEVEL_INFO, "delivery");
	log_text(&line, "id", message->id);
	log_text(&line, "from",
	    message->sender.mailbox[0] != '\0' ? message->sender.mailbox : "<>");
	log_text(&line, "to", rcpt->address.mailbox);
	log_text(&line, "domain", rcpt->address.next_hop);
	log_text(&line, "policy", "none");
	log_text(&line, "tls", "none");
	log_text(&line, "reused", "no");
	/* The header of a message that was not kept is not known. */
	log_text(&line, "wish",
	    sender_wish_name(message->requiretls ? WISH_REQUIRETLS : WISH_NONE));
	log_text(&line, "status", status);
	log_text(&line, "dsn", reply->enhanced);
	log_text(&line, "reply", text);
	log_number(&line, "ms", 0);	/* nothing was tried */
	log_end(&line);
}

bool
lmtp_answer_refuse(const struct lmtp_service *service, struct stream *stream,
    const struct lmtp_message *message, const struct reply *reply)
{
	bool told = true;
	size_t i;

	for (i = 0; i < message->rcpt_count; i++) {
		log_refusal(message, &message->rcpts[i], reply);
		told = told && lmtp_answer_write(service, message->conf, stream, reply);
	}
	return told;
}

static void
tell(struct telling *telling, const struct reply *reply)
{
	struct reply stopping;

	reply_set(&stopping, 451, "4.3.2", "stsgate is stopping");
	if (telling->service->stage >= LMTP_ABANDONING && reply_is_transient(reply) &&
	    !reply->remote)
		reply = &stopping;
	telling->lost |= !lmtp_answer_write(telling->service, telling->message->conf,
	    telling->stream, reply);
	telling->told++;
}

static void
flush(struct telling *telling)
{
	struct deadline deadline = deadline_in(telling->service->wait_ms);

	telling->lost |= stream_flush(telling->stream, deadline) != STREAM_OK;
}

/* txn_run() calls it for one recipient after the other. */
static bool
on_answered(void *context, const struct rcpt *rcpt)
{
	struct telling *telling = context;
	size_t index = (size_t)(rcpt - telling->message->rcpts);

	if (telling->told > index)
		return !telling->lost;	/* had the last word already */
	tell(telling, &rcpt->reply);
	/* Decided replies are sent now, in one segment with those decided immediately after. */
	if (index + 1 == telling->message->rcpt_count || !txn_is_settled(telling->txn, rcpt + 1))
		flush(telling);
	return !telling->lost;
}

/* Gone for good, or only done with sending? A pipelined QUIT is unread input and no hang-up. */
static bool
mta_is_gone(struct stream *stream)
{
	struct pollfd state = { .fd = stream_fd(stream), .events = 0 };
	int unread = 0;

	if (!stream_peer_gone(stream))
		return false;
	if (!stream_has_input(stream) && (ioctl(state.fd, FIONREAD, &unread) != 0 || unread == 0))
		return true;
	return poll(&state, 1, 0) > 0;
}

static void
say_last_word(struct telling *telling)
{
	struct reply undecided;
	const struct rcpt *rcpt;

	reply_set(&undecided, 451, "4.3.2", "stsgate is stopping");
	while (telling->told < telling->message->rcpt_count) {
		rcpt = &telling->message->rcpts[telling->told];
		tell(telling, txn_is_settled(telling->txn, rcpt) ? &rcpt->reply : &undecided);
	}
	flush(telling);
}

/* txn_run() calls it now and then. */
static bool
on_watch(void *context)
{
	struct telling *telling = context;

	if (telling->service->stage == LMTP_LAST_WORD)
		say_last_word(telling);
	return telling->service->stage >= LMTP_ABANDONING || mta_is_gone(telling->stream);
}

bool
lmtp_answer_deliver(const struct lmtp_service *service, struct stream *stream,
    const struct lmtp_message *message, const struct body *body)
{
	struct telling telling = { .service = service, .stream = stream, .message = message };
	struct txn *txn;

	metrics_count(METRIC_TRANSACTIONS, NULL, NULL);
	recent_count(RECENT_MESSAGES);
	txn = txn_new(message->arena, message->id, &message->sender, message->rcpts,
	    message->rcpt_count, body, deadline_in(message->conf->lmtp.transaction_time));
	txn->conf = message->conf;
	txn->smtputf8 = message->smtputf8;
	txn->body_8bitmime = message->body_8bitmime;
	txn->wish = wish_of(message, body);
	telling.txn = txn;
	txn_run(txn, message->conf->lmtp.parallel_domains, service->deliver, service->context,
	    on_answered, &telling, &(const struct watch){ on_watch, &telling });
	txn_free(txn);
	return !telling.lost;
}
