/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/descriptors.h"
#include "base/log.h"
#include "base/session.h"
#include "base/thread.h"

#define ACCEPTOR_STACK	(256 * 1024)
#define PAUSE_MS	200	/* between tries to accept when descriptors have run out */

struct session {
	struct session_pool *pool;
	struct session *next, *previous;
	int fd;	/* for serve, which closes it */
	int watched;	/* the pool's duplicate, as fd's number may be another's by now; or -1 */
	pthread_t thread;	/* whose it is, once started */
	bool started, busy;
};

struct acceptor {
	struct session_pool *pool;
	int listener;
	_Atomic bool closing;
	bool failing;	/* accept() has not worked since it was last logged */
	struct acceptor *next, **at;	/* under the pool's lock */
};

struct session_pool {
	size_t stack_octets;
	_Atomic size_t max;
	void (*serve)(void *context, int fd);
	void (*full)(void *context, int fd);
	void *context;
	int wake;	/* readable for ever once draining */

	pthread_mutex_t lock;	/* for all below */
	pthread_cond_t ended;	/* a session or an acceptor */
	struct session *sessions;
	struct acceptor *acceptors;
	_Atomic size_t running;	/* changed under lock, read without */
	_Atomic bool draining;
};

struct session_pool *
session_pool_new(size_t max, size_t stack_octets, void (*serve)(void *context, int fd),
    void (*full)(void *context, int fd), void *context)
{
	struct session_pool *pool;
	int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (wake < 0)
		return NULL;
	pool = xcalloc(1, sizeof(*pool));
	*pool = (struct session_pool){ .max = max,
		.stack_octets = stack_octets,
		.serve = serve,
		.full = full,
		.context = context,
		.wake = wake };
	pthread_mutex_init(&pool->lock, NULL);
	thread_condition(&pool->ended);
	return pool;
}

/* Called with the lock held. */
static void
session_link(struct session_pool *pool, struct session *session)
{
	session->next = pool->sessions;
	if (session->next != NULL)
		session->next->previous = session;
	pool->sessions = session;
	pool->running++;
	/* Without a descriptor for it the session is only not woken by drain. */
	session->watched = fcntl(session->fd, F_DUPFD_CLOEXEC, 0);
}

static void
session_end(struct session *session)
{
	struct session_pool *pool = session->pool;

	pthread_mutex_lock(&pool->lock);
	if (session->previous != NULL)
		session->previous->next = session->next;
	else
		pool->sessions = session->next;
	if (session->next != NULL)
		session->next->previous = session->previous;
	if (session->watched >= 0)
		close(session->watched);
	free(session);
	pool->running--;
	/* Under the lock: whoever drains may free the pool as soon as it is given up. */
	pthread_cond_broadcast(&pool->ended);
	pthread_mutex_unlock(&pool->lock);
}

static void *
session_run(void *context)
{
	struct session *session = context;
	struct session_pool *pool = session->pool;

	pthread_mutex_lock(&pool->lock);
	session->thread = pthread_self();
	session->started = true;
	pthread_mutex_unlock(&pool->lock);
	pool->serve(pool->context, session->fd);
	session_end(session);
	return NULL;
}

enum admission { ADMITTED, NO_ROOM, TOO_LATE };

static enum admission
session_admit(struct session_pool *pool, struct session *session)
{
	enum admission admission = ADMITTED;

	pthread_mutex_lock(&pool->lock);
	if (pool->draining)
		admission = TOO_LATE;
	else if (pool->running >= pool->max)
		admission = NO_ROOM;
	else
		session_link(pool, session);
	pthread_mutex_unlock(&pool->lock);
	return admission;
}

static void
session_start(struct session_pool *pool, int fd)
{
	struct session *session = xcalloc(1, sizeof(*session));
	int error;

	session->pool = pool;
	session->fd = fd;
	session->watched = -1;
	switch (session_admit(pool, session)) {
	case TOO_LATE:
		close(fd);
		free(session);
		return;
	case NO_ROOM:
		free(session);
		pool->full(pool->context, fd);
		return;
	case ADMITTED:
		break;
	}
	error = thread_start_detached(pool->stack_octets, session_run, session);
	if (error != 0) {
		log_message(LOG_LEVEL_WARNING, "session",
		    "cannot create a thread for a "
		    "connection: %s",
		    strerror(error));
		session_end(session);
		pool->full(pool->context, fd);
	}
}

/* accept(2) reports what happened to a connection that is gone already, too. */
static bool
is_passing(int error)
{
	return error == EINTR || error == EAGAIN || error == ECONNABORTED || error == EPROTO ||
	    error == EPERM || error == ENETDOWN || error == ENETUNREACH || error == EHOSTUNREACH ||
	    error == EHOSTDOWN || error == ENONET;
}

/* The connection waits in the backlog and keeps the listener readable, so we wait by the clock. */
static void
pause_accepting(struct acceptor *acceptor, int error)
{
	struct pollfd wake = { .fd = acceptor->pool->wake, .events = POLLIN };

	if (!acceptor->failing)
		log_message(LOG_LEVEL_ERROR, "session", "new connections have to wait: %s%s",
		    strerror(error),
		    error == EMFILE
			? "; raise the limit of open files (LimitNOFILE) or lower max-sessions"
			: "");
	acceptor->failing = true;
	(void)poll(&wake, 1, PAUSE_MS);
}

