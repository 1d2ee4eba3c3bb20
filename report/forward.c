/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "report/datagram.h"
#include "report/forward.h"

struct forward {
	struct endpoint to;
	int fd;
};

struct forward *
forward_new(const struct endpoint *to)
{
	struct forward *forward;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return NULL;
	forward = xcalloc(1, sizeof(*forward));
	forward->to = *to;
	forward->fd = fd;
	return forward;
}

void
forward_free(struct forward *forward)
{
	if (forward == NULL)
		return;
	close(forward->fd);
	free(forward);
}

void
forward_send(struct forward *forward, const struct session_outcome *session)
{
	struct buf text = { 0 };
	ssize_t sent;

	if (forward == NULL)
		return;
	datagram_write(&text, session);
	/* By name each time: a collector that was restarted has a new socket. */
	sent = sendto(forward->fd, text.data, text.length, MSG_DONTWAIT | MSG_NOSIGNAL,
	    (const struct sockaddr *)&forward->to.address, forward->to.length);
	metrics_count(METRIC_TLSRPT_FORWARDED, sent < 0 ? "lost" : "sent", NULL);
	buf_free(&text);
}
