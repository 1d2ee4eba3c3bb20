/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/limits.h"
#include "shim/control.h"
#include "shim/control_cache.h"
#include "shim/control_check.h"
#include "shim/control_policy.h"
#include "shim/control_stats.h"
#include "shim/control_stream.h"
#include "shim/control_visitors.h"

#define IDLE_TIMEOUT_S	10
#define ANSWER_TIMEOUT_S	(40 * 60)	/* more than any answer takes */
#define LEAVING_MAX	32	/* connections that were shut down and are not closed yet */
#define THREAD_STACK	(512 * 1024)
#define CONNECTION_MEMORY	(16 * 1024)
#define STREAM_BLOCK	4096
#define PAGE_DEFAULT	1000
#define PAGE_MAX	10000
#define NAME_MAX_PATH	512	/* even cut to that it is no name */

struct listener {
	struct control *control;
	struct MHD_Daemon *daemon;
	struct visitors *visitors;
	int socket;
	bool tcp;
	struct listener *next;
};

struct control {
	struct control_context context;
	struct listener *listeners;
	atomic_bool stopping;
};

struct request {
	const struct gatherer *gatherer;
	const struct deliver_context *deliver;
	const struct control_tlsrpt *tlsrpt;
	struct MHD_Connection *connection;
	char domain[NAME_MAX_PATH];	/* as it stands in the path, cut when too long */
	bool tcp;
	bool may_omit_host;	/* HTTP/1.0 */
	int64_t uid;	/* of the peer, -1 when unknown */
	const struct upload *upload;
	const atomic_bool *stopping;
};

/* What came with a request; from its header to its end. */
struct upload {
	struct buf body;
	bool wanted;	/* the path takes a body */
	bool too_large;
};

static void
show_policy(const struct request *request, struct control_answer *answer)
{
	control_show_policy(request->gatherer, request->domain, answer);
}

static int
socket_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info == NULL ? -1 : info->connect_fd;
}

/* Has the client hung up, or are we to stop? */
static bool
is_gone(void *context)
{
	const struct request *request = context;

	return *request->stopping || control_peer_is_gone(socket_of(request->connection));
}

