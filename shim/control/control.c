/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "base/thread.h"
#include "shim/control/control.h"
#include "shim/control/control_clients.h"
#include "shim/control/control_path.h"
#include "shim/control/control_routes.h"
#include "shim/control/control_stream.h"

#define IDLE_MS	10000
#define ANSWER_MS	(40 * 60 * 1000)	/* more than any answer takes */
#define LAST_ANSWERS_MS	2000	/* for those that are being given as a socket is closed */
#define LEAVING_MAX	32	/* connections that were shut down and are not closed yet */
#define THREAD_STACK	(512 * 1024)
#define STREAM_BLOCK	4096
#define TEXT_BLOCK	(32 * 1024)

struct listener {
	struct control *control;
	struct MHD_Daemon *daemon;
	struct control_clients *clients;
	int socket;
	bool tcp;
	atomic_bool stopping;
	pthread_mutex_t lock;
	pthread_cond_t answered;
	unsigned unanswered;	/* requests; guarded by lock */
	struct listener *next;
};

struct control {
	struct control_context context;
	struct listener *listeners;
};

/* The data of a request; from its first line to its end. */
struct upload {
	const char *uri_end;	/* of it as it came; until begun */
	bool begun;	/* its header is here */
	bool unsound;	/* it does not name what it seems to */
	struct buf body;
	bool wanted;	/* the path takes a body */
	bool too_large;
	bool counted;	/* among the unanswered */
};

static void
expect_answer(struct listener *listener, struct upload *upload)
{
	upload->counted = true;
	(void)pthread_mutex_lock(&listener->lock);
	listener->unanswered++;
	(void)pthread_mutex_unlock(&listener->lock);
}

static void
was_answered(struct listener *listener)
{
	(void)pthread_mutex_lock(&listener->lock);
	listener->unanswered--;
	(void)pthread_cond_signal(&listener->answered);
	(void)pthread_mutex_unlock(&listener->lock);
}

static void
await_answers(struct listener *listener, struct deadline deadline)
{
	struct timespec until = deadline_timespec(deadline);

	(void)pthread_mutex_lock(&listener->lock);
	while (listener->unanswered > 0 && !deadline_passed(deadline))
		(void)pthread_cond_timedwait(&listener->answered, &listener->lock, &until);
	(void)pthread_mutex_unlock(&listener->lock);
}

static int
socket_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_CONNECTION_FD);

	return info == NULL ? -1 : info->connect_fd;
}

static struct control_client *
client_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
	    ->socket_context;
}

/* By the configuration that is in force now, to the end. */
static void
dispatch_now(const struct control *control, struct control_request *request,
    struct control_answer *answer)
{
	struct gatherer gatherer = gatherer_take(&control->context.gatherer);
	struct deliver_context deliver = *control->context.deliver;

	deliver.conf = gatherer.conf;
	deliver.gatherer = gatherer;
	request->gatherer = &gatherer;
	request->deliver = &deliver;
	control_dispatch(request, answer);
	gatherer_give(&gatherer);
}

static int64_t
peer_uid(struct MHD_Connection *connection)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	if (getsockopt(socket_of(connection), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 ||
	    peer.pid == 0)
		return -1;
	return (int64_t)peer.uid;
}

static ssize_t
read_stream(void *context, uint64_t at, char *octets, size_t room)
{
	size_t length = control_stream_read(context, octets, room);

	(void)at;
	return length > 0 ? (ssize_t)length : MHD_CONTENT_READER_END_OF_STREAM;
}

static void
free_stream(void *context)
{
	control_stream_free(context);
}

/* A whole answer, of which a block is taken whenever the peer has read the one before. */
struct text {
	struct control_clients *clients;
	struct control_client *client;
	char *octets;
	size_t length;
};

static ssize_t
read_text(void *context, uint64_t at, char *octets, size_t room)
{
	const struct text *text = context;
	size_t length = text->length - (size_t)at;

	control_clients_move(text->clients, text->client);
	if (length > room)
		length = room;
	memcpy(octets, text->octets + at, length);
	return (ssize_t)length;
}

