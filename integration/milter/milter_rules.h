/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The configuration in force, which a reload replaces while sessions go on with the one that they
 * began with. Any thread.
 */
#ifndef INTEGRATION_MILTER_MILTER_RULES_H
#define INTEGRATION_MILTER_MILTER_RULES_H

#include "base/conf/conf.h"

struct milter_rules;

struct milter_rules *milter_rules_new(struct conf *conf);	/* takes conf */
void milter_rules_free(struct milter_rules *rules);	/* no holds may be left */
void milter_rules_replace(struct milter_rules *rules, struct conf *conf);	/* takes conf */

struct milter_hold;
/* Keeps the present configuration alive until it is released. */
struct milter_hold *milter_rules_hold(struct milter_rules *rules);
const struct conf *milter_hold_conf(const struct milter_hold *hold);
void milter_rules_release(struct milter_rules *rules, struct milter_hold *hold);

#endif
