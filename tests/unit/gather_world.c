/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/unit/gather_world.h"

struct gather_world world;
struct arena *arena;
struct conf conf;
struct conf_destination destination;
struct gatherer gatherer;

static void
called(char letter)
{
	size_t length = strlen(world.calls);

	world.calls[length] = letter;
	world.calls[length + 1] = '\0';
}

void
resolver_want(struct resolver *resolver, const char *name, enum dns_type type)
{
	(void)resolver;
	(void)name;
	(void)type;
}

void
resolver_ask(struct resolver *resolver, struct arena *in, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	size_t used = strlen(world.asked);

	(void)resolver;
	(void)in;
	(void)deadline;
	called('r');
	snprintf(world.asked + used, sizeof(world.asked) - used, "%zu ", count);
	for (size_t i = 0; i < count; i++) {
		struct dns_answer *answer = &questions[i].answer;

		*answer = (struct dns_answer){ .state = DNS_INSECURE, .exists = true };
		for (size_t j = 0; j < world.count; j++) {
			struct made_up *made_up = &world.answers[j];

			if (strcmp(made_up->name, questions[i].name) != 0 ||
			    made_up->type != questions[i].type)
				continue;
			answer->state = made_up->state;
			answer->exists = !made_up->nxdomain;
			answer->records = made_up->records;
			answer->count = made_up->count;
			if (made_up->state == DNS_FAILED || made_up->state == DNS_BOGUS)
				strcpy(answer->why, made_up->name);
			answer->not_asked = made_up->not_asked;
		}
	}
}

enum resolver_health
resolver_fault(struct resolver *resolver, char words[RESOLVER_FAULT_MAX])
{
	(void)resolver;
	snprintf(words, RESOLVER_FAULT_MAX, "%s",
	    world.fault == RESOLVER_BROKEN ? "repair "
					     "it"
					   : "");
	return world.fault;
}

struct sts_inquiry {
	struct dns_question question;
};

struct sts_inquiry *
sts_cache_begin(struct sts_cache *cache, struct arena *in, const char *domain)
{
	struct sts_inquiry *inquiry = arena_alloc(in, sizeof(*inquiry));

	(void)cache;
	called('b');
	strcpy(world.sts_domain, domain);
	inquiry->question = (struct dns_question){ .type = DNS_TXT };
	inquiry->question.name = arena_printf(in, "_mta-sts.%s", domain);
	return inquiry;
}

struct dns_question *
sts_inquiry_question(struct sts_inquiry *inquiry)
{
	return &inquiry->question;
}

void
sts_cache_answered(struct sts_cache *cache, struct sts_inquiry *inquiry)
{
	(void)cache;
	called('w');
	assert_int_equal(inquiry->question.answer.state, DNS_SECURE);	/* it has been asked */
}

bool
sts_cache_await(struct sts_cache *cache, const struct sts_inquiry *inquiry,
    struct deadline deadline)
{
	(void)cache;
	(void)inquiry;
	(void)deadline;
	if (world.fetch_waits == 0)
		return true;
	world.fetch_waits--;
	return false;
}

void
sts_cache_finish(struct sts_cache *cache, struct sts_inquiry *inquiry, struct deadline deadline,
    struct sts_facts *sts)
{
	(void)cache;
	(void)inquiry;
	world.left = deadline;
	if (!world.rechecked)
		called('f');
	*sts = world.rechecked ? world.sts_anew : world.sts;
	world.rechecked = false;
}

struct sts_inquiry *
sts_cache_refresh_begin(struct sts_cache *cache, struct arena *in, const char *domain)
{
	return sts_cache_begin(cache, in, domain);
}

int
sts_cache_refresh_end(struct sts_cache *cache, struct sts_inquiry *inquiry,
    struct deadline deadline, struct sts_facts *sts)
{
	sts_cache_finish(cache, inquiry, deadline, sts);
	return deadline_passed(deadline) ? -1 : 0;
}

struct sts_inquiry *
sts_cache_recheck(struct sts_cache *cache, struct arena *in, const char *domain,
    struct deadline deadline, const struct sts_facts *sts)
{
	(void)cache;
	(void)deadline;
	(void)sts;
	called('k');
	assert_string_equal(domain, world.sts_domain);
	world.rechecked = world.recheck_news;
	if (!world.recheck_news)
		return NULL;
	world.fetch_waits = world.fetch_waits_again;
	return arena_alloc(in, sizeof(struct sts_inquiry));
}

struct made_up *
add(const char *name, enum dns_type type, enum dns_state state)
{
	struct made_up *made_up = &world.answers[world.count++];

	*made_up = (struct made_up){ .type = type, .state = state };
	snprintf(made_up->name, sizeof(made_up->name), "%s", name);
	return made_up;
}

void
add_record(struct made_up *made_up, const void *octets, size_t length)
{
	uint8_t *data = arena_alloc(arena, length);

	memcpy(data, octets, length);
	made_up->records[made_up->count++] = (struct dns_record){ data, length };
}

void
add_mx(struct made_up *made_up, uint16_t preference, const char *name)
{
	uint8_t data[300] = { (uint8_t)(preference >> 8), (uint8_t)preference };
	size_t used = 2;

	while (*name != '\0' && strcmp(name, ".") != 0) {
		size_t length = strcspn(name, ".");

		data[used++] = (uint8_t)length;
		memcpy(data + used, name, length);
		used += length;
		name += length + (name[length] == '.');
	}
	data[used++] = 0;
	add_record(made_up, data, used);
}

void
add_host(const char *name, enum dns_state a, enum dns_state aaaa)
{
	struct made_up *made_up = add(name, DNS_A, a);

	add_record(made_up, "\300\0\2\1", 4);
	made_up = add(name, DNS_AAAA, aaaa);
	add_record(made_up, "\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 16);
}

void
configure(const char *name)
{
	destination.name = arena_strdup(arena, name);
	conf.destination_count = 1;
}

int
setup(void **state)
{
	static char hostname[] = "out.example";

	(void)state;
	memset(&world, 0, sizeof(world));
	memset(&conf, 0, sizeof(conf));
	memset(&destination, 0, sizeof(destination));
	arena = arena_new();
	conf.hostname = hostname;
	conf.smtp.use_ipv4 = conf.smtp.use_ipv6 = true;
	conf.destinations = &destination;
	conf.dane.enforce = ENFORCE_OFF;
	gatherer.conf = &conf;
	world.sts.state = STS_NONE;
	add("_mta-sts.example.com", DNS_TXT, DNS_SECURE);
	add("_mta-sts.relay.example", DNS_TXT, DNS_SECURE);
	return 0;
}

int
teardown(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}
