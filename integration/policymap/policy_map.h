/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The policy map of stsgated(8), for MTAs that deliver by themselves: socketmap questions in
 * netstrings, any number on one connection, answered in order; or, when the first octet of a
 * connection is no digit, one line for Exim's ${readsocket}.
 */
#ifndef INTEGRATION_POLICYMAP_POLICY_MAP_H
#define INTEGRATION_POLICYMAP_POLICY_MAP_H

#include <stdbool.h>

#include "base/deadline.h"
#include "base/conf/conf.h"
#include "policy/facts/gather.h"

struct policy_map;

/* What is passed must outlive it; gatherer is copied. */
struct policy_map *policy_map_new(const struct gatherer *gatherer);
/* Starts accepting on a bound, listening socket, which it then owns. 0 or -1 with errno. */
int policy_map_listen(struct policy_map *map, int listener);
/* Stops accepting there, and closes it; connections go on. */
void policy_map_unlisten(struct policy_map *map, int listener);
/* No new connections; questions that are being answered are. false: the deadline came first. */
bool policy_map_drain(struct policy_map *map, struct deadline deadline);
/* Waits for what is looked up in the background, which resolver_cancel() and http_cancel()
 * before it end at once. */
void policy_map_join(struct policy_map *map);
void policy_map_free(struct policy_map *map);	/* after a complete drain; NULL is allowed */

#endif
