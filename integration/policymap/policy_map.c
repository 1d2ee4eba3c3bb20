/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/netstring.h"
#include "base/session.h"
#include "integration/policymap/policy_map.h"
#include "integration/policymap/policy_map_question.h"

#define STACK	(256 * 1024)
#define ANSWER_MS	3800	/* "within 4 s" */
#define IN_ROOM	(2 * (LIMIT_NETSTRING_IN + NETSTRING_FRAME))
#define OUT_FULL	(64 * 1024)	/* octets of answers that are worth a write */
#define LOOK_MS	50	/* how often further questions are looked for during a look-up */

struct policy_map {
	struct policy_map_service service;
	struct session_pool *pool;
};

/* One connection. The socket blocks: a question that is answered from memory costs one recv() and
 * one send(). */
struct talk {
	struct policy_map *map;
	int fd;
	char *in;	/* IN_ROOM octets */
	size_t length;	/* octets in it */
	size_t taken;	/* of them, as questions */
	struct buf out;
	struct policy_map_question questions[LIMIT_MAP_PIPELINED];	/* not yet answered */
	size_t count;
};

static void
set_timeout(int fd, int option, int64_t ms)
{
	struct timeval time = { .tv_sec = ms / 1000 };

	(void)setsockopt(fd, SOL_SOCKET, option, &time, sizeof(time));
}

