/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "shim/lmtp/lmtp_server.h"
#include "shim/lmtp/lmtp_session.h"

#define SESSION_STACK	(512 * 1024)	/* a TLS handshake is the deepest that happens on it */
#define FULL_EVERY_MS	10000	/* warnings of lmtp.max-sessions, at most */
#define ABANDON_MS	1500	/* for groups to notice that their transaction is abandoned */
#define LAST_WORD_MS	500	/* for sessions to notice that they have the last word */

struct lmtp_server {
	struct lmtp_service service;
	pthread_mutex_t lock;
	struct ip_port {
		struct ip ip;
		in_port_t port;	/* network order */
	} * open;	/* TCP listeners that accept any address */
	size_t open_count;
	unsigned turned_away;	/* since they were last logged */
	int64_t next_warning_ms;
};

static int
ip_port_of(const struct sockaddr_storage *address, struct ip_port *ip_port)
{
	/* The port is at the same place for both families. */
	memcpy(&ip_port->port, (const char *)address + offsetof(struct sockaddr_in, sin_port),
	    sizeof(ip_port->port));
	return ip_from_sockaddr((const struct sockaddr *)address, &ip_port->ip);
}

static bool
is_loopback(const struct sockaddr_storage *address)
{
	struct endpoint endpoint = { .address = *address };

	return endpoint_is_loopback(&endpoint);
}

static bool
is_open(struct lmtp_server *server, const struct ip_port *local)
{
	bool found = false;
	size_t i;

	pthread_mutex_lock(&server->lock);
	for (i = 0; i < server->open_count && !found; i++)
		found = server->open[i].port == local->port &&
		    ip_equal(&server->open[i].ip, &local->ip);
	pthread_mutex_unlock(&server->lock);
	return found;
}

/* Is this connection allowed? text names the client when not. */
static bool
is_allowed(struct lmtp_server *server, const struct conf *conf, int fd, char text[IP_TEXT_MAX])
{
	struct sockaddr_storage local = { 0 }, remote = { 0 };
	socklen_t local_length = sizeof(local), remote_length = sizeof(remote);
	struct ip_port here;
	struct ip peer;

	strcpy(text, "unknown");
	if (getsockname(fd, (struct sockaddr *)&local, &local_length) != 0 ||
	    getpeername(fd, (struct sockaddr *)&remote, &remote_length) != 0)
		return false;
	if (local.ss_family == AF_UNIX)
		return true;
	if (ip_port_of(&local, &here) != 0 ||
	    ip_from_sockaddr((const struct sockaddr *)&remote, &peer) != 0)
		return false;
	ip_format(&peer, text);
	return is_open(server, &here) ||
	    conf_allows(conf->lmtp.allow_from, conf->lmtp.allow_from_count, &peer);
}

