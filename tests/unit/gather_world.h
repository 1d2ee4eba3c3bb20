/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * DNS and a policy cache that are made up, in place of policy/dns/resolver.h and
 * policy/facts/sts_cache.h: a program with this in it links none of them.
 */
#ifndef TESTS_UNIT_GATHER_WORLD_H
#define TESTS_UNIT_GATHER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/facts/gather.h"

#define ANSWERS_MAX	300
#define RECORDS_MAX	150

struct made_up {
	char name[80];
	enum dns_type type;
	enum dns_state state;
	bool nxdomain;
	bool not_asked;	/* failed by our own doing */
	struct dns_record records[RECORDS_MAX];
	size_t count;
};

extern struct gather_world {
	struct made_up answers[ANSWERS_MAX];
	size_t count;
	char calls[64];	/* a letter each: r resolver, b begin, w answered, f finish, k recheck */
	char asked[64];	/* how many questions each round, "2 4 " */
	char sts_domain[80];
	struct sts_facts sts, sts_anew;
	enum resolver_health fault;	/* what resolver_fault() says */
	bool recheck_news, rechecked;	/* there are some; they are to be finished */
	struct deadline left;	/* that sts_cache_finish() was given */
	unsigned fetch_waits;	/* how often the policy is looked for before it is there */
	unsigned fetch_waits_again;	/* the same, after a recheck */
} world;

extern struct arena *arena;
extern struct conf conf;
extern struct conf_destination destination;
extern struct gatherer gatherer;

struct made_up *add(const char *name, enum dns_type type, enum dns_state state);
void add_record(struct made_up *made_up, const void *octets, size_t length);
/* name in text, "." for the root. */
void add_mx(struct made_up *made_up, uint16_t preference, const char *name);
void add_host(const char *name, enum dns_state a, enum dns_state aaaa);
void configure(const char *name);	/* destination is in force, by this name */

int setup(void **state);
int teardown(void **state);

#endif
