/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/endpoint.h"
#include "base/log.h"
#include "cmd/complain.h"
#include "cmd/listeners.h"
#include "cmd/service_manager.h"

#define LISTEN_BACKLOG	512
#define INHERITED_MAX	64

static const struct conf_listener *
lmtp_listener(const struct conf *conf)
{
	return &conf->lmtp.listener;
}

static const struct conf_listener *
policy_map_listener(const struct conf *conf)
{
	return &conf->policy_map.listener;
}

static const struct conf_listener *
control_listener(const struct conf *conf)
{
	return &conf->control.listener;
}

static int
open_stream(const struct endpoint *endpoint, const struct conf_listener *listener)
{
	return endpoint_listen(endpoint, listener->mode, listener->group, LISTEN_BACKLOG);
}

/* Every section with sockets, in the order in which they are opened. */
static const struct section {
	const char *name;
	const struct conf_listener *(*find)(const struct conf *conf);
	int (*open)(const struct endpoint *endpoint, const struct conf_listener *listener);
} sections[] = {
	{ "lmtp", lmtp_listener, open_stream },
	{ "policy-map", policy_map_listener, open_stream },
	{ "control", control_listener, open_stream },
};
#define SECTION_COUNT	(sizeof(sections) / sizeof(sections[0]))

struct listener {
	size_t section;
	struct endpoint endpoint;
	int fd;
	bool inherited;	/* of the service manager, which keeps it when we end */
	bool served;	/* fd is the server's */
	struct listener *next;
};

struct server {
	int (*serve)(void *context, int fd, bool tcp);
	void (*unserve)(void *context, int fd);
	void *context;
};

struct listeners {
	struct listener *first;
	struct server servers[SECTION_COUNT];
};

static struct listener *
add(struct listeners *listeners, size_t section, int fd)
{
	struct listener *listener = xcalloc(1, sizeof(*listener));

	listener->section = section;
	listener->fd = fd;
	listener->next = listeners->first;
	listeners->first = listener;
	return listener;
}

static void
take_out(struct listeners *listeners, struct listener *listener)
{
	struct listener **at = &listeners->first;

	while (*at != listener)
		at = &(*at)->next;
	*at = listener->next;
}

