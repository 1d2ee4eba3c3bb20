/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * An answer that is sent while it is being produced: lines of JSON, written by a thread of its own
 * and read by the connection's.
 */
#ifndef SHIM_CONTROL_CONTROL_STREAM_H
#define SHIM_CONTROL_CONTROL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct control_stream;

/* run(context, stream) writes it, and is over when it returns; then freed(context). NULL: no thread
 * could be created, and context stays the caller's. */
struct control_stream *control_stream_new(void (*run)(void *context, struct control_stream *stream),
    void (*freed)(void *context), void *context);
/* The writer's: a line without its end. */
void control_stream_add(struct control_stream *stream, const char *line);
bool control_stream_is_gone(struct control_stream *stream);	/* the reader has left */
/* The reader's: the socket it reads for, so that a wait ends soon after its peer has hung up. */
void control_stream_watch(struct control_stream *stream, int socket);
/* The reader's: waits for octets; 0: there will be no more, or the reader has left. */
size_t control_stream_read(struct control_stream *stream, char *octets, size_t room);
void control_stream_free(struct control_stream *stream);	/* waits for the writer */

/* Has whoever is connected hung up? One that has only said all it has to say waits. -1: no. */
bool control_peer_is_gone(int socket);

#endif