/* false: the peer is gone, or takes nothing. */
static bool
flush(struct talk *talk)
{
	size_t at = 0;
	ssize_t sent;

	while (at < talk->out.length) {
		sent = send(talk->fd, talk->out.data + at, talk->out.length - at, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += (size_t)sent;
	}
	buf_clear(&talk->out);
	return true;
}

/* Some octets more. false: the end, or they do not come. */
static bool
receive(struct talk *talk)
{
	ssize_t got;

	do
		got = recv(talk->fd, talk->in + talk->length, IN_ROOM - talk->length, 0);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return false;
	talk->length += (size_t)got;
	return true;
}

static enum netstring_status
next_question(struct talk *talk, const char **text, size_t *length)
{
	enum netstring_status status;
	size_t used;

	status = netstring_parse(talk->in + talk->taken, talk->length - talk->taken,
	    LIMIT_NETSTRING_IN, text, length, &used);
	if (status == NETSTRING_OK)
		talk->taken += used;
	return status;
}

static void
ask(struct talk *talk, const char *text, size_t length)
{
	policy_map_question_ask(&talk->map->service, text, length, false,
	    &talk->questions[talk->count++]);
}

/* Queries that have arrived meanwhile are looked up in parallel. */
static void
take_more(struct talk *talk)
{
	const char *text;
	size_t length;
	ssize_t got = 0;

	if (talk->count < LIMIT_MAP_PIPELINED && talk->length < IN_ROOM)
		got = recv(talk->fd, talk->in + talk->length, IN_ROOM - talk->length, MSG_DONTWAIT);
	if (got > 0)
		talk->length += (size_t)got;
	while (talk->count < LIMIT_MAP_PIPELINED &&
	    next_question(talk, &text, &length) == NETSTRING_OK)
		ask(talk, text, length);
}

/* Decided answers are sent before any wait. */
static bool
await_answer(struct talk *talk, const struct policy_map_question *question)
{
	struct policy_map_service *service = &talk->map->service;
	struct deadline look = { 0 };
	bool there = true;

	while (!policy_map_question_wait(service, question, look) && deadline_passed(look) &&
	    !deadline_passed(question->deadline)) {
		there = there && flush(talk);
		if (!question->line)
			take_more(talk);
		look = deadline_earlier(question->deadline, deadline_in(LOOK_MS));
	}
	return there;
}

/* Answers all queries. */
static bool
answer_questions(struct talk *talk)
{
	struct policy_map_service *service = &talk->map->service;
	bool there = true;

	if (talk->count > 0)
		session_pool_busy(talk->map->pool, true);
	for (size_t i = 0; i < talk->count; i++) {
		there = await_answer(talk, &talk->questions[i]) && there;
		policy_map_question_answer(service, &talk->questions[i], &talk->out);
	}
	if (talk->count > 0)
		session_pool_busy(talk->map->pool, false);
	talk->count = 0;
	return there;
}

/* The answer at once when nothing before it has to be waited for; otherwise it is looked up in
 * parallel. */
static bool
take_question(struct talk *talk, const char *text, size_t length)
{
	struct policy_map_service *service = &talk->map->service;

	if (talk->count == 0 && policy_map_question_answer_again(service, text, length, &talk->out))
		return talk->out.length < OUT_FULL || flush(talk);
	ask(talk, text, length);
	return talk->count < LIMIT_MAP_PIPELINED || answer_questions(talk);
}

/* All questions that are there in full. false: the connection is to end. */
static bool
take_input(struct talk *talk)
{
	enum netstring_status status;
	const char *text;
	size_t length;
	bool going = true;

	talk->taken = 0;
	do {
		status = next_question(talk, &text, &length);
		if (status == NETSTRING_OK)
			going = take_question(talk, text, length);
		else if (talk->count > 0)
			going = answer_questions(talk);
		else
			break;
	} while (going);
	memmove(talk->in, talk->in + talk->taken, talk->length - talk->taken);
	talk->length -= talk->taken;
	return flush(talk) && going && status != NETSTRING_BAD;
}

/* A query that has begun must be complete in time, however it is segmented. */
static void
serve_netstrings(struct talk *talk)
{
	struct deadline whole = { INT64_MAX };
	bool within = false;

	while (take_input(talk)) {
		if ((talk->length > 0) != within) {
			within = talk->length > 0;
			whole = within ? deadline_in(LIMIT_MAP_STALL_MS)
				       : (struct deadline){ INT64_MAX };
			set_timeout(talk->fd, SO_RCVTIMEO,
			    within ? LIMIT_MAP_STALL_MS : LIMIT_MAP_IDLE_MS);
		}
		if ((within && deadline_passed(whole)) || !receive(talk))
			return;
	}
}

/* Exim reads the answer up to the end of the connection, so one line is all there is. */
static void
serve_line(struct talk *talk)
{
	struct deadline whole = deadline_in(LIMIT_MAP_STALL_MS);
	char rest[LIMIT_MAP_LINE];
	const char *end;

	set_timeout(talk->fd, SO_RCVTIMEO, LIMIT_MAP_STALL_MS);
	while ((end = memchr(talk->in, '\n', talk->length)) == NULL)
		if (talk->length >= LIMIT_MAP_LINE || deadline_passed(whole) || !receive(talk))
			break;
	if (talk->length >= LIMIT_MAP_LINE && end == NULL)
		return;
	if (end != NULL)
		talk->length = (size_t)(end - talk->in);
	if (talk->length > 0 && talk->in[talk->length - 1] == '\r')
		talk->length--;
	policy_map_question_ask(&talk->map->service, talk->in, talk->length, true,
	    &talk->questions[0]);
	talk->count = 1;
	(void)answer_questions(talk);
	/* To close with input unread would take the answer from a peer on TCP. */
	if (flush(talk) && shutdown(talk->fd, SHUT_WR) == 0)
		while (!deadline_passed(whole) && recv(talk->fd, rest, sizeof(rest), 0) > 0)
			continue;
}

static void
serve(void *context, int fd)
{
	struct talk *talk = xcalloc(1, sizeof(*talk));
	int flags = fcntl(fd, F_GETFL);

	talk->map = context;
	talk->fd = fd;
	talk->in = xmalloc(IN_ROOM);
	metrics_add(METRIC_MAP_SESSIONS_RUNNING, NULL, 1);
	set_timeout(fd, SO_RCVTIMEO, LIMIT_MAP_IDLE_MS);
	set_timeout(fd, SO_SNDTIMEO, LIMIT_MAP_STALL_MS);
	if (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0 && receive(talk)) {
		if (talk->in[0] >= '0' && talk->in[0] <= '9')
			serve_netstrings(talk);
		else
			serve_line(talk);
	}
	close(fd);
	metrics_add(METRIC_MAP_SESSIONS_RUNNING, NULL, -1);
	buf_free(&talk->out);
	free(talk->in);
	free(talk);
}

static void
turn_away(void *context, int fd)
{
	(void)context;
	log_message(LOG_LEVEL_WARNING, "policy-map", "more than %d connections",
	    LIMIT_MAP_SESSIONS);
	close(fd);
}

struct policy_map *
policy_map_new(const struct gatherer *gatherer)
{
	struct policy_map *map = xcalloc(1, sizeof(*map));

	map->service = (struct policy_map_service){ .gatherer = *gatherer,
		.answers = policy_map_answers_new(),
		.lookups = policy_map_lookups_new(gatherer),
		.answer_ms = ANSWER_MS };
	map->pool = session_pool_new(LIMIT_MAP_SESSIONS, STACK, serve, turn_away, map);
	if (map->pool == NULL)
		abort();
	return map;
}

int
policy_map_listen(struct policy_map *map, int listener)
{
	return session_pool_listen(map->pool, listener);
}

void
policy_map_unlisten(struct policy_map *map, int listener)
{
	session_pool_unlisten(map->pool, listener);
}

bool
policy_map_drain(struct policy_map *map, struct deadline deadline)
{
	return session_pool_drain(map->pool, deadline);
}

void
policy_map_join(struct policy_map *map)
{
	policy_map_lookups_join_threads(map->service.lookups);
}

void
policy_map_free(struct policy_map *map)
{
	if (map == NULL)
		return;
	session_pool_free(map->pool);
	policy_map_lookups_free(map->service.lookups);
	policy_map_answers_free(map->service.answers);
	free(map);
}
