/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Blocking lines and bytes under an absolute deadline, over a descriptor or TLS.
 * A stream belongs to one thread. Output is collected until stream_flush(), so that a flight of
 * commands leaves in one segment. Reading never flushes by itself.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/deadline.h"
#include "base/wait.h"

enum stream_status {
	STREAM_OK,
	STREAM_END,	/* the peer closed in order */
	STREAM_TIMEOUT,
	STREAM_LOST,	/* reset, or any other error: stream_error() tells */
	STREAM_LONG,	/* a line longer than the buffer offered; the rest of it is still unread */
	STREAM_STOPPED,	/* the watch broke the wait off */
	STREAM_WANTS_IN,	/* of ops alone: nothing moves before the descriptor is readable */
	STREAM_WANTS_OUT	/* or writable */
};
const char *stream_status_name(enum stream_status status);

/* What carries the octets, without ever waiting. A function returns octets moved (> 0) or a
 * negative stream_status: -STREAM_WANTS_IN, -STREAM_WANTS_OUT, -STREAM_END, -STREAM_LOST with
 * errno. deadline is for what a peer could keep busy for ever. close releases io, but, for TLS, not
 * the descriptor. */
struct stream_ops {
	ssize_t (*read)(void *io, void *octets, size_t room, struct deadline deadline);
	ssize_t (*write)(void *io, const void *octets, size_t length, struct deadline deadline);
	bool (*pending)(void *io);	/* octets read from the network and not yet handed out */
	void (*close)(void *io);
};

struct stream;

struct stream *stream_new_fd(int fd);	/* takes a connected socket, makes it non-blocking */
/* Closes what it carries; unflushed output is dropped. NULL is allowed. */
void stream_free(struct stream *stream);
int stream_fd(const struct stream *stream);
/* From here on every wait asks it; it must outlive the stream or the next call. NULL: none does. */
void stream_watch(struct stream *stream, const struct watch *watch);

/* From here on octets move through ops. Refused (-1) while unread input or unflushed output is
 * there: octets sent in plaintext must never be taken for protected ones (RFC 3207 6). */
int stream_upgrade(struct stream *stream, const struct stream_ops *ops, void *io);
/* What stream_upgrade() was given with these ops; NULL: octets move in another way. */
void *stream_io(const struct stream *stream, const struct stream_ops *ops);

/* One line into line[room], NUL-terminated, without its end. CRLF or a bare LF ends a line;
 * *length counts octets, NULs included. */
enum stream_status stream_read_line(struct stream *stream, char *line, size_t room, size_t *length,
    struct deadline deadline);
/* Some octets, at least one: whatever is there, up to room. */
enum stream_status stream_read(struct stream *stream, void *octets, size_t room, size_t *got,
    struct deadline deadline);
/* Looks at what is buffered, reading once when nothing is; valid until the next read. Consume with
 * stream_skip(). */
enum stream_status stream_peek(struct stream *stream, const char **octets, size_t *length,
    struct deadline deadline);
void stream_skip(struct stream *stream, size_t length);

/* Collects; sends by itself only when the buffer is full, and what is larger than that without
 * collecting it. After a failure it is not known how much was sent. progress_ms bounds, when
 * positive, how long not an octet gets through to the other side's system, within the deadline. */
enum stream_status stream_write(struct stream *stream, const void *octets, size_t length,
    struct deadline deadline, int64_t progress_ms);
enum stream_status stream_printf(struct stream *stream, struct deadline deadline,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
enum stream_status stream_flush(struct stream *stream, struct deadline deadline);
enum stream_status stream_flush_slowly(struct stream *stream, struct deadline deadline,
    int64_t progress_ms);	/* with progress_ms as above */

uint64_t stream_sent(const struct stream *stream);	/* octets that have left so far */
bool stream_has_input(const struct stream *stream);	/* unread octets are buffered */
/* The same after a look at what has come by now; never waits. */
bool stream_look(struct stream *stream, struct deadline deadline);
bool stream_peer_gone(struct stream *stream);	/* the peer has closed or reset; never blocks */
int stream_error(const struct stream *stream);	/* errno of the last STREAM_LOST, or 0 */

/* The descriptor's own table, for those that wrap it. io is the descriptor cast by intptr_t. */
extern const struct stream_ops stream_fd_ops;

#endif
