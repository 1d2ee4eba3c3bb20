/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/deadline.h"
#include "base/thread.h"
#include "base/wait.h"
#include "base/worker.h"
#include "shim/control/control_stream.h"

#define WRITER_STACK	(512 * 1024)

struct control_stream {
	void (*run)(void *context, struct control_stream *stream);
	void (*freed)(void *context);
	void *context;
	struct worker *writer;
	int socket;	/* the reader's; -1: not known */
	pthread_mutex_t lock;
	pthread_cond_t changed;	/* guarded by lock, as all below */
	struct buf out;
	size_t at;	/* octets of it that were read */
	bool ended, gone;
};

static void
write_all(void *context)
{
	struct control_stream *stream = context;

	stream->run(stream->context, stream);
	(void)pthread_mutex_lock(&stream->lock);
	stream->ended = true;
	(void)pthread_cond_signal(&stream->changed);
	(void)pthread_mutex_unlock(&stream->lock);
}

struct control_stream *
control_stream_new(void (*run)(void *context, struct control_stream *stream),
    void (*freed)(void *context), void *context)
{
	struct control_stream *stream = xcalloc(1, sizeof(*stream));

	*stream = (struct control_stream){
		.run = run, .freed = freed, .context = context, .socket = -1
	};
	(void)pthread_mutex_init(&stream->lock, NULL);
	thread_condition(&stream->changed);
	stream->writer = worker_start(WRITER_STACK, write_all, stream);
	if (stream->writer != NULL)
		return stream;
	stream->freed = NULL;
	control_stream_free(stream);
	return NULL;
}

void
control_stream_add(struct control_stream *stream, const char *line)
{
	(void)pthread_mutex_lock(&stream->lock);
	buf_add_text(&stream->out, line);
	buf_add_text(&stream->out, "\n");
	(void)pthread_cond_signal(&stream->changed);
	(void)pthread_mutex_unlock(&stream->lock);
}

bool
control_stream_is_gone(struct control_stream *stream)
{
	bool gone;

	(void)pthread_mutex_lock(&stream->lock);
	gone = stream->gone;
	(void)pthread_mutex_unlock(&stream->lock);
	return gone;
}

void
control_stream_watch(struct control_stream *stream, int socket)
{
	stream->socket = socket;
}

bool
control_peer_is_gone(int socket)
{
	struct pollfd state = { .fd = socket };

	return poll(&state, 1, 0) > 0;
}

size_t
control_stream_read(struct control_stream *stream, char *octets, size_t room)
{
	struct timespec until;
	size_t length;

	(void)pthread_mutex_lock(&stream->lock);
	while (stream->at == stream->out.length && !stream->ended && !stream->gone) {
		until = deadline_timespec(deadline_in(WAIT_LOOK_MS));
		(void)pthread_cond_timedwait(&stream->changed, &stream->lock, &until);
		stream->gone = control_peer_is_gone(stream->socket);
	}
	length = stream->out.length - stream->at;
	if (length > room)
		length = room;
	if (length > 0)
		memcpy(octets, buf_text(&stream->out) + stream->at, length);
	stream->at += length;
	(void)pthread_mutex_unlock(&stream->lock);
	return length;
}

void
control_stream_free(struct control_stream *stream)
{
	(void)pthread_mutex_lock(&stream->lock);
	stream->gone = true;
	(void)pthread_mutex_unlock(&stream->lock);
	worker_join(stream->writer);
	if (stream->freed != NULL)
		stream->freed(stream->context);
	buf_free(&stream->out);
	(void)pthread_cond_destroy(&stream->changed);
	(void)pthread_mutex_destroy(&stream->lock);
	free(stream);
}