/* One line for a client that gets no session. 421, since a 5xx here would bounce mail. */
static void
turn_away(int fd, const char *enhanced, const char *why)
{
	char line[REPLY_LINE_MAX + 3];
	struct reply reply;

	reply_set(&reply, 421, enhanced, "%s", why);
	reply_line(&reply, line);
	strcat(line, "\r\n");
	(void)send(fd, line, strlen(line), MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

static void
serve_by(struct lmtp_server *server, const struct conf *conf, int fd)
{
	char peer[IP_TEXT_MAX];

	if (is_allowed(server, conf, fd, peer)) {
		metrics_count(METRIC_LMTP_SESSIONS, NULL, NULL);
		metrics_add(METRIC_LMTP_SESSIONS_RUNNING, NULL, 1);
		lmtp_session_serve(&server->service, conf, fd);
		metrics_add(METRIC_LMTP_SESSIONS_RUNNING, NULL, -1);
		return;
	}
	metrics_count(METRIC_LMTP_SESSIONS_REFUSED, "address", NULL);
	log_message(LOG_LEVEL_WARNING, "lmtp", "%s is not in lmtp.allow-from", peer);
	turn_away(fd, "4.7.1", "your address is not in lmtp.allow-from");
}

static void
serve(void *context, int fd)
{
	struct lmtp_server *server = context;
	struct conf_now *now = server->service.now;
	const struct conf *conf = now != NULL ? conf_now_take(now) : server->service.conf;

	serve_by(server, conf, fd);
	if (now != NULL)
		conf_now_give(now, conf);
}

/* A flood of connections is no flood of lines. */
static void
warn_full(struct lmtp_server *server)
{
	int64_t now_ms = clock_monotonic_ms();
	unsigned turned_away = 0;

	pthread_mutex_lock(&server->lock);
	server->turned_away++;
	if (now_ms >= server->next_warning_ms) {
		turned_away = server->turned_away;
		server->turned_away = 0;
		server->next_warning_ms = now_ms + FULL_EVERY_MS;
	}
	pthread_mutex_unlock(&server->lock);
	if (turned_away > 0)
		log_message(LOG_LEVEL_WARNING, "lmtp",
		    "connections beyond lmtp.max-sessions:"
		    " %u refused since the last such line",
		    turned_away);
}

static void
turn_away_full(void *context, int fd)
{
	metrics_count(METRIC_LMTP_SESSIONS_REFUSED, "full", NULL);
	warn_full(context);
	turn_away(fd, "4.3.2", "too many sessions (lmtp.max-sessions)");
}

struct lmtp_server *
lmtp_server_new(const struct conf *conf, struct body_spool *spool,
    void (*deliver)(void *context, struct txn *txn, struct group *group), void *context)
{
	struct lmtp_server *server = xcalloc(1, sizeof(*server));

	if (pthread_mutex_init(&server->lock, NULL) != 0)
		abort();
	server->service.conf = conf;
	server->service.spool = spool;
	server->service.deliver = deliver;
	server->service.context = context;
	server->service.wait_ms = LIMIT_LMTP_WAIT_MS;
	server->service.message_ms = LIMIT_LMTP_MESSAGE_MS;
	server->service.pool = session_pool_new(conf->lmtp.max_sessions, SESSION_STACK, serve,
	    turn_away_full, server);
	if (server->service.pool == NULL)
		abort();
	return server;
}

/* Loopback counts as the machine itself; sockets bound elsewhere check allow-from for every
 * peer. */
static void
note_open(struct lmtp_server *server, const struct ip_port *ip_port)
{
	pthread_mutex_lock(&server->lock);
	server->open = xrealloc(server->open, (server->open_count + 1) * sizeof(*server->open));
	server->open[server->open_count++] = *ip_port;
	pthread_mutex_unlock(&server->lock);
}

int
lmtp_server_listen(struct lmtp_server *server, int listener, bool check_allow_from)
{
	struct sockaddr_storage address = { 0 };
	socklen_t length = sizeof(address);
	struct ip_port ip_port;

	if (getsockname(listener, (struct sockaddr *)&address, &length) != 0)
		return -1;
	if ((!check_allow_from || is_loopback(&address)) && ip_port_of(&address, &ip_port) == 0)
		note_open(server, &ip_port);
	return session_pool_listen(server->service.pool, listener);
}

void
lmtp_server_unlisten(struct lmtp_server *server, int listener)
{
	session_pool_unlisten(server->service.pool, listener);
}

void
lmtp_server_follow(struct lmtp_server *server, struct conf_now *now)
{
	server->service.now = now;
}

void
lmtp_server_reload(struct lmtp_server *server, const struct conf *conf)
{
	session_pool_set_max(server->service.pool, conf->lmtp.max_sessions);
}

bool
lmtp_server_drain(struct lmtp_server *server, struct deadline deadline)
{
	server->service.stage = LMTP_DRAINING;
	if (session_pool_drain(server->service.pool, deadline))
		return true;
	server->service.stage = LMTP_ABANDONING;
	return false;
}

void
lmtp_server_cancel(struct lmtp_server *server)
{
	struct lmtp_service *service = &server->service;

	if (session_pool_drain(service->pool, deadline_in(ABANDON_MS)))
		return;
	service->stage = LMTP_LAST_WORD;
	(void)session_pool_drain(service->pool, deadline_in(LAST_WORD_MS));
}

void
lmtp_server_free(struct lmtp_server *server)
{
	if (server == NULL)
		return;
	/* Sessions that still run use it: the process is about to end, and takes it along. */
	if (!session_pool_drain(server->service.pool, deadline_in(0)))
		return;
	session_pool_free(server->service.pool);
	pthread_mutex_destroy(&server->lock);
	free(server->open);
	free(server);
}