static const char *
argument(const struct request *request, const char *name)
{
	return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static void
check(const struct request *request, struct control_answer *answer)
{
	if (argument(request, "stream") != NULL)
		control_check_stream(request->deliver, request->domain,
		    argument(request, "doing") != NULL, request->stopping, answer);
	else
		control_check(request->deliver, request->domain, is_gone,
		    (void *)(uintptr_t)request, answer);
}

static void
list_cache(const struct request *request, struct control_answer *answer)
{
	const char *after = argument(request, "after"), *limit = argument(request, "limit");
	struct domain domain = { "" };
	unsigned long wanted = PAGE_DEFAULT;
	char *end;

	if (limit != NULL) {
		wanted = strtoul(limit, &end, 10);
		if (limit[0] < '1' || limit[0] > '9' || *end != '\0' || wanted > PAGE_MAX) {
			control_refuse(answer, 400, "limit must be 1 to 10000");
			return;
		}
	}
	if (after == NULL || after[0] == '\0' || control_domain(after, &domain, answer) == 0)
		control_list_cache(request->gatherer, domain.name, (unsigned)wanted, answer);
}

static void
show_entry(const struct request *request, struct control_answer *answer)
{
	control_show_entry(request->gatherer, request->domain, answer);
}

static void
refresh(const struct request *request, struct control_answer *answer)
{
	control_refresh(request->gatherer, request->domain, request->uid, answer);
}

static void
forget(const struct request *request, struct control_answer *answer)
{
	control_forget(request->gatherer, request->domain, request->uid, answer);
}

static void
import(const struct request *request, struct control_answer *answer)
{
	if (request->upload->too_large)
		control_refuse(answer, 413, "the request is too large");
	else
		control_import(request->gatherer, buf_text(&request->upload->body),
		    request->upload->body.length, request->uid, answer);
}

static void
health(const struct request *request, struct control_answer *answer)
{
	control_health(request->gatherer, answer);
}

static void
metrics(const struct request *request, struct control_answer *answer)
{
	control_metrics(request->gatherer, answer);
}

static void
stats(const struct request *request, struct control_answer *answer)
{
	control_stats(request->gatherer, answer);
}

static struct control_tlsrpt_query
tlsrpt_query(const struct request *request)
{
	return (struct control_tlsrpt_query){ .conf = request->gatherer->conf,
		.path = request->domain,
		.domain = argument(request, "domain"), .after = argument(request, "after"),
		.limit = PAGE_DEFAULT, .status = argument(request, "status") != NULL,
		.sendable = argument(request, "sendable") != NULL,
		.force = argument(request, "force") != NULL, .is_gone = is_gone,
		.context = (void *)(uintptr_t)request, .uid = request->uid };
}

static void
show_tlsrpt(const struct request *request, struct control_answer *answer)
{
	const struct control_tlsrpt_query query = tlsrpt_query(request);

	control_tlsrpt_show(request->tlsrpt, &query, answer);
}

static void
list_tlsrpt(const struct request *request, struct control_answer *answer)
{
	control_tlsrpt_days(request->tlsrpt, answer);
}

static void
send_tlsrpt(const struct request *request, struct control_answer *answer)
{
	const struct control_tlsrpt_query query = tlsrpt_query(request);

	control_tlsrpt_send(request->tlsrpt, &query, answer);
}

/* What a path means: its prefix, whether a domain follows, and who answers which method. */
static const struct route {
	const char *before, *after;	/* of the domain; after NULL: the path has none */
	const char *method;
	void (*serve)(const struct request *request, struct control_answer *answer);
	bool over_tcp;	/* tells nothing about policies and changes nothing */
	bool body;	/* takes one */
	bool deep;	/* a slash may stand in what follows */
} routes[] = {
	{ "/v1/policy/", "", "GET", show_policy, false, false, false },
	{ "/v1/check/", "", "GET", check, false, false, false },
	{ "/v1/cache", NULL, "GET", list_cache, false, false, false },
	{ "/v1/cache", NULL, "POST", import, false, true, false },
	{ "/v1/cache/", "/refresh", "POST", refresh, false, false, false },
	{ "/v1/cache/", "", "GET", show_entry, false, false, false },
	{ "/v1/cache/", "", "DELETE", forget, false, false, false },
	{ "/v1/tlsrpt", NULL, "GET", list_tlsrpt, false, false, false },
	{ "/v1/tlsrpt/", "/send", "POST", send_tlsrpt, false, false, false },
	{ "/v1/tlsrpt/", "", "GET", show_tlsrpt, false, false, true },
	{ "/v1/stats", NULL, "GET", stats, false, false, false },
	{ "/metrics", NULL, "GET", metrics, true, false, false },
	{ "/healthz", NULL, "GET", health, true, false, false },
};

static bool
route_matches(const struct route *route, const char *path, struct request *request)
{
	size_t before = strlen(route->before), after, length = strlen(path);

	if (route->after == NULL)
		return strcmp(path, route->before) == 0;
	after = strlen(route->after);
	if (length <= before + after || strncmp(path, route->before, before) != 0 ||
	    strcmp(path + length - after, route->after) != 0)
		return false;
	length -= before + after;
	if (memchr(path + before, '/', length) != NULL && !route->deep)
		return false;
	if (length >= sizeof(request->domain))
		length = sizeof(request->domain) - 1;
	memcpy(request->domain, path + before, length);
	request->domain[length] = '\0';
	return true;
}

/* A web page that resolves its own name to 127.0.0.1 must not read our metrics. Browsers always
 * name the host; a client of HTTP/1.0 need not. */
static bool
host_is_local(const struct request *request)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]" };
	const char *host = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
	    "Host");

	if (host == NULL)
		return request->may_omit_host;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++) {
		size_t length = strlen(local[i]);

		if (strncmp(host, local[i], length) == 0 &&
		    (host[length] == '\0' || host[length] == ':'))
			return true;
	}
	return false;
}

