/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * One SMTP session as a milter sees it: which answer does each recipient get, and which header the
 * message? Knows nothing of libmilter. Used by one thread at a time.
 */
#ifndef INTEGRATION_MILTER_MILTER_SESSION_H
#define INTEGRATION_MILTER_MILTER_SESSION_H

#include <stdbool.h>

#include "base/reply.h"
#include "base/conf/conf.h"
#include "integration/milter/milter_route.h"
#include "integration/milter/milter_verdict.h"

#define MILTER_HEADER	"X-STS-Verdict"
#define MILTER_RCPT_MS	5000	/* what a recipient may cost; stsgated answers within 4 s */

struct milter_session;

/* conf must live as long as the session. */
struct milter_session *milter_session_new(const struct conf *conf);
void milter_session_free(struct milter_session *session);

/* A message begins. arguments: of MAIL, "<sender>" and then ESMTP parameters, ended by NULL;
 * id: the queue id, when the MTA has one so early, or NULL. */
void milter_session_mail(struct milter_session *session, char *const *arguments, const char *id);
/* One recipient; reply is set unless the action is to continue. Takes up to MILTER_RCPT_MS. */
enum milter_action milter_session_rcpt(struct milter_session *session,
    const struct milter_rcpt *rcpt, const char *id, struct reply *reply);
/* A header line of the message. */
void milter_session_header(struct milter_session *session, const char *name);
/* How many MILTER_HEADER lines came with the message: none of them is ours. */
unsigned milter_session_forged(const struct milter_session *session);
/* At the end of the message: the value of the header that it gets, when all recipients share one
 * domain, so that none is disclosed to another, and its verdict is known. NULL: none. Valid until
 * the next message. */
const char *milter_session_value(const struct milter_session *session);

#endif
