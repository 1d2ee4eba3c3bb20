/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

#include "base/arena.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "base/thread.h"
#include "integration/milter/milter.h"
#include "integration/milter/milter_conn.h"
#include "integration/milter/milter_session.h"

#define BACKLOG	512
#define WRITE_MS	200

/* The data that libmilter keeps for one connection of the MTA. */
struct context {
	const struct conf *conf;	/* that was in force when it began */
	struct milter_session *session;
	bool header;	/* asked for, and the MTA lets us change headers */
};

/* Set once, before libmilter has a thread: callbacks have no other way to find it. */
static struct conf_now *conf_now;

/* The number of running queries: a stop waits for them. */
static pthread_mutex_t asking_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t asking_over;
static unsigned asking;

static void
asking_change(int by)
{
	pthread_mutex_lock(&asking_lock);
	asking += (unsigned)by;
	if (asking == 0)
		pthread_cond_broadcast(&asking_over);
	pthread_mutex_unlock(&asking_lock);
}

/* libmilter's interface knows no const; nothing is written through what it is given here. */
static char *
unconst(const char *text)
{
	union {
		const char *in;
		char *out;
	} pointer = { .in = text };

	return pointer.out;
}

static char *
macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, unconst(name));
}

/* The steps that are of no use to us are left out, which saves the MTA and us a round trip each. */
static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
    unsigned long f3, unsigned long *want_actions, unsigned long *want_steps,
    unsigned long *want_f2, unsigned long *want_f3)
{
	const unsigned long changes = SMFIF_ADDHDRS | SMFIF_CHGHDRS;
	unsigned long unused = SMFIP_NOCONNECT | SMFIP_NOHELO | SMFIP_NOBODY | SMFIP_NOEOH |
	    SMFIP_NODATA | SMFIP_NOUNKNOWN;
	struct context *context = xcalloc(1, sizeof(*context));
	const struct conf *conf;

	(void)f2;
	(void)f3;
	conf = context->conf = conf_now_take(conf_now);
	context->session = milter_session_new(conf);
	context->header = conf->milter.header && (actions & changes) == changes;
	if (conf->milter.header && !context->header)
		log_message(LOG_LEVEL_WARNING, "negotiate",
		    "the MTA does not let milters change headers: no " MILTER_HEADER);
	if (!context->header)
		unused |= SMFIP_NOHDRS;
	/* These are requested whatever the MTA's configuration is. */
	if ((actions & SMFIF_SETSYMLIST) != 0) {
		smfi_setsymlist(ctx, SMFIM_ENVFROM, unconst("i"));
		smfi_setsymlist(ctx, SMFIM_ENVRCPT,
		    unconst("i {rcpt_mailer} {rcpt_host} {rcpt_addr}"));
	}
	*want_actions = (context->header ? changes : 0) | (actions & SMFIF_SETSYMLIST);
	*want_steps = steps & unused;
	*want_f2 = *want_f3 = 0;
	return smfi_setpriv(ctx, context) == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_REJECT;
}

static sfsistat
on_mail(SMFICTX *ctx, char **arguments)
{
	struct context *context = smfi_getpriv(ctx);

	milter_session_mail(context->session, arguments, macro(ctx, "i"));
	return SMFIS_CONTINUE;
}

/* libmilter wants printf's "%%" for '%', which not every MTA turns back. */
static void
without_percent(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '%')
			*text = '?';
}

static sfsistat
refuse(SMFICTX *ctx, enum milter_action action, struct reply *reply)
{
	char code[12];

	snprintf(code, sizeof(code), "%d", reply->code);
	without_percent(reply->text);
	/* Without it the MTA says so in words of its own. */
	if (smfi_setreply(ctx, code, reply->enhanced, reply->text) != MI_SUCCESS)
		log_message(LOG_LEVEL_WARNING, "reply", "libmilter does not take %s %s %s", code,
		    reply->enhanced, reply->text);
	return action == ACTION_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct context *context = smfi_getpriv(ctx);
	struct milter_rcpt rcpt = { .argument = arguments[0],
		.mailer = macro(ctx, "{rcpt_mailer}"),
		.host = macro(ctx, "{rcpt_host}"),
		.address = macro(ctx, "{rcpt_addr}") };
	enum milter_action action;
	struct reply reply;

	asking_change(1);
	action = milter_session_rcpt(context->session, &rcpt, macro(ctx, "i"), &reply);
	asking_change(-1);
	return action == ACTION_CONTINUE ? SMFIS_CONTINUE : refuse(ctx, action, &reply);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct context *context = smfi_getpriv(ctx);

	(void)value;
	milter_session_header(context->session, name);
	return SMFIS_CONTINUE;
}

