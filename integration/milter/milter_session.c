/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/deadline.h"
#include "base/log.h"
#include "integration/milter/milter_link.h"
#include "integration/milter/milter_session.h"

enum sharing { SHARED_BY_NONE, SHARED_BY_ALL, NOT_SHARED };

/* Everything that ends with the message. */
struct message {
	char *sender;
	bool requiretls;	/* RFC 8689 2: asked for with MAIL */
	bool early_id;	/* the queue id stood before the first recipient */
	bool mute;	/* stsgated did not answer: the other recipients do not wait for it, too */
	struct domain asked;	/* what verdict is of; "" before the first question */
	struct milter_verdict verdict;
	enum sharing sharing;	/* do the recipients taken so far share one domain? */
	struct domain shared;
	struct buf value;	/* of the header for that domain; empty: its verdict is unknown */
	unsigned forged;
};

struct milter_session {
	const struct conf *conf;
	struct milter_link link;
	struct message message;
};

struct milter_session *
milter_session_new(const struct conf *conf)
{
	struct milter_session *session = xcalloc(1, sizeof(*session));

	session->conf = conf;
	return session;
}

static void
forget_message(struct milter_session *session)
{
	free(session->message.sender);
	buf_free(&session->message.value);
	session->message = (struct message){ 0 };
}

void
milter_session_free(struct milter_session *session)
{
	if (session == NULL)
		return;
	milter_link_close(&session->link);
	forget_message(session);
	free(session);
}

void
milter_session_mail(struct milter_session *session, char *const *arguments, const char *id)
{
	forget_message(session);
	session->message.sender = xstrdup(arguments[0]);
	session->message.early_id = id != NULL;
	for (size_t i = 1; arguments[i] != NULL; i++)
		if (strcasecmp(arguments[i], "REQUIRETLS") == 0)
			session->message.requiretls = true;
}

/*
 * Postfix's cleanup plays an SMTP session for mail that came in by sendmail(1). It cannot refuse a
 * recipient there: the whole message would stay in the maildrop for ever. It names no mailer,
 * leaves out the <>, and has a queue id before any recipient.
 */
static bool
is_simulated(const struct message *message, const struct milter_rcpt *rcpt)
{
	return rcpt->mailer == NULL && (rcpt->argument[0] != '<' || message->early_id);
}

/* Consecutive recipients of one domain share a query. */
static void
ask(struct milter_session *session, const struct domain *domain)
{
	struct message *message = &session->message;

	if (strcmp(message->asked.name, domain->name) == 0)
		return;
	message->asked = *domain;
	if (message->mute) {
		milter_verdict_unknown(&message->verdict,
		    "stsgated did not answer for an earlier recipient of the message");
		return;
	}
	message->mute = !milter_link_ask(&session->link, &session->conf->policy_map.listener,
	    domain->name, message->requiretls, deadline_in(MILTER_RCPT_MS), &message->verdict);
}

/* Counts an accepted recipient. domain NULL: not remote. */
static void
count(struct message *message, const struct domain *domain)
{
	if (domain == NULL) {
		message->sharing = NOT_SHARED;
	} else if (message->sharing == SHARED_BY_NONE) {
		message->sharing = SHARED_BY_ALL;
		message->shared = *domain;
		if (message->verdict.says != SAYS_UNKNOWN)
			milter_verdict_header(&message->verdict, domain->name, &message->value);
	} else if (strcmp(message->shared.name, domain->name) != 0) {
		message->sharing = NOT_SHARED;
	}
}

static const char *
text_or_null(const char *text)
{
	return text[0] == '\0' ? NULL : text;
}

static void
log_recipient(const struct message *message, const struct milter_rcpt *rcpt, const char *id,
    enum milter_action action, const char *why, int64_t ms)
{
	const struct milter_verdict *verdict = &message->verdict;
	bool known = verdict->says != SAYS_UNKNOWN;
	char reply[REPLY_LINE_MAX + 1] = "";
	struct log_line line;

	if (verdict->reply.code != 0)
		reply_line(&verdict->reply, reply);
	log_begin(&line, known ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "recipient");
	log_text(&line, "id", id);
	log_text(&line, "from", message->sender);
	log_text(&line, "to", rcpt->argument);
	log_text(&line, "domain", message->asked.name);
	log_text(&line, "verdict", milter_says_name(verdict->says));
	log_text(&line, "policy", text_or_null(verdict->policy));
	log_text(&line, "mode", text_or_null(verdict->mode));
	log_text(&line, "policy-id", text_or_null(verdict->id));
	log_text(&line, "wish", message->requiretls ? "requiretls" : NULL);
	log_text(&line, "action", milter_action_name(action));
	log_text(&line, "reply", text_or_null(reply));
	log_text(&line, "why", text_or_null(why));
	log_number(&line, "ms", ms);
	log_end(&line);
}

enum milter_action
milter_session_rcpt(struct milter_session *session, const struct milter_rcpt *rcpt, const char *id,
    struct reply *reply)
{
	struct message *message = &session->message;
	int64_t begun = clock_monotonic_ms();
	const char *why = message->verdict.why;
	enum milter_action action;
	struct domain domain;

	if (!milter_route(rcpt, &session->conf->lmtp.listener, &domain)) {
		count(message, NULL);
		return ACTION_CONTINUE;
	}
	ask(session, &domain);
	action = milter_decide(&message->verdict, session->conf->milter.refuse);
	if (action != ACTION_CONTINUE && is_simulated(message, rcpt)) {
		action = ACTION_CONTINUE;
		why = "not refused, since it was not submitted by SMTP and would stay in the "
		      "maildrop";
	}
	log_recipient(message, rcpt, id, action, why, clock_monotonic_ms() - begun);
	if (action == ACTION_CONTINUE)
		count(message, &domain);
	else
		*reply = message->verdict.reply;
	return action;
}

void
milter_session_header(struct milter_session *session, const char *name)
{
	size_t length = strcspn(name, " \t");

	if (length == strlen(MILTER_HEADER) && strncasecmp(name, MILTER_HEADER, length) == 0)
		session->message.forged++;
}

unsigned
milter_session_forged(const struct milter_session *session)
{
	return session->message.forged;
}

const char *
milter_session_value(const struct milter_session *session)
{
	const struct message *message = &session->message;

	if (message->sharing != SHARED_BY_ALL || message->value.length == 0)
		return NULL;
	return buf_text(&message->value);
}
