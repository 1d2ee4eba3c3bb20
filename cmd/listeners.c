/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/endpoint.h"
#include "cmd/complain.h"
#include "cmd/listeners.h"

#define LISTEN_BACKLOG	512

/* An open socket; fd is -1 once an engine owns it. */
struct listener {
	const char *section;
	const struct endpoint *endpoint;
	int fd;
	struct listener *next;
};

struct listeners {
	const struct conf *conf;
	struct listener *first;
};

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

static void
complain_of(const struct listeners *listeners, const struct endpoint *endpoint)
{
	if (errno == EADDRINUSE)
		complain(listeners->conf, endpoint->text,
		    "another process is listening there already");
	else
		complain(listeners->conf, endpoint->text, strerror(errno));
}

static int
open_listener(struct listeners *listeners, const struct section *section,
    const struct endpoint *endpoint)
{
	struct listener *listener;
	int fd = section->open(endpoint, section->find(listeners->conf));

	if (fd < 0) {
		complain_of(listeners, endpoint);
		return -1;
	}
	listener = xcalloc(1, sizeof(*listener));
	listener->section = section->name;
	listener->endpoint = endpoint;
	listener->fd = fd;
	listener->next = listeners->first;
	listeners->first = listener;
	return 0;
}

static int
open_section(struct listeners *listeners, const struct section *section)
{
	const struct conf_listener *conf = section->find(listeners->conf);

	for (size_t i = 0; i < conf->count; i++)
		if (open_listener(listeners, section, &conf->listen[i]) != 0)
			return -1;
	return 0;
}

struct listeners *
listeners_open(const struct conf *conf)
{
	struct listeners *listeners = xcalloc(1, sizeof(*listeners));

	listeners->conf = conf;
	for (size_t i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		if (open_section(listeners, &sections[i]) != 0) {
			listeners_close(listeners);
			return NULL;
		}
	return listeners;
}

int
listeners_serve(struct listeners *listeners, const char *section,
    int (*serve)(void *context, int fd, bool tcp), void *context)
{
	struct listener *listener;
	int fd;

	for (listener = listeners->first; listener != NULL; listener = listener->next) {
		if (strcmp(listener->section, section) != 0)
			continue;
		fd = listener->fd;
		listener->fd = -1;
		if (serve(context, fd, !endpoint_is_unix(listener->endpoint)) != 0) {
			complain(listeners->conf, listener->endpoint->text, strerror(errno));
			return -1;
		}
	}
	return 0;
}

void
listeners_close(struct listeners *listeners)
{
	struct listener *listener, *next;

	if (listeners == NULL)
		return;
	for (listener = listeners->first; listener != NULL; listener = next) {
		next = listener->next;
		if (endpoint_is_unix(listener->endpoint))
			unlink(endpoint_path(listener->endpoint));
		if (listener->fd >= 0)
			close(listener->fd);
		free(listener);
	}
	free(listeners);
}
