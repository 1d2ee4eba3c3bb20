/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/deadline.h"
#include "base/gzip.h"
#include "report/command.h"
#include "report/report_mail.h"
#include "report/sender.h"
#include "report/smtp_submit.h"
#include "report/upload.h"

#define UPLOAD_MS	(60 * 1000)
#define MAIL_MS	(5 * 60 * 1000)	/* an MTA may look at the content before it answers */

static const char smtp[] = "smtp://";

static bool
holds_failure(const struct tally_report *report)
{
	size_t i;

	for (i = 0; i < report->policy_count; i++)
		if (report->policies[i].failed > 0 || report->policies[i].detail_count > 0)
			return true;
	return false;
}

void
sender_ruas(const struct conf *conf, struct arena *arena, const struct tally_report *report,
    struct rua_list *list)
{
	const struct conf_destination *destination = conf_destination_find(conf, report->domain);
	const char *instead = destination != NULL ? destination->reports : NULL;
	struct sts_text record = { report->record, strlen(report->record) };

	*list = (struct rua_list){ .record = report->record };
	if (!conf->tlsrpt.success_only && !holds_failure(report))
		return;
	if (instead == NULL) {
		(void)rua_parse(arena, &record, 1, list);
		return;
	}
	list->at = arena_array(arena, 1, sizeof(list->at[0]));
	if (strcmp(instead, "discard") != 0 &&
	    rua_parse_uri(arena, instead, strlen(instead), &list->at[0]))
		list->count = 1;
}

static int
submit_by_smtp(const struct sender *sender, const struct reporter_name *name, const char *to,
    const struct buf *message, char *why, size_t why_room)
{
	const struct smtp_submission submission = { .server = sender->conf->tlsrpt.submit +
		    sizeof(smtp) - 1,
		.helo = sender->conf->hostname,
		.sender = name->sender,
		.recipient = to,
		.message = message->data,
		.length = message->length,
		.deadline = deadline_in(MAIL_MS),
		.watch = sender->watch };

	return smtp_submit(&submission, why, why_room);
}

/* Commands read lines as the system has them. */
static void
drop_returns(const struct buf *message, struct buf *lines)
{
	size_t i;

	for (i = 0; i < message->length; i++)
		if (message->data[i] != '\r')
			buf_add_char(lines, message->data[i]);
}

static int
submit_by_command(const struct sender *sender, const struct reporter_name *name,
    const struct buf *message, char *why, size_t why_room)
{
	const char *const more[] = { "-f", name->sender, NULL };
	struct buf lines = { 0 };
	struct command_run run = { .line = sender->conf->tlsrpt.submit,
		.more = more,
		.deadline = deadline_in(MAIL_MS),
		.watch = sender->watch };
	char said[256];
	int status;

	drop_returns(message, &lines);
	run.input = lines.data;
	run.length = lines.length;
	status = command_run(&run, said, sizeof(said));
	buf_free(&lines);
	(void)snprintf(why, why_room, "%s: %s", sender->conf->tlsrpt.submit, said);
	return status == 0 ? 0 : -1;
}

static int
mail(const struct sender *sender, struct arena *arena, struct report_mail *mail, char *why,
    size_t why_room)
{
	const char *to = report_mail_address(arena, mail->to);
	struct buf message = { 0 };
	int result;

	mail->now = clock_wall_s();
	report_mail_write(mail, &message);
	if (strncasecmp(sender->conf->tlsrpt.submit, smtp, sizeof(smtp) - 1) == 0)
		result = submit_by_smtp(sender, mail->name, to, &message, why, why_room);
	else
		result = submit_by_command(sender, mail->name, &message, why, why_room);
	buf_free(&message);
	return result;
}

static int
upload(const struct sender *sender, const char *uri, const struct buf *packed, char *why,
    size_t why_room)
{
	const struct upload upload = { sender->conf, sender->resolver, sender->http, uri,
		packed->data, packed->length, deadline_in(UPLOAD_MS) };

	return upload_report(&upload, why, why_room);
}

int
sender_try(const struct sender *sender, const struct tally_report *report, const struct rua *rua,
    bool running, char *why, size_t why_room)
{
	struct arena *arena = arena_new();
	struct buf packed = { 0 };
	struct reporter_name name;
	struct report_mail message = { .name = &name, .report = report, .to = rua->target };
	const char *json;
	int result = -1;

	reporter_name_from(arena, sender->conf, &name);
	json = report_json(arena, report, &name, running);
	gzip(json, strlen(json), &packed);
	message.id = report_id(arena, report, &name, running);
	message.file_name = report_file_name(arena, name.submitter, report->domain, report->day,
	    report->further ? report->record_digest : "");
	message.packed = packed.data;
	message.packed_length = packed.length;
	switch (rua->scheme) {
	case RUA_MAILTO:
		result = mail(sender, arena, &message, why, why_room);
		break;
	case RUA_HTTPS:
		result = upload(sender, rua->target, &packed, why, why_room);
		break;
	}
	buf_free(&packed);
	arena_free(arena);
	return result;
}
