/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <inttypes.h>

#include "base/limits.h"
#include "base/metrics.h"
#include "base/recent.h"
#include "shim/lmtp/lmtp_content.h"
#include "shim/lmtp/lmtp_dot.h"

#define SLICE	4096	/* octets decoded in one go, on the stack */

void
lmtp_content_begin(struct lmtp_content *content, struct body_spool *spool, uint64_t max_size)
{
	*content = (struct lmtp_content){ .body = body_new(spool), .max_size = max_size };
}

void
lmtp_content_drop(struct lmtp_content *content)
{
	body_free(content->body);
	*content = (struct lmtp_content){ .body = NULL };
}

/* Gives back at once what the message has taken of memory and disk. */
static void
refuse(struct lmtp_content *content, const struct reply *refusal)
{
	body_free(content->body);
	content->body = NULL;
	content->refusal = *refusal;
}

static void
refuse_size(struct lmtp_content *content)
{
	struct reply refusal;

	metrics_count(METRIC_MESSAGES_REFUSED, "size", NULL);
	reply_set(&refusal, 552, "5.3.4",
	    "the message is larger than %" PRIu64 " octets (lmtp.max-message-size)",
	    content->max_size);
	refuse(content, &refusal);
}

static void
refuse_for_room(struct lmtp_content *content)
{
	struct reply refusal;

	metrics_count(METRIC_MESSAGES_REFUSED, "spool", NULL);
	recent_count(RECENT_SPOOL_FULL);
	reply_set(&refusal, 452, "4.3.1",
	    "no room for the message in spool-memory or spool-directory");
	refuse(content, &refusal);
}

static void
add(struct lmtp_content *content, const char *octets, size_t length)
{
	if (content->body == NULL)
		return;
	if (body_add(content->body, octets, length) != 0)
		refuse_for_room(content);
	else if (body_size(content->body) > content->max_size)
		refuse_size(content);
}

static enum stream_status
peek(struct stream *stream, const char **octets, size_t *length, const struct lmtp_pace *pace)
{
	return stream_peek(stream, octets, length,
	    deadline_earlier(pace->all, deadline_in(pace->step_ms)));
}

enum stream_status
lmtp_content_read_data(struct lmtp_content *content, struct stream *stream,
    const struct lmtp_pace *pace)
{
	struct lmtp_dot dot = { LMTP_DOT_LINE_START };
	char out[SLICE + LMTP_DOT_HELD];
	enum stream_status status;
	size_t length, made, taken;
	const char *octets;

	while (dot.state != LMTP_DOT_END) {
		status = peek(stream, &octets, &length, pace);
		if (status != STREAM_OK)
			return status;
		taken = lmtp_dot_decode(&dot, octets, length < SLICE ? length : SLICE, out, &made);
		add(content, out, made);
		stream_skip(stream, taken);
	}
	return STREAM_OK;
}

enum stream_status
lmtp_content_read_chunk(struct lmtp_content *content, struct stream *stream, uint64_t octets,
    const struct lmtp_pace *pace)
{
	enum stream_status status;
	const char *from;
	size_t length;

	if (content != NULL && content->body != NULL &&
	    octets > content->max_size - body_size(content->body))
		refuse_size(content);
	for (; octets > 0; octets -= length) {
		status = peek(stream, &from, &length, pace);
		if (status != STREAM_OK)
			return status;
		if (length > octets)
			length = (size_t)octets;
		if (content != NULL)
			add(content, from, length);
		stream_skip(stream, length);
	}
	return STREAM_OK;
}

void
lmtp_content_end(struct lmtp_content *content)
{
	struct reply refusal;

	if (content->body == NULL)
		return;
	if (body_end(content->body) != 0) {
		refuse_for_room(content);
	} else if (body_received_headers(content->body) > LIMIT_RECEIVED_HEADERS) {
		reply_set(&refusal, 554, "5.4.6",
		    "more than %d Received header fields: the message loops",
		    LIMIT_RECEIVED_HEADERS);
		refuse(content, &refusal);
	}
}
