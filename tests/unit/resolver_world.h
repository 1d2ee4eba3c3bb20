/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * A resolver over engines that are made up here: their answers depend on the server that they were
 * given.
 *
 *	192.0.2.1	validates
 *	192.0.2.2	drops DNSSEC
 *	192.0.2.3	never answers
 *	none	the root: validates when root_validates
 *
 * Whether one drops DNSSEC is a matter of the moment: heals, and strips, say otherwise. Names that
 * begin with "only" exist at the servers alone, those that begin with "no" nowhere, and the servers
 * fail for those that begin with "fail". No answer comes for "lost", nor from an engine whose
 * number is at most silent or dead. "held" is answered when the test posts release.
 */
#ifndef TESTS_UNIT_RESOLVER_WORLD_H
#define TESTS_UNIT_RESOLVER_WORLD_H

#include <semaphore.h>
#include <stdatomic.h>

#include "policy/dns/resolver.h"
#include "policy/dns/resolver_setup.h"

extern atomic_bool root_validates, heals, strips;
/* Engines: how many were made; up to which numbers they are silent, or dead. */
extern atomic_int made, silent, dead;
extern atomic_int anchors_asked;	/* questions of self-tests about zones with an anchor */
extern sem_t held, release;	/* held is posted when a question waits for release */

/* The server of the last question, and its engine's number, on the thread that asked. */
extern _Thread_local char asked_of[RESOLVER_SERVER_TEXT];
extern _Thread_local int asked_number;

struct fixture {
	struct conf conf;
	char anchor[64], resolv_conf[64];
	char *anchors[1];
	struct conf_server server;
	struct resolver *resolver;
	struct arena *arena;
};

int setup(void **state);
int teardown(void **state);
void write_file(const char *path, const char *text);
void start(struct fixture *fixture, enum conf_dns_mode mode, const char *server);
const struct dns_answer *ask(struct fixture *fixture, const char *name, enum dns_type type);
/* The server that is asked for a name that was not asked for before. */
const char *asked(struct fixture *fixture);
enum resolver_health health(struct fixture *fixture);
/* An engine that was replaced is freed a moment after its successor has taken over. */
void assert_engines(int expected);
void assert_health(struct fixture *fixture, enum resolver_health expected);

#endif
