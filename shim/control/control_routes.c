/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim/control/control_cache.h"
#include "shim/control/control_check.h"
#include "shim/control/control_history.h"
#include "shim/control/control_policy.h"
#include "shim/control/control_routes.h"
#include "shim/control/control_stats.h"
#include "shim/control/control_status.h"
#include "shim/control/control_stream.h"
#include "shim/control/control_why.h"

#define PAGE_DEFAULT	1000
#define PAGE_MAX	10000

static void
show_policy(const struct control_request *request, struct control_answer *answer)
{
	control_show_policy(request->gatherer, request->domain, answer);
}

/* Has the client hung up, or are we to stop? */
static bool
is_gone(void *context)
{
	struct control_request *request = context;

	if (*request->stopping || control_peer_is_gone(request->socket))
		request->broken_off = true;
	return request->broken_off;
}

static bool
on_wait(void *context, const char *what)
{
	(void)what;
	return is_gone(context);
}

static const char *
argument(const struct control_request *request, const char *name)
{
	return request->argument(request->connection, name);
}

static void
check(const struct control_request *request, struct control_answer *answer)
{
	const struct watch watch = { is_gone, (void *)(uintptr_t)request };

	if (argument(request, "inbound") != NULL)
		control_check_inbound(request->deliver, request->domain, &watch, answer);
	else if (argument(request, "stream") != NULL)
		control_check_stream(request->deliver, request->domain,
		    argument(request, "doing") != NULL, request->stopping, answer);
	else
		control_check(request->deliver, request->domain, &watch, answer);
}

static void
list_cache(const struct control_request *request, struct control_answer *answer)
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
show_entry(const struct control_request *request, struct control_answer *answer)
{
	control_show_entry(request->gatherer, request->domain, answer);
}

static void
refresh(const struct control_request *request, struct control_answer *answer)
{
	control_refresh(request->gatherer, request->domain, request->uid, answer);
}

static void
forget(const struct control_request *request, struct control_answer *answer)
{
	control_forget(request->gatherer, request->domain, request->uid, answer);
}

static void
import(const struct control_request *request, struct control_answer *answer)
{
	if (request->body == NULL)
		control_refuse(answer, 413, "the request is too large");
	else
		control_import(request->gatherer, request->body, request->length, request->uid,
		    answer);
}

static void
list_history(const struct control_request *request, struct control_answer *answer)
{
	const struct control_history_query query = { .kind = argument(request, "kind"),
		.domain = argument(request, "domain"),
		.since = argument(request, "since"),
		.after = argument(request, "after"),
		.limit = argument(request, "limit"),
		.chains = argument(request, "chains") };

	control_history(request->deliver->history, &query, answer);
}

static void
why(const struct control_request *request, struct control_answer *answer)
{
	control_why(request->gatherer, request->deliver->history, request->domain, answer);
}

static void
health(const struct control_request *request, struct control_answer *answer)
{
	control_health(request->gatherer, answer);
}

static void
show_status(const struct control_request *request, struct control_answer *answer)
{
	control_status(request->gatherer, answer);
}

static void
metrics(const struct control_request *request, struct control_answer *answer)
{
	control_metrics(request->gatherer, request->accept, answer);
}

static void
stats(const struct control_request *request, struct control_answer *answer)
{
	control_stats(request->gatherer, answer);
}

static struct control_tlsrpt_query
tlsrpt_query(const struct control_request *request)
{
	return (struct control_tlsrpt_query){ .conf = request->gatherer->conf,
		.path = request->domain,
		.domain = argument(request, "domain"),
		.after = argument(request, "after"),
		.limit = PAGE_DEFAULT,
		.status = argument(request, "status") != NULL,
		.sendable = argument(request, "sendable") != NULL,
		.force = argument(request, "force") != NULL,
		.watch = { is_gone, (void *)(uintptr_t)request },
		.uid = request->uid };
}

static void
show_tlsrpt(const struct control_request *request, struct control_answer *answer)
{
	const struct control_tlsrpt_query query = tlsrpt_query(request);

	control_tlsrpt_show(request->tlsrpt, &query, answer);
}

