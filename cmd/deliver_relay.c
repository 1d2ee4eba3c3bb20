/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/deliver_relay.h"

/* Octets of a reply line that the MTA gets, without CRLF. Exim's lmtp transport reads replies into
 * 256 octets: it takes a longer one, and all that follow, for none, and sends the message again. */
#define REPLY_MAX	250

/* One direction. The MTA's descriptors stay blocking, since it may share them: a pipe that polls
 * writable takes PIPE_BUF octets at once. */
struct flow {
	char octets[PIPE_BUF];
	size_t at, end;	/* octets[at..end) were read and not yet written */
	bool in_over;	/* nothing more to read */
	bool out_over;	/* nobody left to write to: what comes is dropped */
};

struct relay {
	int in, out, fd;
	struct flow up, down;	/* to stsgated, to the MTA */
	bool shut;	/* stsgated knows that nothing more comes */
	char line[3];	/* how the line that the server said last starts */
	size_t column;	/* octets of it */
	bool line_over;
};

static bool
is_empty(const struct flow *flow)
{
	return flow->at == flow->end;
}

static bool
wants_input(const struct flow *flow)
{
	return is_empty(flow) && !flow->in_over;
}

static void
flow_read(struct flow *flow, int from)
{
	ssize_t got = read(from, flow->octets, sizeof(flow->octets));

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	flow->at = 0;
	flow->end = got > 0 ? (size_t)got : 0;
	flow->in_over = got <= 0;
}

static void
flow_write(struct flow *flow, int to)
{
	ssize_t written = write(to, flow->octets + flow->at, flow->end - flow->at);

	if (written < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (written < 0)
		flow->out_over = true;
	else
		flow->at += (size_t)written;
	if (flow->out_over)
		flow->at = flow->end;
}

/* Remembers how the server's last line starts, and cuts lines that are too long for Exim. */
static void
follow(struct relay *relay)
{
	struct flow *flow = &relay->down;
	size_t i, kept = flow->at;

	for (i = flow->at; i < flow->end; i++) {
		char c = flow->octets[i];

		if (relay->line_over)
			relay->column = 0;
		if (relay->column < sizeof(relay->line))
			relay->line[relay->column] = c;
		if (relay->column < REPLY_MAX || c == '\r' || c == '\n')
			flow->octets[kept++] = c;
		relay->column++;
		relay->line_over = c == '\n';
	}
	flow->end = kept;
}

static void
pass_on_end(struct relay *relay)
{
	if (!relay->shut && relay->up.in_over && is_empty(&relay->up)) {
		shutdown(relay->fd, SHUT_WR);
		relay->shut = true;
	}
}

/* One step. -1: the MTA can no longer be told anything. */
static int
step(struct relay *relay)
{
	short socket_events = (short)((wants_input(&relay->down) ? POLLIN : 0) |
	    (is_empty(&relay->up) ? 0 : POLLOUT));
	/* A descriptor that nothing is wanted from would report its end again and again; but that
	 * the reader of our output has gone must be known at once. */
	struct pollfd ready[3] = {
		{ .fd = wants_input(&relay->up) ? relay->in : -1, .events = POLLIN },
		{ .fd = socket_events != 0 ? relay->fd : -1, .events = socket_events },
		{ .fd = relay->out, .events = is_empty(&relay->down) ? 0 : POLLOUT },
	};

	if (poll(ready, 3, -1) < 0)
		return errno == EINTR ? 0 : -1;
	if ((ready[2].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
		return -1;
	if (ready[0].revents != 0)
		flow_read(&relay->up, relay->in);
	if (ready[1].revents != 0 && wants_input(&relay->down)) {
		flow_read(&relay->down, relay->fd);
		follow(relay);
	}
	if ((ready[1].revents & (POLLOUT | POLLERR | POLLHUP)) != 0 && !is_empty(&relay->up))
		flow_write(&relay->up, relay->fd);
	if ((ready[2].revents & POLLOUT) != 0)
		flow_write(&relay->down, relay->out);
	pass_on_end(relay);
	return relay->down.out_over ? -1 : 0;
}

int
deliver_relay(int in, int out, int fd)
{
	struct relay relay = { .in = in, .out = out, .fd = fd, .line_over = true };
	int result = 0;

	while (result == 0 && !(relay.down.in_over && is_empty(&relay.down)))
		result = step(&relay);
	close(fd);
	if (result != 0 || relay.column < sizeof(relay.line))
		return EX_TEMPFAIL;
	return memcmp(relay.line, "221", sizeof(relay.line)) == 0 ? EX_OK : EX_TEMPFAIL;
}