static void
accept_one(struct acceptor *acceptor)
{
	const int on = 1;
	int fd;

	/* A connection in the backlog gets no reply; an accepted one must be served. */
	if (!descriptors_have_spare()) {
		pause_accepting(acceptor, EMFILE);
		return;
	}
	fd = accept4(acceptor->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		/* A listener that was given up is shut down, which accept() fails with. */
		if (!acceptor->closing && !is_passing(errno))
			pause_accepting(acceptor, errno);
		return;
	}
	acceptor->failing = false;
	/* Output has been collected to a flight; a Unix socket has no delay to turn off. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	session_start(acceptor->pool, fd);
}

static void *
acceptor_run(void *context)
{
	struct acceptor *acceptor = context;
	struct session_pool *pool = acceptor->pool;
	struct pollfd ready[2] = {
		{ .fd = acceptor->listener, .events = POLLIN },
		{ .fd = pool->wake, .events = POLLIN },
	};

	while (!pool->draining && !acceptor->closing)
		if (poll(ready, 2, -1) > 0 && ready[1].revents == 0)
			accept_one(acceptor);
	pthread_mutex_lock(&pool->lock);
	close(acceptor->listener);
	*acceptor->at = acceptor->next;
	if (acceptor->next != NULL)
		acceptor->next->at = acceptor->at;
	free(acceptor);
	pthread_cond_broadcast(&pool->ended);
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int
session_pool_listen(struct session_pool *pool, int listener)
{
	struct acceptor *acceptor;
	int error = 0, flags = fcntl(listener, F_GETFL);

	/* A connection can be gone between poll() and accept(). */
	if (flags < 0 || fcntl(listener, F_SETFL, flags | O_NONBLOCK) != 0)
		return -1;
	acceptor = xcalloc(1, sizeof(*acceptor));
	acceptor->pool = pool;
	acceptor->listener = listener;
	pthread_mutex_lock(&pool->lock);
	if (pool->draining)
		error = ESHUTDOWN;
	else
		error = thread_start_detached(ACCEPTOR_STACK, acceptor_run, acceptor);
	if (error == 0) {
		acceptor->next = pool->acceptors;
		acceptor->at = &pool->acceptors;
		if (acceptor->next != NULL)
			acceptor->next->at = &acceptor->next;
		pool->acceptors = acceptor;
	}
	pthread_mutex_unlock(&pool->lock);
	if (error == 0)
		return 0;
	free(acceptor);
	errno = error;
	return -1;
}

void
session_pool_unlisten(struct session_pool *pool, int listener)
{
	struct acceptor *acceptor;

	pthread_mutex_lock(&pool->lock);
	for (acceptor = pool->acceptors; acceptor != NULL; acceptor = acceptor->next)
		if (acceptor->listener == listener && !acceptor->closing) {
			acceptor->closing = true;
			(void)shutdown(listener, SHUT_RDWR);	/* wakes its thread */
		}
	pthread_mutex_unlock(&pool->lock);
}

void
session_pool_set_max(struct session_pool *pool, size_t max)
{
	pool->max = max;
}

size_t
session_pool_running(const struct session_pool *pool)
{
	return pool->running;
}

bool
session_pool_draining(const struct session_pool *pool)
{
	return pool->draining;
}

/* Called with the lock held. Ends the session's next read; what it writes still goes out. */
static void
wake_idle(const struct session *session)
{
	if (!session->busy && session->watched >= 0)
		(void)shutdown(session->watched, SHUT_RD);
}

void
session_pool_busy(struct session_pool *pool, bool busy)
{
	struct session *session;

	pthread_mutex_lock(&pool->lock);
	for (session = pool->sessions; session != NULL; session = session->next) {
		if (!session->started || !pthread_equal(session->thread, pthread_self()))
			continue;
		session->busy = busy;
		if (pool->draining)
			wake_idle(session);
		break;
	}
	pthread_mutex_unlock(&pool->lock);
}

bool
session_pool_drain(struct session_pool *pool, struct deadline deadline)
{
	struct timespec at = deadline_timespec(deadline);
	struct session *session;
	int error = 0;
	bool done;

	pthread_mutex_lock(&pool->lock);
	pool->draining = true;
	(void)eventfd_write(pool->wake, 1);
	for (session = pool->sessions; session != NULL; session = session->next)
		wake_idle(session);
	while ((pool->running > 0 || pool->acceptors != NULL) && error == 0)
		error = pthread_cond_timedwait(&pool->ended, &pool->lock, &at);
	done = pool->running == 0 && pool->acceptors == NULL;
	pthread_mutex_unlock(&pool->lock);
	return done;
}

void
session_pool_free(struct session_pool *pool)
{
	if (pool == NULL)
		return;
	close(pool->wake);
	pthread_cond_destroy(&pool->ended);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