static void
serve(const struct route *route, const struct request *request, struct control_answer *answer)
{
	if (request->tcp && !host_is_local(request))
		control_refuse(answer, 400, "the Host header names no local address");
	else
		route->serve(request, answer);
}

/* What the first route says that fits a path is what the path means. */
static bool
is_same_path(const struct route *a, const struct route *b)
{
	return strcmp(a->before, b->before) == 0 && (a->after == NULL) == (b->after == NULL) &&
	    (a->after == NULL || strcmp(a->after, b->after) == 0);
}

/* HEAD is a GET, of which libmicrohttpd sends the header alone. */
static bool
takes_method(const struct route *route, const char *method)
{
	return strcmp(strcmp(method, "HEAD") == 0 ? "GET" : method, route->method) == 0;
}

/* NULL when there is none; allow then tells the methods of the path, "" for an unknown path. */
static const struct route *
find_route(const char *method, const char *path, struct request *request, char allow[ALLOW_MAX])
{
	const struct route *first = NULL;
	size_t used = 0;

	allow[0] = '\0';
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];

		if ((request->tcp && !route->over_tcp) || !route_matches(route, path, request) ||
		    (first != NULL && !is_same_path(first, route)))
			continue;
		first = route;
		if (takes_method(route, method))
			return route;
		used += (size_t)snprintf(allow + used, ALLOW_MAX - used, "%s%s",
		    used > 0 ? ", " : "", route->method);
	}
	return NULL;
}

static void
dispatch(const char *method, const char *path, struct request *request,
    struct control_answer *answer)
{
	const struct route *route = find_route(method, path, request, answer->allow);

	if (route != NULL)
		serve(route, request, answer);
	else if (answer->allow[0] != '\0')
		control_refuse(answer, 405, "this path does not take that method");
	else
		control_refuse(answer, 404, "there is nothing at this path");
}

/* By the configuration that is in force now, to the end. */
static void
dispatch_now(const struct control *control, const char *method, const char *path,
    struct request *request, struct control_answer *answer)
{
	struct gatherer gatherer = gatherer_take(&control->context.gatherer);
	struct deliver_context deliver = *control->context.deliver;

