/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/deadline.h"
#include "base/limits.h"
#include "base/thread.h"
#include "shim/control/control_clients.h"

#define THREAD_STACK	(64 * 1024)

struct control_client {
	int fd;
	int64_t uid;
	bool busy;
	bool sent_away;	/* shut down, and soon to leave */
	struct deadline until;	/* by which it must have done something */
	struct control_client *before, *after;
};

struct control_clients {
	int64_t idle_ms, answer_ms;
	pthread_t thread;	/* closes those that have timed out */
	pthread_mutex_t lock;
	pthread_cond_t sooner;	/* something may have to be closed sooner than the thread thinks */
	bool ending;
	struct deadline next;	/* what the thread waits for, while there are connections */
	struct control_client *first, *last;	/* in the order in which they last did something */
};

static void
send_away(struct control_client *client)
{
	client->sent_away = true;
	(void)shutdown(client->fd, SHUT_RDWR);
}

/* Closes connections that have timed out; returns the time of the next one. */
static struct deadline
close_late(struct control_clients *clients)
{
	struct deadline next = deadline_in(clients->answer_ms);
	struct control_client *at;

	for (at = clients->first; at != NULL; at = at->after) {
		if (at->sent_away)
			continue;
		if (deadline_passed(at->until))
			send_away(at);
		else
			next = deadline_earlier(next, at->until);
	}
	return next;
}

static void *
watch(void *context)
{
	struct control_clients *clients = context;
	struct timespec until;

	(void)pthread_mutex_lock(&clients->lock);
	while (!clients->ending) {
		clients->next = close_late(clients);
		until = deadline_timespec(clients->next);
		(void)pthread_cond_timedwait(&clients->sooner, &clients->lock, &until);
	}
	(void)pthread_mutex_unlock(&clients->lock);
	return NULL;
}

struct control_clients *
control_clients_new(int64_t idle_ms, int64_t answer_ms)
{
	struct control_clients *clients = xcalloc(1, sizeof(*clients));

	clients->idle_ms = idle_ms;
	clients->answer_ms = answer_ms;
	clients->next = deadline_in(answer_ms);
	(void)pthread_mutex_init(&clients->lock, NULL);
	thread_condition(&clients->sooner);
	if (thread_start(&clients->thread, THREAD_STACK, watch, clients) != 0) {
		(void)pthread_cond_destroy(&clients->sooner);
		(void)pthread_mutex_destroy(&clients->lock);
		free(clients);
		return NULL;
	}
	return clients;
}

void
control_clients_free(struct control_clients *clients)
{
	(void)pthread_mutex_lock(&clients->lock);
	clients->ending = true;
	(void)pthread_cond_signal(&clients->sooner);
	(void)pthread_mutex_unlock(&clients->lock);
	(void)pthread_join(clients->thread, NULL);
	(void)pthread_cond_destroy(&clients->sooner);
	(void)pthread_mutex_destroy(&clients->lock);
	free(clients);
}

static void
append(struct control_clients *clients, struct control_client *client)
{
	client->before = clients->last;
	client->after = NULL;
	if (clients->last != NULL)
		clients->last->after = client;
	else
		clients->first = client;
	clients->last = client;
}

static void
take_out(struct control_clients *clients, struct control_client *client)
{
	if (client->before != NULL)
		client->before->after = client->after;
	else
		clients->first = client->after;
	if (client->after != NULL)
		client->after->before = client->before;
	else
		clients->last = client->before;
}

/* It has just done something. */
static void
note(struct control_clients *clients, struct control_client *client)
{
	append(clients, client);
	client->until = deadline_in(client->busy ? clients->answer_ms : clients->idle_ms);
	if (client->until.at_ms < clients->next.at_ms)
		(void)pthread_cond_signal(&clients->sooner);
}

/* The connection to close in favour of the newest, at the end of the list; NULL: none. */
static struct control_client *
choose(const struct control_clients *clients)
{
	const struct control_client *newcomer = clients->last;
	struct control_client *silent = NULL, *own = NULL, *at;
	unsigned count = 0, of_one = 0;

	for (at = clients->first; at != NULL; at = at->after) {
		if (at->sent_away)
			continue;
		count++;
		of_one += at->uid == newcomer->uid;
		if (at->busy)
			continue;
		if (silent == NULL)
			silent = at;
		if (own == NULL && at->uid == newcomer->uid)
			own = at;
	}
	if (of_one > LIMIT_CONTROL_OF_ONE)
		return own;
	return count > LIMIT_CONTROL_CLIENTS ? silent : NULL;
}

struct control_client *
control_clients_enter(struct control_clients *clients, int fd, int64_t uid)
{
	struct control_client *client = xcalloc(1, sizeof(*client)), *leaving;

	client->fd = fd;
	client->uid = uid;
	(void)pthread_mutex_lock(&clients->lock);
	note(clients, client);
	leaving = choose(clients);
	if (leaving != NULL)
		send_away(leaving);
	(void)pthread_mutex_unlock(&clients->lock);
	return client;
}

void
control_clients_set_busy(struct control_clients *clients, struct control_client *client, bool busy)
{
	(void)pthread_mutex_lock(&clients->lock);
	client->busy = busy;
	take_out(clients, client);
	note(clients, client);
	(void)pthread_mutex_unlock(&clients->lock);
}

void
control_clients_move(struct control_clients *clients, struct control_client *client)
{
	(void)pthread_mutex_lock(&clients->lock);
	take_out(clients, client);
	note(clients, client);
	(void)pthread_mutex_unlock(&clients->lock);
}

void
control_clients_leave(struct control_clients *clients, struct control_client *client)
{
	(void)pthread_mutex_lock(&clients->lock);
	take_out(clients, client);
	(void)pthread_mutex_unlock(&clients->lock);
	free(client);
}
