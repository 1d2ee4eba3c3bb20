/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/stream.h"

#define BUFFER_ROOM	8192

struct stream {
	int fd;
	const struct stream_ops *ops;
	void *io;
	const struct watch *watch;	/* or NULL */
	uint64_t sent;	/* octets */
	int error;	/* errno of the last STREAM_LOST */
	bool more;	/* the last read left no room: there is more to read, presumably */
	size_t in_at, in_end;	/* unread input is in[in_at..in_end) */
	size_t out_length;
	char in[BUFFER_ROOM];
	char out[BUFFER_ROOM];
};

static const char *const status_names[] = {
	[STREAM_OK] = "ok",
	[STREAM_END] = "closed",
	[STREAM_TIMEOUT] = "timed out",
	[STREAM_LOST] = "lost",
	[STREAM_LONG] = "line too long",
	[STREAM_STOPPED] = "no longer wanted",
};

const char *
stream_status_name(enum stream_status status)
{
	return status_names[status];
}

static int
fd_of(void *io)
{
	return (int)(intptr_t)io;
}

static ssize_t
fd_read(void *io, void *octets, size_t room, struct deadline deadline)
{
	ssize_t got;

	(void)deadline;
	do {
		got = read(fd_of(io), octets, room);
	} while (got < 0 && errno == EINTR);
	if (got > 0)
		return got;
	if (got == 0)
		return -STREAM_END;
	return errno == EAGAIN || errno == EWOULDBLOCK ? -STREAM_WANTS_IN : -STREAM_LOST;
}

static ssize_t
fd_write(void *io, const void *octets, size_t length, struct deadline deadline)
{
	ssize_t sent;

	(void)deadline;
	do {
		sent = send(fd_of(io), octets, length, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent > 0)
		return sent;
	return sent == 0 || errno == EAGAIN || errno == EWOULDBLOCK ? -STREAM_WANTS_OUT
								    : -STREAM_LOST;
}

static bool
fd_pending(void *io)
{
	(void)io;
	return false;
}

static void
fd_close(void *io)
{
	close(fd_of(io));
}

const struct stream_ops stream_fd_ops = {
	.read = fd_read,
	.write = fd_write,
	.pending = fd_pending,
	.close = fd_close,
};

struct stream *
stream_new_fd(int fd)
{
	struct stream *stream = xmalloc(sizeof(*stream));
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && (flags & O_NONBLOCK) == 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	stream->fd = fd;
	stream->ops = &stream_fd_ops;
	stream->io = (void *)(intptr_t)fd;
	stream->watch = NULL;
	stream->sent = 0;
	stream->error = 0;
	stream->more = false;
	stream->in_at = stream->in_end = stream->out_length = 0;
	return stream;
}

void
stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	if (stream->ops != &stream_fd_ops)
		stream->ops->close(stream->io);
	close(stream->fd);
	free(stream);
}

int
stream_fd(const struct stream *stream)
{
	return stream->fd;
}

void
stream_watch(struct stream *stream, const struct watch *watch)
{
	stream->watch = watch;
}

int
stream_upgrade(struct stream *stream, const struct stream_ops *ops, void *io)
{
	/* RFC 3207 6: what came before the handshake is not to be trusted after it. */
	if (stream_has_input(stream) || stream->out_length > 0)
		return -1;
	stream->ops = ops;
	stream->io = io;
	return 0;
}

void *
stream_io(const struct stream *stream, const struct stream_ops *ops)
{
	return stream->ops == ops ? stream->io : NULL;
}

static enum stream_status
await(struct stream *stream, short events, struct deadline deadline)
{
	switch (wait_for(stream->fd, events, deadline, stream->watch)) {
	case WAIT_READY:
		return STREAM_OK;
	case WAIT_TIMEOUT:
		return STREAM_TIMEOUT;
	case WAIT_STOPPED:
		return STREAM_STOPPED;
	case WAIT_FAILED:
		break;
	}
	stream->error = errno;
	return STREAM_LOST;
}

/* After an operation that moved nothing: STREAM_OK when it is worth another try. */
static enum stream_status
settle(struct stream *stream, ssize_t moved, struct deadline deadline)
{
	if (moved == -STREAM_WANTS_IN)
		return await(stream, POLLIN, deadline);
	if (moved == -STREAM_WANTS_OUT)
		return await(stream, POLLOUT, deadline);
	if (moved == -STREAM_END)
		return STREAM_END;
	stream->error = errno;
	return STREAM_LOST;
}