static void
list_tlsrpt(const struct control_request *request, struct control_answer *answer)
{
	control_tlsrpt_days(request->tlsrpt, answer);
}

static void
send_tlsrpt(const struct control_request *request, struct control_answer *answer)
{
	const struct control_tlsrpt_query query = tlsrpt_query(request);

	control_tlsrpt_send(request->tlsrpt, &query, answer);
}

/* What a path means: its prefix, whether a domain follows, and who answers which method. */
static const struct route {
	const char *before, *after;	/* of the domain; after NULL: the path has none */
	const char *method;
	void (*serve)(const struct control_request *request, struct control_answer *answer);
	bool over_tcp;	/* tells nothing about policies and changes nothing */
	bool body;	/* takes one */
	bool deep;	/* the rest may contain a slash */
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
	{ "/v1/history", NULL, "GET", list_history, false, false, false },
	{ "/v1/why/", "", "GET", why, false, false, false },
	{ "/v1/stats", NULL, "GET", stats, false, false, false },
	{ "/v1/status", NULL, "GET", show_status, false, false, false },
	{ "/metrics", NULL, "GET", metrics, true, false, false },
	{ "/healthz", NULL, "GET", health, true, false, false },
};

static bool
route_matches(const struct route *route, struct control_request *request)
{
	const char *path = request->path;
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
	if (length >= sizeof(request->domain))	/* cut it might be another name */
		length = 0;
	memcpy(request->domain, path + before, length);
	request->domain[length] = '\0';
	return true;
}

/* A web page that resolves its own name to 127.0.0.1 must not read our metrics. Browsers always
 * name the host; a client of HTTP/1.0 need not. */
static bool
host_is_local(const struct control_request *request)
{
	static const char *const local[] = { "localhost", "127.0.0.1", "[::1]" };
	const char *host = request->host;

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
serve(const struct route *route, const struct control_request *request,
    struct control_answer *answer)
{
	if (request->tcp && !host_is_local(request))
		control_refuse(answer, 400, "the Host header names no local address");
	else
		route->serve(request, answer);
}

/* Hurried results, after the client has left, are not sent. */
static void
serve_watched(const struct route *route, const struct control_request *request,
    struct control_answer *answer)
{
	struct control_request watched = *request;
	const struct gather_watch watch = { on_wait, &watched };
	struct gatherer gatherer = *request->gatherer;

	gatherer.watch = &watch;
	watched.gatherer = &gatherer;
	serve(route, &watched, answer);
	if (!watched.broken_off)
		return;
	free(answer->text);
	control_refuse(answer, 503,
	    "stsgated is being stopped, or closes this socket: retry "
	    "later");
}

/* The first route that matches a path decides. */
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
find_route(struct control_request *request, char allow[ALLOW_MAX])
{
	const struct route *first = NULL;
	size_t used = 0;

	allow[0] = '\0';
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];

		if ((request->tcp && !route->over_tcp) || !route_matches(route, request) ||
		    (first != NULL && !is_same_path(first, route)))
			continue;
		first = route;
		if (takes_method(route, request->method))
			return route;
		used += (size_t)snprintf(allow + used, ALLOW_MAX - used, "%s%s",
		    used > 0 ? ", " : "", route->method);
	}
	return NULL;
}

bool
control_takes_body(const char *method, const char *path, bool tcp)
{
	struct control_request request = { .method = method, .path = path, .tcp = tcp };
	char allow[ALLOW_MAX];
	const struct route *route = find_route(&request, allow);

	return route != NULL && route->body;
}

void
control_dispatch(struct control_request *request, struct control_answer *answer)
{
	const struct route *route = find_route(request, answer->allow);

	if (route != NULL)
		serve_watched(route, request, answer);
	else if (answer->allow[0] != '\0')
		control_refuse(answer, 405, "this path does not accept that method");
	else
		control_refuse(answer, 404, "unknown path");
}
