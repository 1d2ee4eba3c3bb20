/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>

#include "policy/dns/resolver_inside.h"

struct resolver_shared *
resolver_shared_new(const struct conf *conf, const struct resolver_servers *servers,
    enum resolver_path path, bool small, char *why, size_t why_room)
{
	struct resolver_shared *shared = xcalloc(1, sizeof(*shared));

	shared->users = 1;
	shared->made_ms = clock_monotonic_ms();
	shared->engine = resolver_engine_new(conf, servers, path, small, why, why_room);
	if (shared->engine == NULL)
		goto fail;
	if (path == RESOLVER_AROUND) {
		shared->servers = resolver_engine_new(conf, servers, RESOLVER_UNVALIDATED, true,
		    why, why_room);
		shared->sites = resolver_sites_new(conf);
	}
	if (path == RESOLVER_AROUND && shared->servers == NULL)
		goto fail;
	shared->answers = small ? NULL : resolver_answers_new();
	return shared;
fail:
	resolver_shared_free(shared);
	return NULL;
}

bool
resolver_shared_is_dead(const struct resolver_shared *shared)
{
	return resolver_engine_is_dead(shared->engine) ||
	    (shared->servers != NULL && resolver_engine_is_dead(shared->servers));
}

void
resolver_shared_cancel(struct resolver_shared *shared)
{
	if (shared == NULL)
		return;
	resolver_engine_stop(shared->engine);
	if (shared->servers != NULL)
		resolver_engine_stop(shared->servers);
}

struct resolver_shared *
resolver_shared_release(struct resolver_shared *shared)
{
	return shared == NULL || --shared->users > 0 ? NULL : shared;
}

void
resolver_shared_free(struct resolver_shared *shared)
{
	if (shared == NULL)
		return;
	resolver_engine_free(shared->engine);
	resolver_engine_free(shared->servers);
	resolver_sites_free(shared->sites);
	resolver_answers_free(shared->answers);
	free(shared);
}

/* Would its absence make a message bounce, and does it come from the root alone? */
static bool
is_doubtful(const struct resolver_shared *shared, const struct dns_question *question)
{
	const struct dns_answer *answer = &question->answer;

	if (question->type != DNS_MX && question->type != DNS_A && question->type != DNS_AAAA)
		return false;
	if ((answer->state != DNS_SECURE && answer->state != DNS_INSECURE) || answer->count > 0)
		return false;
	return !resolver_sites_have(shared->sites, question->name) ||
	    !resolver_sites_have(shared->sites, answer->canonical);
}

static void
compare(struct dns_question *question, const struct dns_answer *other)
{
	struct dns_answer *answer = &question->answer;
	const char *why = NULL;

	if (other->state == DNS_FAILED || other->state == DNS_BOGUS)
		why = "absent when resolved from the root, and the configured DNS servers fail to "
		      "answer";
	else if (other->count > 0 || (other->exists && !answer->exists))
		why = "absent when resolved from the root, but known to the configured DNS servers";
	if (why == NULL)
		return;
	answer->state = DNS_FAILED;
	answer->not_asked = other->not_asked;
	snprintf(answer->why, sizeof(answer->why), "%s", why);
}

/* The site's own names are known to its servers alone, which are passed by: what only the root
 * finds absent is not known. */
static void
doubt_absence(const struct resolver_shared *shared, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	struct dns_question *again = arena_array(arena, count, sizeof(again[0]));
	size_t i, doubtful = 0;

	for (i = 0; i < count; i++)
		if (is_doubtful(shared, &questions[i]))
			again[doubtful++] = (struct dns_question){ .name = questions[i].name,
				.type = questions[i].type };
	if (doubtful == 0)
		return;
	resolver_engine_ask(shared->servers, arena, again, doubtful, deadline);
	doubtful = 0;
	for (i = 0; i < count; i++)
		if (is_doubtful(shared, &questions[i]))
			compare(&questions[i], &again[doubtful++].answer);
}

void
resolver_shared_ask(struct resolver_shared *shared, struct arena *arena,
    struct dns_question *questions, size_t count, struct deadline deadline)
{
	struct dns_question *missing = arena_array(arena, count, sizeof(missing[0]));
	struct dns_question **of = arena_array(arena, count, sizeof(of[0]));
	int64_t now_ms = clock_monotonic_ms();
	size_t i, left = 0;

	for (i = 0; i < count; i++)
		if (shared->answers == NULL ||
		    !resolver_answers_find(shared->answers, arena, &questions[i], now_ms)) {
			of[left] = &questions[i];
			missing[left++] = questions[i];
		}
	if (left == 0)
		return;
	resolver_engine_ask(shared->engine, arena, missing, left, deadline);
	if (shared->servers != NULL)
		doubt_absence(shared, arena, missing, left, deadline);
	for (i = 0; i < left; i++) {
		of[i]->answer = missing[i].answer;
		if (shared->answers != NULL)
			resolver_answers_keep(shared->answers, &missing[i], clock_monotonic_ms());
	}
}