/* Adds to the unread input, of which at most one octet may be left. An answer takes its time: it is
 * waited for before anything is read. The clock is asked before each read: a peer that always has
 * one more octet gets no extra time. */
static enum stream_status
fill(struct stream *stream, struct deadline deadline)
{
	size_t left = stream->in_end - stream->in_at, room = BUFFER_ROOM - left;
	enum stream_status status = STREAM_OK;
	ssize_t got = 0;

	memmove(stream->in, stream->in + stream->in_at, left);
	stream->in_at = 0;
	stream->in_end = left;
	if (!stream->more && !stream->ops->pending(stream->io))
		status = await(stream, POLLIN, deadline);
	while (status == STREAM_OK && got <= 0) {
		if (deadline_passed(deadline))
			return STREAM_TIMEOUT;
		errno = 0;
		got = stream->ops->read(stream->io, stream->in + left, room, deadline);
		if (got <= 0)
			status = settle(stream, got, deadline);
	}
	stream->more = got == (ssize_t)room;
	if (got > 0)
		stream->in_end += (size_t)got;
	return status;
}

enum scan { SCAN_LINE, SCAN_LONG, SCAN_MORE };

/*
 * Moves octets of one line from the input to line, of which *length are filled and room can be. A
 * CR at the end of the input stays there until the octet behind it is known. No octet is looked at
 * more than twice, so that time is linear however the peer cuts its segments.
 */
static enum scan
take_line(struct stream *stream, char *line, size_t room, size_t *length)
{
	const char *from = stream->in + stream->in_at;
	size_t available = stream->in_end - stream->in_at, space = room - *length, content;
	size_t looked = available < space + 2 ? available : space + 2;
	const char *end = looked > 0 ? memchr(from, '\n', looked) : NULL;
	enum scan result = end != NULL ? SCAN_LINE : SCAN_MORE;

	content = end != NULL ? (size_t)(end - from) : looked;
	if (content > 0 && from[content - 1] == '\r')
		content--;
	if (content > space) {
		content = space;
		result = SCAN_LONG;
	}
	memcpy(line + *length, from, content);
	*length += content;
	stream->in_at += result == SCAN_LINE ? (size_t)(end - from) + 1 : content;
	return result;
}

enum stream_status
stream_read_line(struct stream *stream, char *line, size_t room, size_t *length,
    struct deadline deadline)
{
	enum stream_status status = STREAM_OK;
	enum scan scan;

	*length = 0;
	while ((scan = take_line(stream, line, room - 1, length)) == SCAN_MORE) {
		status = fill(stream, deadline);
		if (status != STREAM_OK)
			break;
	}
	line[*length] = '\0';
	return scan == SCAN_LONG ? STREAM_LONG : status;
}

enum stream_status
stream_read(struct stream *stream, void *octets, size_t room, size_t *got, struct deadline deadline)
{
	enum stream_status status;
	const char *from;

	status = stream_peek(stream, &from, got, deadline);
	if (status != STREAM_OK)
		return status;
	if (*got > room)
		*got = room;
	memcpy(octets, from, *got);
	stream_skip(stream, *got);
	return STREAM_OK;
}

enum stream_status
stream_peek(struct stream *stream, const char **octets, size_t *length, struct deadline deadline)
{
	enum stream_status status = STREAM_OK;

	if (stream->in_at == stream->in_end)
		status = fill(stream, deadline);
	*octets = stream->in + stream->in_at;
	*length = stream->in_end - stream->in_at;
	return status;
}

void
stream_skip(struct stream *stream, size_t length)
{
	size_t unread = stream->in_end - stream->in_at;

	stream->in_at += length < unread ? length : unread;
}

/* Octets that have not reached the other side yet. */
static int
queued(const struct stream *stream)
{
	int octets = 0;

	return ioctl(stream->fd, SIOCOUTQ, &octets) == 0 ? octets : 0;
}

/* As settle(). The system calls a socket writable when a good part of its queue is free, which
 * takes a slow line long: what left the queue until *step is progress too, and *step moves on. */
static enum stream_status
settle_write(struct stream *stream, ssize_t moved, struct deadline *step, struct deadline deadline,
    int64_t progress_ms)
{
	int before = progress_ms > 0 ? queued(stream) : 0;
	enum stream_status status = settle(stream, moved, *step);

	if (status != STREAM_TIMEOUT || progress_ms <= 0 || queued(stream) >= before)
		return status;
	*step = deadline_earlier(deadline, deadline_in(progress_ms));
	return STREAM_OK;
}

