/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * Which configuration is in force? It may be replaced at any time; a user of one keeps that one
 * until it gives it back, so that a session ends by the rules with which it began. Any thread.
 */
#ifndef BASE_CONF_CONF_NOW_H
#define BASE_CONF_CONF_NOW_H

#include "base/conf/conf.h"

struct conf_now;

struct conf_now *conf_now_new(const struct conf *first);	/* which stays the caller's */
void conf_now_free(struct conf_now *now);	/* all must have been given back; NULL is allowed */

const struct conf *conf_now_take(struct conf_now *now);
void conf_now_give(struct conf_now *now, const struct conf *conf);
/* next is in force from now on, and freed once another is in force and its last user has given it
 * back. */
void conf_now_set(struct conf_now *now, struct conf *next);

#endif
