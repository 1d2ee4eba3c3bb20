/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* Which names are asked for TLSA records, and what follows from the answers. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "policy/facts/gather_tlsa.h"

#define NAME	"mx.example"
#define FAR	"far.example"
#define AT_NAME	"_25._tcp.mx.example"
#define AT_FAR	"_25._tcp.far.example"

/* An answer for one name and type; "records" is how many usable ones there are. */
struct made_up {
	const char *name;	/* NULL ends the list */
	enum dns_type type;
	enum dns_state state;
	int records;
};

static const struct made_up *world;
static char asked[1000];	/* "T:name " or "C:name ", "| " after each round */

static struct dns_record *
make_records(struct arena *arena, size_t count)
{
	struct dns_record *records = arena_array(arena, count, sizeof(*records));

	for (size_t i = 0; i < count; i++) {
		uint8_t *wire = arena_alloc(arena, 35);

		wire[0] = 3;
		wire[1] = 1;
		wire[2] = 1;
		records[i] = (struct dns_record){ wire, 35 };
	}
	return records;
}

void
resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	(void)resolver;
	(void)deadline;
	for (size_t i = 0; i < count; i++) {
		struct dns_answer *answer = &questions[i].answer;

		strcat(asked, questions[i].type == DNS_TLSA ? "T:" : "C:");
		strcat(strcat(asked, questions[i].name), " ");
		*answer = (struct dns_answer){ .state = DNS_SECURE };
		for (const struct made_up *made_up = world; made_up->name != NULL; made_up++) {
			if (made_up->type != questions[i].type ||
			    strcmp(made_up->name, questions[i].name) != 0)
				continue;
			answer->state = made_up->state;
			answer->count = (size_t)made_up->records;
			answer->records = make_records(arena, answer->count);
			strcpy(answer->why, made_up->state > DNS_INSECURE ? "told" : "");
		}
	}
	strcat(asked, "| ");
}

static const struct {
	const char *name;
	enum dns_state state;	/* of the addresses */
	const char *canonical;
	struct made_up answers[4];
	const char *asked;
	enum tlsa_state tlsa;
	const char *base;
} cases[] = {
	{ "G1 secure", DNS_SECURE, NULL, { { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } },
	    "T:" AT_NAME " | ", TLSA_USABLE, NAME },
	{ "G3 securely absent", DNS_SECURE, NULL, { { NULL, 0, 0, 0 } }, "T:" AT_NAME " | ",
	    TLSA_NONE, NAME },
	{ "G4 SERVFAIL or time-out", DNS_SECURE, NULL, { { AT_NAME, DNS_TLSA, DNS_FAILED, 0 } },
	    "T:" AT_NAME " | ", TLSA_UNKNOWN, NAME },
	{ "G4 bogus", DNS_SECURE, NULL, { { AT_NAME, DNS_TLSA, DNS_BOGUS, 1 } }, "T:" AT_NAME " | ",
	    TLSA_UNKNOWN, NAME },
	{ "G5 insecure records", DNS_SECURE, NULL, { { AT_NAME, DNS_TLSA, DNS_INSECURE, 1 } },
	    "T:" AT_NAME " | ", TLSA_NONE, NAME },
	{ "G6 insecure addresses", DNS_INSECURE, NULL, { { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } }, "",
	    TLSA_NOT_ASKED, NULL },
	{ "addresses unknown", DNS_FAILED, NULL, { { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } }, "",
	    TLSA_NOT_ASKED, NULL },
	{ "G6 secure alias, insecure target", DNS_INSECURE, FAR,
	    { { NAME, DNS_CNAME, DNS_SECURE, 1 }, { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } },
	    "C:" NAME " | T:" AT_NAME " | ", TLSA_USABLE, NAME },
	{ "G6 insecure alias", DNS_INSECURE, FAR,
	    { { NAME, DNS_CNAME, DNS_INSECURE, 1 }, { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } },
	    "C:" NAME " | ", TLSA_NOT_ASKED, NULL },
	{ "alias withheld", DNS_INSECURE, FAR, { { NAME, DNS_CNAME, DNS_FAILED, 0 } },
	    "C:" NAME " | ", TLSA_UNKNOWN, NAME },
	{ "alias forged", DNS_INSECURE, FAR, { { NAME, DNS_CNAME, DNS_BOGUS, 1 } }, "C:" NAME " | ",
	    TLSA_UNKNOWN, NAME },
	{ "G16 CNAME, at its end", DNS_SECURE, FAR,
	    { { AT_FAR, DNS_TLSA, DNS_SECURE, 1 }, { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } },
	    "T:" AT_FAR " T:" AT_NAME " | ", TLSA_USABLE, FAR },
	{ "G16 CNAME, nothing at its end", DNS_SECURE, FAR,
	    { { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } }, "T:" AT_FAR " T:" AT_NAME " | ", TLSA_USABLE,
	    NAME },
	{ "G16 CNAME, insecure at its end", DNS_SECURE, FAR,
	    { { AT_FAR, DNS_TLSA, DNS_INSECURE, 1 }, { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } },
	    "T:" AT_FAR " T:" AT_NAME " | ", TLSA_USABLE, NAME },
	{ "G16 CNAME, its end fails", DNS_SECURE, FAR,
	    { { AT_FAR, DNS_TLSA, DNS_FAILED, 0 }, { AT_NAME, DNS_TLSA, DNS_SECURE, 1 } },
	    "T:" AT_FAR " T:" AT_NAME " | ", TLSA_UNKNOWN, FAR },
	{ "G16 CNAME, the name itself fails", DNS_SECURE, FAR,
	    { { AT_FAR, DNS_TLSA, DNS_SECURE, 1 }, { AT_NAME, DNS_TLSA, DNS_FAILED, 0 } },
	    "T:" AT_FAR " T:" AT_NAME " | ", TLSA_USABLE, FAR },
	{ "G16 CNAME, no records anywhere", DNS_SECURE, FAR, { { NULL, 0, 0, 0 } },
	    "T:" AT_FAR " T:" AT_NAME " | ", TLSA_NONE, NAME },
};