static void
free_text(void *context)
{
	struct text *text = context;

	free(text->octets);
	free(text);
}

static struct MHD_Response *
make_text_response(const struct listener *listener, struct MHD_Connection *connection, char *octets)
{
	struct text *text = xcalloc(1, sizeof(*text));
	struct MHD_Response *response;

	*text = (struct text){ listener->clients, client_of(connection), octets, strlen(octets) };
	response = MHD_create_response_from_callback(text->length, TEXT_BLOCK, read_text, text,
	    free_text);
	if (response == NULL)
		free(text);
	return response;
}

static struct MHD_Response *
make_response(const struct listener *listener, struct MHD_Connection *connection,
    const struct control_answer *answer)
{
	if (answer->stream != NULL) {
		control_stream_watch(answer->stream, socket_of(connection));
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
		    read_stream, answer->stream, free_stream);
	}
	if (answer->text == NULL)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	return make_text_response(listener, connection, answer->text);
}

static enum MHD_Result
send_answer(const struct listener *listener, struct MHD_Connection *connection,
    struct control_answer *answer)
{
	struct MHD_Response *response = make_response(listener, connection, answer);
	enum MHD_Result sent;

	if (response == NULL) {
		if (answer->stream != NULL)
			control_stream_free(answer->stream);
		free(answer->text);
		return MHD_NO;
	}
	if (answer->text != NULL || answer->stream != NULL)
		MHD_add_response_header(response, "Content-Type",
		    answer->type == NULL ? "application/json" : answer->type);
	if (answer->status == 405)
		/* RFC 9110 15.5.6 */
		MHD_add_response_header(response, "Allow", answer->allow);
	sent = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return sent;
}

/* Before libmicrohttpd decodes it. */
static void *
take_uri(void *context, const char *uri, struct MHD_Connection *connection)
{
	struct upload *upload = xcalloc(1, sizeof(*upload));

	(void)context;
	(void)connection;
	upload->uri_end = uri + strlen(uri);
	upload->unsound = !control_path_is_sound(uri);
	return upload;
}

static void
begin_upload(struct upload *upload, const char *method, const char *path, const char *version,
    bool tcp)
{
	upload->begun = true;
	if (!upload->unsound)
		upload->unsound = control_path_is_cut(upload->uri_end, version);
	upload->wanted = control_takes_body(method, path, tcp);
}

/* An unused body is read and dropped, so that the client reads the answer. */
static void
take_upload(struct upload *upload, const char *octets, size_t length)
{
	if (!upload->wanted || upload->too_large)
		return;
	upload->too_large = length > LIMIT_CONTROL_BODY - upload->body.length;
	if (upload->too_large)
		buf_free(&upload->body);
	else
		buf_add(&upload->body, octets, length);
}

static void
end_request(void *context, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode how)
{
	struct listener *listener = context;
	struct upload *upload = *state;

	(void)how;
	control_clients_set_busy(listener->clients, client_of(connection), false);
	if (upload != NULL) {
		buf_free(&upload->body);
		if (upload->counted)
			was_answered(listener);
	}
	free(upload);
	*state = NULL;
}

static const char *
argument(void *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, name);
}

static void
answer_request(const struct listener *listener, struct control_request *request,
    struct control_answer *answer)
{
	struct MHD_Connection *connection = request->connection;

	request->argument = argument;
	request->tlsrpt = &listener->control->context.tlsrpt;
	request->stopping = &listener->stopping;
	request->host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
	request->accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
	request->tcp = listener->tcp;
	request->socket = socket_of(connection);
	request->uid = listener->tcp ? -1 : peer_uid(connection);
	control_clients_set_busy(listener->clients, client_of(connection), true);
	dispatch_now(listener->control, request, answer);
	if (answer->stream == NULL)	/* one has only begun */
		control_clients_set_busy(listener->clients, client_of(connection), false);
}

