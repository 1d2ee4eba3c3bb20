/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/arena.h"
#include "report/smtp_submit.h"

#define REPLY_WAIT_S	120L	/* for one reply: an MTA may look at the content before the last */
#define REPLY_ROOM	128

struct work {
	const struct smtp_submission *submission;
	CURL *easy;
	CURLcode setup;	/* the first option refused */
	size_t sent;
	char reply[REPLY_ROOM];	/* the server's last line, or its last refusal */
	char error[CURL_ERROR_SIZE];
};

static size_t
on_read(char *room, size_t size, size_t count, void *context)
{
	struct work *work = context;
	size_t left = work->submission->length - work->sent;
	size_t length = left < size * count ? left : size * count;

	memcpy(room, work->submission->message + work->sent, length);
	work->sent += length;
	return length;
}

/* The reply after a refusal answers the QUIT. */
static size_t
on_line(char *line, size_t size, size_t count, void *context)
{
	struct work *work = context;
	size_t i, length = size * count;

	if ((work->reply[0] == '4' || work->reply[0] == '5') && length > 0 && line[0] == '2')
		return length;
	for (i = 0; i < length && i + 1 < sizeof(work->reply) && line[i] != '\r' && line[i] != '\n';
	     i++)
		work->reply[i] = line[i] < 0x20 || line[i] == 0x7f ? '?' : line[i];
	work->reply[i] = '\0';
	return length;
}

static size_t
on_body(char *octets, size_t size, size_t count, void *context)
{
	(void)octets, (void)context;
	return size * count;
}

static int
on_progress(void *context, curl_off_t to_get, curl_off_t got, curl_off_t to_put, curl_off_t put)
{
	const struct smtp_submission *submission = context;

	(void)to_get, (void)got, (void)to_put, (void)put;
	return wait_is_over(&submission->watch);
}

#define SET(work, option, value)	\
	do { \
		if ((work)->setup == CURLE_OK) \
			(work)->setup = curl_easy_setopt((work)->easy, (option), (value)); \
	} while (0)

static void
set_hooks(struct work *work)
{
	SET(work, CURLOPT_READFUNCTION, on_read);
	SET(work, CURLOPT_READDATA, work);
	SET(work, CURLOPT_HEADERFUNCTION, on_line);
	SET(work, CURLOPT_HEADERDATA, work);
	SET(work, CURLOPT_WRITEFUNCTION, on_body);
	SET(work, CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(work, CURLOPT_XFERINFODATA, work->submission);
	SET(work, CURLOPT_NOPROGRESS, 0L);
	SET(work, CURLOPT_ERRORBUFFER, work->error);
}

static void
set_target(struct work *work, const char *url)
{
	SET(work, CURLOPT_URL, url);
	SET(work, CURLOPT_PROTOCOLS_STR, "smtp");
	SET(work, CURLOPT_NOSIGNAL, 1L);
	/* Set though empty: libcurl reads the environment for what is NULL. */
	SET(work, CURLOPT_PROXY, "");
	SET(work, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(work, CURLOPT_TIMEOUT_MS, (long)deadline_left_ms(work->submission->deadline));
	SET(work, CURLOPT_CONNECTTIMEOUT_MS, (long)deadline_left_ms(work->submission->deadline));
	SET(work, CURLOPT_SERVER_RESPONSE_TIMEOUT, REPLY_WAIT_S);
}

static void
set_message(struct work *work, const char *sender, struct curl_slist *recipients)
{
	SET(work, CURLOPT_MAIL_FROM, sender);
	SET(work, CURLOPT_MAIL_RCPT, recipients);
	SET(work, CURLOPT_UPLOAD, 1L);
	SET(work, CURLOPT_INFILESIZE_LARGE, (curl_off_t)work->submission->length);
}

static int
perform(struct work *work, char *why, size_t why_room)
{
	CURLcode code = work->setup != CURLE_OK ? work->setup : curl_easy_perform(work->easy);

	if (code == CURLE_OK)
		return 0;
	(void)snprintf(why, why_room, "smtp://%s: %s%s%s", work->submission->server,
	    work->error[0] != '\0' ? work->error : curl_easy_strerror(code),
	    work->reply[0] != '\0' ? "; it said: " : "", work->reply);
	return -1;
}

int
smtp_submit(const struct smtp_submission *submission, char *why, size_t why_room)
{
	struct work work = { .submission = submission, .easy = curl_easy_init() };
	struct arena *arena = arena_new();
	/* The path is what EHLO says. */
	const char *url = arena_printf(arena, "smtp://%s/%s", submission->server, submission->helo);
	struct curl_slist *recipients = curl_slist_append(NULL,
	    arena_printf(arena, "<%s>", submission->recipient));
	int result;

	if (work.easy == NULL || recipients == NULL)
		abort();
	set_target(&work, url);
	set_message(&work, arena_printf(arena, "<%s>", submission->sender), recipients);
	set_hooks(&work);
	result = perform(&work, why, why_room);
	curl_easy_cleanup(work.easy);
	curl_slist_free_all(recipients);
	arena_free(arena);
	return result;
}
