/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "integration/milter/milter_rules.h"

struct milter_hold {
	struct conf *conf;
	size_t users;	/* sessions, and one for being in force */
};

struct milter_rules {
	pthread_mutex_t lock;
	struct milter_hold *current;
};

static struct milter_hold *
hold_new(struct conf *conf)
{
	struct milter_hold *hold = xcalloc(1, sizeof(*hold));

	hold->conf = conf;
	hold->users = 1;
	return hold;
}

struct milter_rules *
milter_rules_new(struct conf *conf)
{
	struct milter_rules *rules = xcalloc(1, sizeof(*rules));

	pthread_mutex_init(&rules->lock, NULL);
	rules->current = hold_new(conf);
	return rules;
}

struct milter_hold *
milter_rules_hold(struct milter_rules *rules)
{
	struct milter_hold *hold;

	pthread_mutex_lock(&rules->lock);
	hold = rules->current;
	hold->users++;
	pthread_mutex_unlock(&rules->lock);
	return hold;
}

const struct conf *
milter_hold_conf(const struct milter_hold *hold)
{
	return hold->conf;
}

void
milter_rules_release(struct milter_rules *rules, struct milter_hold *hold)
{
	bool last;

	pthread_mutex_lock(&rules->lock);
	last = --hold->users == 0;
	pthread_mutex_unlock(&rules->lock);
	if (!last)
		return;
	conf_free(hold->conf);
	free(hold);
}

void
milter_rules_replace(struct milter_rules *rules, struct conf *conf)
{
	struct milter_hold *old;

	pthread_mutex_lock(&rules->lock);
	old = rules->current;
	rules->current = hold_new(conf);
	pthread_mutex_unlock(&rules->lock);
	milter_rules_release(rules, old);
}

void
milter_rules_free(struct milter_rules *rules)
{
	milter_rules_release(rules, rules->current);
	pthread_mutex_destroy(&rules->lock);
	free(rules);
}