static void
gather(struct arena *arena, struct facts *facts, uint16_t port)
{
	asked[0] = '\0';
	gather_tlsa(NULL, arena, port, deadline_in(1000), facts);
}

static void
test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new();
		struct host_facts host = { .name = NAME,
			.address_count = 1,
			.dane_state = cases[i].state,
			.canonical = cases[i].canonical };
		struct facts facts = { .hosts = &host, .host_count = 1 };
		struct made_up answers[5] = { { NULL, 0, 0, 0 } };

		memcpy(answers, cases[i].answers, sizeof(cases[i].answers));
		world = answers;
		gather(arena, &facts, 25);
		if (strcmp(asked, cases[i].asked) != 0)
			fail_msg("%s: asked %s", cases[i].name, asked);
		if (host.tlsa_state != cases[i].tlsa)
			fail_msg("%s: state %d", cases[i].name, (int)host.tlsa_state);
		if ((host.tlsa_base == NULL) != (cases[i].base == NULL) ||
		    (host.tlsa_base != NULL && strcmp(host.tlsa_base, cases[i].base) != 0))
			fail_msg("%s: base %s", cases[i].name, host.tlsa_base);
		if ((host.tlsa_state == TLSA_UNKNOWN) != (host.tlsa_why[0] != '\0'))
			fail_msg("%s: why %s", cases[i].name, host.tlsa_why);
		if ((host.tlsa_count > 0) != (host.tlsa_state == TLSA_USABLE))
			fail_msg("%s: %zu records", cases[i].name, host.tlsa_count);
		arena_free(arena);
	}
}

/* One round, whatever the number of hosts; and the port is the one dialled. */
static void
test_side_by_side(void **state)
{
	static const struct made_up answers[] = { { "_2525._tcp.b.example", DNS_TLSA, DNS_FAILED,
						      0 },
		{ "_2525._tcp.c.example", DNS_TLSA, DNS_SECURE, 1 }, { NULL, 0, 0, 0 } };
	struct host_facts hosts[] = {
		{ .name = "a.example", .address_count = 1, .dane_state = DNS_INSECURE },
		{ .name = "b.example", .address_count = 1, .dane_state = DNS_SECURE },
		{ .name = "c.example", .address_count = 2, .dane_state = DNS_SECURE },
		{ .name = "G19.example", .address_count = 0, .dane_state = DNS_SECURE },
	};
	struct facts facts = { .hosts = hosts, .host_count = 4 };
	struct arena *arena = arena_new();

	(void)state;
	world = answers;
	gather(arena, &facts, 2525);
	assert_string_equal(asked, "T:_2525._tcp.b.example T:_2525._tcp.c.example | ");
	assert_int_equal(hosts[0].tlsa_state, TLSA_NOT_ASKED);
	assert_int_equal(hosts[1].tlsa_state, TLSA_UNKNOWN);	/* G20: and the others go on */
	assert_int_equal(hosts[2].tlsa_state, TLSA_USABLE);
	assert_int_equal(hosts[3].tlsa_state, TLSA_NOT_ASKED);
	arena_free(arena);
}

static void
test_bounds(void **state)
{
	static char name[DOMAIN_MAX];
	struct made_up answers[] = { { AT_NAME, DNS_TLSA, DNS_SECURE, 10 * LIMIT_TLSA_RECORDS },
		{ NULL, 0, 0, 0 } };
	struct host_facts hosts[] = {
		{ .name = NAME, .address_count = 1, .dane_state = DNS_SECURE },
		{ .name = name, .address_count = 1, .dane_state = DNS_SECURE },
	};
	struct facts facts = { .hosts = hosts, .host_count = 2 };
	struct arena *arena = arena_new();

	(void)state;
	memset(name, 'a', 250);	/* too long with _25._tcp. before it */
	world = answers;
	gather(arena, &facts, 25);
	assert_string_equal(asked, "T:" AT_NAME " | ");
	assert_int_equal(hosts[0].tlsa_count, LIMIT_TLSA_RECORDS);
	assert_int_equal(hosts[1].tlsa_state, TLSA_NONE);
	arena_free(arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_side_by_side),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