/* libmicrohttpd calls this once for the header, then for the body, then to have it answered. */
static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
    const char *version, const char *octets, size_t *length, void **state)
{
	struct listener *listener = context;
	struct upload *upload = *state;
	struct control_answer answer = { 0 };
	struct control_request request = {
		.method = method, .path = path, .connection = connection
	};

	if (!upload->begun) {
		begin_upload(upload, method, path, version, listener->tcp);
		return MHD_YES;
	}
	if (*length > 0) {
		control_clients_move(listener->clients, client_of(connection));
		take_upload(upload, octets, *length);
		*length = 0;
		return MHD_YES;
	}
	request.may_omit_host = strcmp(version, MHD_HTTP_VERSION_1_0) == 0;
	request.body = upload->too_large ? NULL : buf_text(&upload->body);
	request.length = upload->body.length;
	expect_answer(listener, upload);
	if (upload->unsound)
		control_refuse(&answer, 400,
		    "the path holds a NUL, a control character, an escaped"
		    " slash or an invalid escape");
	else
		answer_request(listener, &request, &answer);
	return send_answer(listener, connection, &answer);
}

static void
come_or_go(void *context, struct MHD_Connection *connection, void **client,
    enum MHD_ConnectionNotificationCode which)
{
	struct listener *listener = context;

	switch (which) {
	case MHD_CONNECTION_NOTIFY_STARTED:
		*client = control_clients_enter(listener->clients, socket_of(connection),
		    listener->tcp ? -1 : peer_uid(connection));
		break;
	case MHD_CONNECTION_NOTIFY_CLOSED:
		control_clients_leave(listener->clients, *client);
		break;
	}
}

struct control *
control_new(const struct control_context *context)
{
	struct control *control = xcalloc(1, sizeof(*control));

	control->context = *context;
	return control;
}

static void
listener_free(struct listener *listener)
{
	control_clients_free(listener->clients);
	(void)pthread_cond_destroy(&listener->answered);
	(void)pthread_mutex_destroy(&listener->lock);
	free(listener);
}

/* libmicrohttpd no longer answers waiting clients. */
static void
listener_close(struct listener *listener, struct deadline deadline)
{
	listener->stopping = true;
	await_answers(listener, deadline);
	MHD_stop_daemon(listener->daemon);
	listener_free(listener);
}

int
control_listen(struct control *control, int socket, bool tcp)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));

	listener->control = control;
	listener->socket = socket;
	listener->tcp = tcp;
	listener->clients = control_clients_new(IDLE_MS, ANSWER_MS);
	if (listener->clients == NULL) {
		close(socket);
		free(listener);
		return -1;
	}
	(void)pthread_mutex_init(&listener->lock, NULL);
	thread_condition(&listener->answered);
	listener->daemon = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION |
		MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC,
	    0, NULL, NULL, handle, listener, MHD_OPTION_LISTEN_SOCKET, socket,
	    MHD_OPTION_URI_LOG_CALLBACK, take_uri, NULL, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)(LIMIT_CONTROL_CLIENTS + LEAVING_MAX), MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	    (size_t)LIMIT_CONTROL_HEADER, MHD_OPTION_NOTIFY_COMPLETED, end_request, listener,
	    MHD_OPTION_NOTIFY_CONNECTION, come_or_go, listener, MHD_OPTION_THREAD_STACK_SIZE,
	    (size_t)THREAD_STACK, MHD_OPTION_END);
	if (listener->daemon == NULL) {
		close(socket);
		listener_free(listener);
		return -1;
	}
	listener->next = control->listeners;
	control->listeners = listener;
	return 0;
}

void
control_unlisten(struct control *control, int socket)
{
	struct listener **at = &control->listeners, *listener;

	while ((listener = *at) != NULL && listener->socket != socket)
		at = &listener->next;
	if (listener == NULL)
		return;
	*at = listener->next;
	listener_close(listener, deadline_in(LAST_ANSWERS_MS));
}

void
control_free(struct control *control)
{
	struct deadline deadline = deadline_in(LAST_ANSWERS_MS);
	struct listener *listener, *next;

	if (control == NULL)
		return;
	for (listener = control->listeners; listener != NULL; listener = listener->next)
		listener->stopping = true;
	for (listener = control->listeners; listener != NULL; listener = next) {
		next = listener->next;
		listener_close(listener, deadline);
	}
	free(control);
}
