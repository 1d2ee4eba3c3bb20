/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/domain.h"
#include "base/endpoint.h"
#include "base/limits.h"
#include "base/netstring.h"
#include "integration/milter/milter_link.h"

void
milter_link_close(struct milter_link *link)
{
	stream_free(link->stream);
	link->stream = NULL;
}

/* The first of its sockets that can be reached. */
static bool
open_link(struct milter_link *link, const struct conf_listener *map, struct deadline deadline,
    struct milter_verdict *verdict)
{
	int fd = -1;

	milter_verdict_unknown(verdict, "policy-map.listen names no socket to connect to");
	for (size_t i = 0; i < map->count && fd < 0; i++) {
		fd = endpoint_connect(&map->listen[i], deadline);
		if (fd < 0)
			milter_verdict_unknown(verdict, "stsgated cannot be reached at %s: %s",
			    map->listen[i].text, strerror(errno));
	}
	if (fd < 0)
		return false;
	link->stream = stream_new_fd(fd);
	return true;
}

static enum stream_status
send_question(struct milter_link *link, const char *question, struct deadline deadline)
{
	struct buf frame = { 0 };
	enum stream_status status;

	netstring_add(&frame, question, strlen(question));
	status = stream_write(link->stream, frame.data, frame.length, deadline, 0);
	if (status == STREAM_OK)
		status = stream_flush(link->stream, deadline);
	buf_free(&frame);
	return status;
}

/* STREAM_LONG: what came is no answer, or one that is too long. */
static enum stream_status
receive_answer(struct milter_link *link, struct buf *frame, struct milter_verdict *verdict,
    struct deadline deadline)
{
	enum netstring_status framed = NETSTRING_MORE;
	enum stream_status status = STREAM_OK;
	const char *payload;
	size_t length, used = 0, got;
	char octets[4096];

	while (status == STREAM_OK && framed == NETSTRING_MORE) {
		status = stream_read(link->stream, octets, sizeof(octets), &got, deadline);
		if (status != STREAM_OK)
			return status;
		buf_add(frame, octets, got);
		framed = netstring_parse(frame->data, frame->length, LIMIT_NETSTRING_OUT, &payload,
		    &length, &used);
	}
	/* One question, one answer: more is out of step. */
	if (framed == NETSTRING_BAD || used != frame->length)
		return STREAM_LONG;
	milter_verdict_read(payload, length, verdict);
	return STREAM_OK;
}

static enum stream_status
exchange(struct milter_link *link, const char *question, struct milter_verdict *verdict,
    struct deadline deadline)
{
	struct buf frame = { 0 };
	enum stream_status status = send_question(link, question, deadline);

	if (status == STREAM_OK)
		status = receive_answer(link, &frame, verdict, deadline);
	buf_free(&frame);
	return status;
}

static const char *
fault(enum stream_status status)
{
	switch (status) {
	case STREAM_OK:
		break;
	case STREAM_TIMEOUT:
		return "stsgated did not answer in time";
	case STREAM_LONG:
		return "the answer of stsgated is not a netstring, or far too long";
	case STREAM_END:
	case STREAM_LOST:
	case STREAM_STOPPED:
	case STREAM_WANTS_IN:
	case STREAM_WANTS_OUT:
		return "the connection to stsgated was lost";
	}
	return "";
}

bool
milter_link_ask(struct milter_link *link, const struct conf_listener *map, const char *domain,
    bool requiretls, struct deadline deadline, struct milter_verdict *verdict)
{
	bool kept = link->stream != NULL;
	enum stream_status status;
	char question[DOMAIN_MAX + 32];

	snprintf(question, sizeof(question), "json %s%s", domain, requiretls ? " requiretls" : "");
	if (!kept && !open_link(link, map, deadline, verdict))
		return false;
	status = exchange(link, question, verdict, deadline);
	if (kept && (status == STREAM_END || status == STREAM_LOST)) {
		/* Restarted since the last question, or tired of waiting for this one. */
		milter_link_close(link);
		if (!open_link(link, map, deadline, verdict))
			return false;
		status = exchange(link, question, verdict, deadline);
	}
	if (status == STREAM_OK)
		return true;
	milter_link_close(link);
	milter_verdict_unknown(verdict, "%s", fault(status));
	return false;
}