	deliver.conf = gatherer.conf;
	deliver.gatherer = gatherer;
	request->gatherer = &gatherer;
	request->deliver = &deliver;
	dispatch(method, path, request, answer);
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

static struct MHD_Response *
make_response(struct MHD_Connection *connection, const struct control_answer *answer)
{
	if (answer->stream != NULL) {
		control_stream_watch(answer->stream, socket_of(connection));
		return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK,
		    read_stream, answer->stream, free_stream);
	}
	if (answer->text == NULL)
		return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_buffer(strlen(answer->text), answer->text,
	    MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result
send_answer(struct MHD_Connection *connection, struct control_answer *answer)
{
	struct MHD_Response *response = make_response(connection, answer);
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

static struct upload *
begin_upload(const char *method, const char *path, struct request *request)
{
	struct upload *upload = xcalloc(1, sizeof(*upload));
	char allow[ALLOW_MAX];
	const struct route *route = find_route(method, path, request, allow);

	upload->wanted = route != NULL && route->body;
	return upload;
}

/* What nobody wants is read and dropped, so that the answer can be read. */
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

/* libmicrohttpd's clock runs on while a question is being answered. */
static void
set_timeout(struct MHD_Connection *connection, unsigned seconds)
{
	(void)MHD_set_connection_option(connection, MHD_CONNECTION_OPTION_TIMEOUT, seconds);
}

static struct visitor *
visitor_of(struct MHD_Connection *connection)
{
	return MHD_get_connection_info(connection,
	    MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void
end_request(void *context, struct MHD_Connection *connection, void **state,
    enum MHD_RequestTerminationCode how)
{
	const struct listener *listener = context;
	struct upload *upload = *state;

	(void)how;
	visitors_set_busy(listener->visitors, visitor_of(connection), false);
	set_timeout(connection, IDLE_TIMEOUT_S);
	if (upload != NULL)
		buf_free(&upload->body);
	free(upload);
	*state = NULL;
}

/* libmicrohttpd calls this once for the header, then for the body, then to have it answered. */
static enum MHD_Result
handle(void *context, struct MHD_Connection *connection, const char *path, const char *method,
    const char *version, const char *octets, size_t *length, void **state)
{
	const struct listener *listener = context;
	struct control_answer answer = { 0 };
	struct request request = {
		.gatherer = &listener->control->context.gatherer,
		.deliver = listener->control->context.deliver,
		.tlsrpt = &listener->control->context.tlsrpt,
		.connection = connection,
		.tcp = listener->tcp,
		.may_omit_host = strcmp(version, MHD_HTTP_VERSION_1_0) == 0,
		.upload = *state,
		.stopping = &listener->control->stopping,
	};

	if (*state == NULL) {
		*state = begin_upload(method, path, &request);
		return MHD_YES;
	}
	if (*length > 0) {
		take_upload(*state, octets, *length);
		*length = 0;
		return MHD_YES;
	}
	request.uid = listener->tcp ? -1 : peer_uid(connection);
	set_timeout(connection, ANSWER_TIMEOUT_S);
	visitors_set_busy(listener->visitors, visitor_of(connection), true);
	dispatch_now(listener->control, method, path, &request, &answer);
	if (answer.stream == NULL)	/* one has only begun */
		visitors_set_busy(listener->visitors, visitor_of(connection), false);
	return send_answer(connection, &answer);
}

static void
come_or_go(void *context, struct MHD_Connection *connection, void **visitor,
    enum MHD_ConnectionNotificationCode which)
{
	struct listener *listener = context;

	switch (which) {
	case MHD_CONNECTION_NOTIFY_STARTED:
		*visitor = visitors_enter(listener->visitors, socket_of(connection),
		    listener->tcp ? -1 : peer_uid(connection));
		break;
	case MHD_CONNECTION_NOTIFY_CLOSED:
		visitors_leave(listener->visitors, *visitor);
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

int
control_listen(struct control *control, int socket, bool tcp)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));

	listener->control = control;
	listener->socket = socket;
	listener->tcp = tcp;
	listener->visitors = visitors_new();
	listener->daemon = MHD_start_daemon(
	    MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
	    MHD_USE_ITC, 0, NULL, NULL, handle, listener,
	    MHD_OPTION_LISTEN_SOCKET, socket,
	    MHD_OPTION_CONNECTION_LIMIT, (unsigned)(LIMIT_CONTROL_VISITORS + LEAVING_MAX),
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
	    MHD_OPTION_NOTIFY_COMPLETED, end_request, listener,
	    MHD_OPTION_NOTIFY_CONNECTION, come_or_go, listener,
	    MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK,
	    MHD_OPTION_END);
	if (listener->daemon == NULL) {
		close(socket);
		visitors_free(listener->visitors);
		free(listener);
		return -1;
	}
	listener->next = control->listeners;
	control->listeners = listener;
	return 0;
}

static void
listener_free(struct listener *listener)
{
	MHD_stop_daemon(listener->daemon);
	visitors_free(listener->visitors);
	free(listener);
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
	listener_free(listener);
}

void
control_free(struct control *control)
{
	struct listener *listener, *next;

	if (control == NULL)
		return;
	control->stopping = true;
	for (listener = control->listeners; listener != NULL; listener = next) {
		next = listener->next;
		listener_free(listener);
	}
	free(control);
}
