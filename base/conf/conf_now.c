/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/conf/conf_now.h"

struct edition {
	const struct conf *conf;
	struct conf *owned;	/* the same, or NULL: it is not ours to free */
	unsigned users;
	struct edition *next;
};

struct conf_now {
	pthread_mutex_t lock;
	struct edition *editions;	/* that in force comes first */
};

static void
put_in_force(struct conf_now *now, const struct conf *conf, struct conf *owned)
{
	struct edition *edition = xcalloc(1, sizeof(*edition));

	edition->conf = conf;
	edition->owned = owned;
	edition->next = now->editions;
	now->editions = edition;
}

/* Those that are neither in force nor in use. */
static void
drop_unused(struct conf_now *now)
{
	struct edition **at = &now->editions->next, *edition;

	while ((edition = *at) != NULL) {
		if (edition->users > 0) {
			at = &edition->next;
			continue;
		}
		*at = edition->next;
		conf_free(edition->owned);
		free(edition);
	}
}

struct conf_now *
conf_now_new(const struct conf *first)
{
	struct conf_now *now = xcalloc(1, sizeof(*now));

	if (pthread_mutex_init(&now->lock, NULL) != 0)
		abort();
	put_in_force(now, first, NULL);
	return now;
}

void
conf_now_free(struct conf_now *now)
{
	struct edition *edition, *next;

	if (now == NULL)
		return;
	for (edition = now->editions; edition != NULL; edition = next) {
		next = edition->next;
		conf_free(edition->owned);
		free(edition);
	}
	pthread_mutex_destroy(&now->lock);
	free(now);
}

const struct conf *
conf_now_take(struct conf_now *now)
{
	const struct conf *conf;

	pthread_mutex_lock(&now->lock);
	now->editions->users++;
	conf = now->editions->conf;
	pthread_mutex_unlock(&now->lock);
	return conf;
}

void
conf_now_give(struct conf_now *now, const struct conf *conf)
{
	struct edition *edition;

	pthread_mutex_lock(&now->lock);
	for (edition = now->editions; edition != NULL; edition = edition->next)
		if (edition->conf == conf)
			break;
	if (edition == NULL || edition->users == 0)
		abort();
	edition->users--;
	drop_unused(now);
	pthread_mutex_unlock(&now->lock);
}

void
conf_now_set(struct conf_now *now, struct conf *next)
{
	pthread_mutex_lock(&now->lock);
	put_in_force(now, next, next);
	drop_unused(now);
	pthread_mutex_unlock(&now->lock);
}