/* A socket that is not what a section needs would fail on every connection. */
static int
inherit(struct listeners *listeners, const struct conf *conf,
    const struct inherited_socket *inherited)
{
	int listening = 0, type = 0;
	socklen_t size = sizeof(int);
	struct listener *listener;
	size_t section = 0;

	while (section < SECTION_COUNT && strcmp(sections[section].name, inherited->name) != 0)
		section++;
	if (section == SECTION_COUNT) {
		complain(conf, inherited->name,
		    "a socket of this name was passed (LISTEN_FDNAMES),"
		    " but FileDescriptorName can only be lmtp, policy-map or control");
		return -1;
	}
	if (getsockopt(inherited->fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
	    getsockopt(inherited->fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || !listening ||
	    type != SOCK_STREAM) {
		complain(conf, inherited->name,
		    "the socket that was passed is not a listening "
		    "stream socket (ListenStream=, Accept=no)");
		return -1;
	}
	listener = add(listeners, section, inherited->fd);
	listener->inherited = true;
	listener->endpoint.length = sizeof(listener->endpoint.address);
	if (getsockname(inherited->fd, (struct sockaddr *)&listener->endpoint.address,
		&listener->endpoint.length) != 0)
		return -1;
	strcpy(listener->endpoint.text, "inherited socket");
	return 0;
}

static bool
is_inherited(const struct listeners *listeners, size_t section)
{
	const struct listener *listener;

	for (listener = listeners->first; listener != NULL; listener = listener->next)
		if (listener->section == section && listener->inherited)
			return true;
	return false;
}

static struct listener *
open_listener(struct listeners *listeners, const struct conf *conf, size_t section, size_t i)
{
	const struct conf_listener *of = sections[section].find(conf);
	struct listener *listener;
	int fd = sections[section].open(&of->listen[i], of);

	if (fd < 0)
		return NULL;
	listener = add(listeners, section, fd);
	listener->endpoint = of->listen[i];
	return listener;
}

static int
open_section(struct listeners *listeners, const struct conf *conf, size_t section)
{
	const struct conf_listener *of = sections[section].find(conf);
	char why[ENDPOINT_REASON_MAX];

	for (size_t i = 0; i < of->count; i++)
		if (open_listener(listeners, conf, section, i) == NULL) {
			complain(conf, of->listen[i].text,
			    endpoint_reason(&of->listen[i], errno, why, sizeof(why)));
			return -1;
		}
	return 0;
}

const struct endpoint *
listeners_without_directory(const struct conf *conf)
{
	for (size_t section = 0; section < SECTION_COUNT; section++) {
		const struct conf_listener *of = sections[section].find(conf);

		for (size_t i = 0; i < of->count; i++)
			if (endpoint_lacks_directory(&of->listen[i]))
				return &of->listen[i];
	}
	return NULL;
}

struct listeners *
listeners_open(const struct conf *conf)
{
	struct listeners *listeners = xcalloc(1, sizeof(*listeners));
	struct inherited_socket inherited[INHERITED_MAX];
	size_t count = service_manager_sockets(inherited, INHERITED_MAX);

	for (size_t i = 0; i < count; i++)
		if (inherit(listeners, conf, &inherited[i]) != 0)
			goto fail;
	for (size_t i = 0; i < SECTION_COUNT; i++)
		if (!is_inherited(listeners, i) && open_section(listeners, conf, i) != 0)
			goto fail;
	return listeners;
fail:
	listeners_close(listeners);
	return NULL;
}

static int
serve(const struct listeners *listeners, struct listener *listener)
{
	const struct server *server = &listeners->servers[listener->section];

	if (server->serve == NULL)
		return 0;
	listener->served = true;
	return server->serve(server->context, listener->fd, !endpoint_is_unix(&listener->endpoint));
}

int
listeners_serve(struct listeners *listeners, const char *section,
    int (*serve_one)(void *context, int fd, bool tcp), void (*unserve)(void *context, int fd),
    void *context)
{
	struct listener *listener;
	size_t i = 0;

	while (strcmp(sections[i].name, section) != 0)
		i++;
	listeners->servers[i] = (struct server){ serve_one, unserve, context };
	for (listener = listeners->first; listener != NULL; listener = listener->next)
		if (listener->section == i && serve(listeners, listener) != 0) {
			log_message(LOG_LEVEL_ERROR, "start", "%s: %s", listener->endpoint.text,
			    strerror(errno));
			return -1;
		}
	return 0;
}

static void
shut(struct listeners *listeners, struct listener *listener)
{
	const struct server *server = &listeners->servers[listener->section];

	take_out(listeners, listener);
	if (endpoint_is_unix(&listener->endpoint) && !listener->inherited)
		unlink(endpoint_path(&listener->endpoint));
	if (listener->served)
		server->unserve(server->context, listener->fd);
	else
		close(listener->fd);
	free(listener);
}

static struct listener *
find(const struct listeners *listeners, size_t section, const struct endpoint *endpoint)
{
	struct listener *listener;

	for (listener = listeners->first; listener != NULL; listener = listener->next)
		if (listener->section == section && endpoint_equal(&listener->endpoint, endpoint))
			break;
	return listener;
}

/* false: something could not be opened. */
static bool
open_more(struct listeners *listeners, const struct conf *conf, size_t section)
{
	const struct conf_listener *of = sections[section].find(conf);
	struct listener *listener;
	char why[ENDPOINT_REASON_MAX];
	bool all = true;

	for (size_t i = 0; i < of->count; i++) {
		if (find(listeners, section, &of->listen[i]) != NULL)
			continue;
		listener = open_listener(listeners, conf, section, i);
		if (listener != NULL && serve(listeners, listener) == 0) {
			log_message(LOG_LEVEL_INFO, "reload", "%s: listening", of->listen[i].text);
			continue;
		}
		log_message(LOG_LEVEL_ERROR, "reload",
		    "%s: %s; %s.listen stays as it was, and "
		    "removed sockets stay open: restart stsgated to change it",
		    of->listen[i].text, endpoint_reason(&of->listen[i], errno, why, sizeof(why)),
		    sections[section].name);
		if (listener != NULL) {
			take_out(listeners, listener);
			free(listener);
		}
		all = false;
	}
	return all;
}

static bool
has(const struct conf_listener *of, const struct endpoint *endpoint)
{
	for (size_t i = 0; i < of->count; i++)
		if (endpoint_equal(&of->listen[i], endpoint))
			return true;
	return false;
}

static void
shut_lost(struct listeners *listeners, const struct conf *conf, size_t section)
{
	struct listener *listener, *next;

	for (listener = listeners->first; listener != NULL; listener = next) {
		next = listener->next;
		if (listener->section != section ||
		    has(sections[section].find(conf), &listener->endpoint))
			continue;
		log_message(LOG_LEVEL_INFO, "reload", "%s: no longer listening",
		    listener->endpoint.text);
		shut(listeners, listener);
	}
}

void
listeners_reload(struct listeners *listeners, const struct conf *conf)
{
	for (size_t i = 0; i < SECTION_COUNT; i++)
		if (!is_inherited(listeners, i) && open_more(listeners, conf, i))
			shut_lost(listeners, conf, i);
}

void
listeners_close(struct listeners *listeners)
{
	struct listener *listener, *next;

	if (listeners == NULL)
		return;
	for (listener = listeners->first; listener != NULL; listener = next) {
		next = listener->next;
		if (endpoint_is_unix(&listener->endpoint) && !listener->inherited)
			unlink(endpoint_path(&listener->endpoint));
		if (!listener->served)
			close(listener->fd);
		free(listener);
	}
	free(listeners);
}