/* The last one first, so that the others keep their numbers. */
static sfsistat
on_end(SMFICTX *ctx)
{
	struct context *context = smfi_getpriv(ctx);
	const char *value = milter_session_value(context->session);
	bool failed = false;

	if (!context->header)
		return SMFIS_CONTINUE;
	for (unsigned i = milter_session_forged(context->session); i > 0; i--)
		failed |= smfi_chgheader(ctx, unconst(MILTER_HEADER), (int)i, NULL) != MI_SUCCESS;
	if (value != NULL)
		failed |= smfi_addheader(ctx, unconst(MILTER_HEADER), unconst(value)) != MI_SUCCESS;
	if (failed)
		log_message(LOG_LEVEL_WARNING, "header",
		    "the MTA did not accept all changes of " MILTER_HEADER);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct context *context = smfi_getpriv(ctx);

	if (context == NULL)
		return SMFIS_CONTINUE;
	smfi_setpriv(ctx, NULL);
	milter_session_free(context->session);
	conf_now_give(conf_now, context->conf);
	free(context);
	return SMFIS_CONTINUE;
}

static int fail(char *why, size_t room, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int
fail(char *why, size_t room, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, room, format, args);
	va_end(args);
	return -1;
}

static int
register_callbacks(const struct endpoint *endpoint)
{
	struct smfiDesc callbacks = { .xxfi_name = unconst("stsgate-milter"),
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eom = on_end,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate };
	char conn[MILTER_CONN_MAX];

	milter_conn(endpoint, conn);
	if (smfi_setconn(conn) != MI_SUCCESS || smfi_register(callbacks) != MI_SUCCESS)
		return -1;
	smfi_setbacklog(BACKLOG);
	return 0;
}

/* libmilter unlinks any file at that path, or nothing at all. So the path is tested first. */
static int
make_way(const struct endpoint *endpoint)
{
	int fd = endpoint_listen(endpoint, 0600, (gid_t)-1, 1);

	if (fd < 0)
		return -1;
	if (endpoint_is_unix(endpoint))
		unlink(endpoint_path(endpoint));
	return close(fd);
}

/* libmilter listens at once; until the mode is set only the owner may connect. */
static int
open_socket(const struct conf *conf)
{
	const char *path = endpoint_path(&conf->milter.listen);
	mode_t mask = umask(0177);
	int result = smfi_opensocket(false);

	umask(mask);
	if (result != MI_SUCCESS || path == NULL)
		return result == MI_SUCCESS ? 0 : -1;
	if (conf->milter.group != (gid_t)-1 && chown(path, (uid_t)-1, conf->milter.group) != 0)
		return -1;
	return chmod(path, conf->milter.mode);
}

int
milter_open(const struct conf *conf, char *why, size_t why_room)
{
	const char *where = conf->milter.listen.text;
	char reason[ENDPOINT_REASON_MAX];

	thread_condition(&asking_over);
	if (endpoint_lacks_directory(&conf->milter.listen) || make_way(&conf->milter.listen) != 0)
		return fail(why, why_room, "%s: %s", where,
		    endpoint_reason(&conf->milter.listen, errno, reason, sizeof(reason)));
	if (register_callbacks(&conf->milter.listen) != 0)
		return fail(why, why_room, "libmilter does not take %s", where);
	errno = 0;
	if (open_socket(conf) != 0)
		return fail(why, why_room, "%s: %s", where,
		    errno != 0 ? strerror(errno) : "libmilter cannot listen there");
	return 0;
}

int
milter_run(struct conf_now *now)
{
	conf_now = now;
	return smfi_main() == MI_SUCCESS ? 0 : -1;
}

void
milter_stop(const struct conf *conf, struct deadline deadline)
{
	const char *path = endpoint_path(&conf->milter.listen);
	struct timespec end = deadline_timespec(deadline);
	bool waited = false;

	if (path != NULL)
		unlink(path);
	pthread_mutex_lock(&asking_lock);
	for (; asking > 0 && !deadline_passed(deadline); waited = true)
		pthread_cond_timedwait(&asking_over, &asking_lock, &end);
	pthread_mutex_unlock(&asking_lock);
	if (waited)
		poll(NULL, 0, WRITE_MS);	/* libmilter writes the answer after our callback */
}
