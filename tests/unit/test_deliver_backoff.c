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
#include <string.h>

#include "tests/unit/deliver_world.h"

struct end {
	const char *what;
	const char *const *script;
	bool enforce;
	enum host_backoff_scope marked;	/* for which mail is the address skipped from then on? */
};

#define END(...)	\
	(const char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

static bool
is_passed_over(const struct world *world, struct host_backoff *hosts,
    struct host_backoff_note *note)
{
	struct host_backoff_key at = { .ip = peer_ip(),
		.port = peer_port(world->peer),
		.next_hop = "example.net",
		.sender = "example.org" };

	memset(note, 0, sizeof(*note));
	return host_backoff_passes(hosts, &at, clock_monotonic_ms(), note);
}

/* Was the address marked as it should be, where no more than ms was waited for anything? */
static bool
is_right(const struct end *end, int64_t ms, bool last)
{
	struct host_backoff *hosts = host_backoff_new(60000);
	struct host_backoff_note note;
	struct world world;
	bool marked, right;

	world_init(&world, 1);
	world.conf.smtp.command_timeout = ms;
	world.conf.smtp.final_timeout = ms;
	world.plan.plaintext_retry = false;
	world.host_backoff = hosts;
	if (end->enforce)
		world_enforce(&world, 0, true);
	world_deliver(&world, (const char *const *const[]){ end->script, NULL }, NULL);
	marked = is_passed_over(&world, hosts, &note);
	right = note.scope == end->marked;
	if (!right && last)
		print_error("%s: marked %d, %s\n", end->what, (int)note.scope,
		    world_reply(&world, 0));
	if (marked)
		assert_null(strstr(note.last, "127.0.0.1"));
	world_free(&world);
	host_backoff_free(hosts);
	return right;
}

static void
check(const struct end *end)
{
	int64_t ms;

	for (ms = WORLD_SHORT_MS; ms < WORLD_LONG_MS; ms *= 8)
		if (is_right(end, ms, false))
			return;
	assert_true(is_right(end, ms, true));
}

static void
test_what_marks_an_address(void **state)
{
	const struct end ends[] = {
		{ "greeted with 421", END("S 421 4.3.2 Busy"), false, HOST_BACKOFF_ALL },
		{ "greeted with 450", END("S 450 4.3.2 Busy", "C QUIT"), false, HOST_BACKOFF_NONE },
		{ "greeted with 554", END("S 554 5.3.2 No", "C QUIT"), false, HOST_BACKOFF_NONE },
		{ "hung up on us", END("X"), false, HOST_BACKOFF_ALL },
		{ "says nothing", END("Z"), false, HOST_BACKOFF_ALL },
		{ "lost at EHLO", END("S 220 mx", "C EHLO", "X"), false, HOST_BACKOFF_NEXT_HOP },
		{ "lost at MAIL", END(HELLO, "C MAIL", "R"), false, HOST_BACKOFF_NEXT_HOP },
		{ "silent at MAIL", END(HELLO, "C MAIL", "Z"), false, HOST_BACKOFF_NEXT_HOP },
		{ "EHLO refused", END("S 220 mx", "C EHLO", "S 450 no", "C QUIT"), false,
		    HOST_BACKOFF_NONE },
		{ "421 at MAIL", END(HELLO, "C MAIL", "S 421 4.3.2 no"), false,
		    HOST_BACKOFF_NEXT_HOP },
		{ "421 at EHLO", END("S 220 mx", "C EHLO", "S 421 no"), false,
		    HOST_BACKOFF_NEXT_HOP },
		{ "451 at MAIL", END(HELLO, "C MAIL", "S 451 4.7.1 no"), false,
		    HOST_BACKOFF_SENDER },
		{ "550 at MAIL", END(HELLO, "C MAIL", "S 550 5.7.1 no"), false, HOST_BACKOFF_NONE },
		{ "lost at RCPT", END(HELLO, "C MAIL", "S 250 ok", "C RCPT", "R"), false,
		    HOST_BACKOFF_NONE },
		{ "421 at RCPT", END(HELLO, "C MAIL", "S 250 ok", "C RCPT", "S 421 no"), false,
		    HOST_BACKOFF_NONE },
		{ "closed after a no to RCPT",
		    END(HELLO, "C MAIL", "S 250 ok", "C RCPT", "S 550 5.1.1 no", "X"), false,
		    HOST_BACKOFF_NONE },
		{ "lost at DATA",
		    END(HELLO, "C MAIL", "S 250 ok", "C RCPT", "S 250 ok", "C DATA", "R"), false,
		    HOST_BACKOFF_NONE },
		{ "silent at RCPT", END(HELLO, "C MAIL", "S 250 ok", "C RCPT", "Z"), false,
		    HOST_BACKOFF_NONE },
		{ "lost after the dot", END(HELLO, MAIL_TO_DATA, "D", "X"), false,
		    HOST_BACKOFF_NONE },
		{ "silent after the dot", END(HELLO, MAIL_TO_DATA, "D", "Z"), false,
		    HOST_BACKOFF_NONE },
		{ "delivered", END(HELLO, TAKE), false, HOST_BACKOFF_NONE },
		{ "nonsense", END("S what?", "Z"), false, HOST_BACKOFF_NONE },
		{ "no STARTTLS", END(HELLO, "C QUIT"), true, HOST_BACKOFF_NONE },
		{ "lost at STARTTLS", END(TO_STARTTLS, "X"), true, HOST_BACKOFF_NONE },
		{ "lost in the handshake", END(TO_STARTTLS, "S 220 go", "H", "R"), true,
		    HOST_BACKOFF_NONE },
		{ "silent in the handshake", END(TO_STARTTLS, "S 220 go", "H", "Z"), true,
		    HOST_BACKOFF_NONE },
		{ "lost after it", END(TO_STARTTLS, "S 220 go", "T", "C EHLO", "R"), true,
		    HOST_BACKOFF_NONE },
		{ "lost in TLS", END(HELLO_TLS, "C MAIL", "R"), true, HOST_BACKOFF_NEXT_HOP },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		check(&ends[i]);
}

/* All hosts of a world share one address: the second is skipped, and the reply says why. */
static void
test_passed_over_in_the_same_walk(void **state)
{
	const char *const *script = WORLD_SCRIPT("S 421 4.3.2 Busy");
	struct host_backoff *hosts = host_backoff_new(60000);
	struct host_backoff_note note;
	struct world world;

	(void)state;
	world_init(&world, 3);
	world.host_backoff = hosts;
	world_deliver_logged(&world, WORLD_SCRIPTS(script), NULL);
	assert_int_equal(world.connections, 1);
	assert_memory_equal(world_reply(&world, 0), "451 4.4.0 mx1.example.net", 25);
	assert_true(is_passed_over(&world, hosts, &note));
	assert_string_equal(note.last, "said: 421 4.3.2 Busy");
	assert_null(strstr(world.log.data, "mx2.example.net"));
	world_free(&world);
	host_backoff_free(hosts);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_marks_an_address),
		cmocka_unit_test(test_passed_over_in_the_same_walk),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