/* Sends all of it. *sent tells how far it came, for what must be kept when it fails. */
static enum stream_status
send_all(struct stream *stream, const char *octets, size_t length, size_t *sent,
    struct deadline deadline, int64_t progress_ms)
{
	enum stream_status status = STREAM_OK;
	struct deadline step = deadline;
	ssize_t moved = 1;

	*sent = 0;
	while (*sent < length && status == STREAM_OK) {
		if (moved > 0 && progress_ms > 0)
			step = deadline_earlier(deadline, deadline_in(progress_ms));
		if (deadline_passed(step)) {
			status = STREAM_TIMEOUT;
			break;
		}
		errno = 0;
		moved = stream->ops->write(stream->io, octets + *sent, length - *sent, step);
		if (moved > 0)
			*sent += (size_t)moved;
		else
			status = settle_write(stream, moved, &step, deadline, progress_ms);
	}
	stream->sent += *sent;
	return status;
}

static enum stream_status
send_out(struct stream *stream, struct deadline deadline, int64_t progress_ms)
{
	enum stream_status status;
	size_t sent;

	status = send_all(stream, stream->out, stream->out_length, &sent, deadline, progress_ms);
	stream->out_length -= sent;
	memmove(stream->out, stream->out + sent, stream->out_length);
	return status;
}

enum stream_status
stream_write(struct stream *stream, const void *octets, size_t length, struct deadline deadline,
    int64_t progress_ms)
{
	const char *from = octets;
	enum stream_status status;
	size_t part;

	while (length > BUFFER_ROOM - stream->out_length) {
		if (stream->out_length == 0)
			return send_all(stream, from, length, &part, deadline, progress_ms);
		part = BUFFER_ROOM - stream->out_length;
		memcpy(stream->out + stream->out_length, from, part);
		stream->out_length += part;
		from += part;
		length -= part;
		status = send_out(stream, deadline, progress_ms);
		if (status != STREAM_OK)
			return status;
	}
	if (length > 0)
		memcpy(stream->out + stream->out_length, from, length);
	stream->out_length += length;
	return STREAM_OK;
}

enum stream_status
stream_printf(struct stream *stream, struct deadline deadline, const char *format, ...)
{
	enum stream_status status;
	struct buf text = { 0 };
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	status = stream_write(stream, text.data, text.length, deadline, 0);
	buf_free(&text);
	return status;
}

enum stream_status
stream_flush(struct stream *stream, struct deadline deadline)
{
	return send_out(stream, deadline, 0);
}

enum stream_status
stream_flush_slowly(struct stream *stream, struct deadline deadline, int64_t progress_ms)
{
	return send_out(stream, deadline, progress_ms);
}

uint64_t
stream_sent(const struct stream *stream)
{
	return stream->sent;
}

bool
stream_has_input(const struct stream *stream)
{
	return stream->in_at < stream->in_end || stream->ops->pending(stream->io);
}

/* With TLS what makes the descriptor readable need not be for us: a session ticket is not. */
bool
stream_look(struct stream *stream, struct deadline deadline)
{
	struct pollfd state = { .fd = stream->fd, .events = POLLIN };
	ssize_t got;

	if (stream_has_input(stream))
		return true;
	if (poll(&state, 1, 0) <= 0)
		return false;
	got = stream->ops->read(stream->io, stream->in, BUFFER_ROOM, deadline);
	stream->in_at = 0;
	stream->in_end = got > 0 ? (size_t)got : 0;
	stream->more = got == BUFFER_ROOM;
	return got > 0;
}

bool
stream_peer_gone(struct stream *stream)
{
	struct pollfd state = { .fd = stream->fd, .events = POLLIN | POLLRDHUP };
	int count;
	char octet;

	do {
		count = poll(&state, 1, 0);
	} while (count < 0 && errno == EINTR);
	if (count <= 0)
		return count < 0;
	if ((state.revents & (POLLERR | POLLHUP | POLLNVAL | POLLRDHUP)) != 0)
		return true;
	/* Not every kind of socket says POLLRDHUP: there the end is a readable nothing. */
	return recv(stream->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

int
stream_error(const struct stream *stream)
{
	return stream->error;
}
