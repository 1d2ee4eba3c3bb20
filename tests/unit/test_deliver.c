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
#include <string.h>

#include "tests/unit/deliver_world.h"

#define NO_MORE	"S 220 never reached"

static void
assert_starts(const char *text, const char *start)
{
	if (strncmp(text, start, strlen(start)) != 0)
		print_error("\"%s\" does not start with \"%s\"\n", text, start);
	assert_memory_equal(text, start, strlen(start));
}

static void
assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		print_error("\"%s\" does not have \"%s\"\n", text, part);
	assert_non_null(strstr(text, part));
}

static void
test_verified(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO_TLS, TAKE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_enforce(&world, 0, true);
	world_deliver_logged(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0),
	    "250 2.0.0 mx1.example.net[127.0.0.1] said: 250 2.0.0 Ok: queued as 1");
	assert_string_equal(world.heard, "1p EHLO out.example.org\n1p STARTTLS\n"
	    "1t EHLO out.example.org\n1t MAIL FROM:<sender@example.org>\n"
	    "1t RCPT TO:<someone@example.net>\n1t DATA\n1t >Subject: test\n1t >\n1t >hello\n1t >.\n"
	    "1t QUIT\n");
	assert_string_equal(peer_sni(world.peer), "mx1.example.net");
	assert_has(world.log.data, "event=delivery id=t1 from=sender@example.org "
	    "to=someone@example.net domain=example.net policy=sts mode=enforce policy-id=20260101 "
	    "mx=mx1.example.net ip=127.0.0.1 tls=verified proto=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 "
	    "reused=no wish=none result=ok status=sent dsn=2.0.0 reply=\"250 2.0.0 "
	    "mx1.example.net[127.0.0.1] said: 250 2.0.0 Ok: queued as 1\" ms=");
	assert_has(world.log.data, "event=attempt id=t1 from=sender@example.org "
	    "domain=example.net policy=sts mode=enforce policy-id=20260101 mx=mx1.example.net "
	    "ip=127.0.0.1 tls=verified proto=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 reused=no "
	    "wish=none result=ok ms=");
	world_free(&world);
}

static void
test_plaintext_without_policy(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO, "C MAIL FROM:<>", "S 250", "U 1", "C DATA",
	    "S 354", "D", "S 250", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.sender = "";
	world_deliver_logged(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_has(world.log.data, "event=attempt id=t1 from=<> domain=example.net policy=none mx=mx1.example.net ip=127.0.0.1 tls=none reused=no "
	    "wish=none result=starttls-not-supported ms=");
	assert_has(world.log.data, " result=starttls-not-supported status=sent dsn=2.0.0 ");
	world_free(&world);
}

/* What an attacker or a broken host does between greeting and EHLO in TLS. mx2 is honest. */
static const struct attack {
	const char *name;
	const char *const *script;
	const char *enforced;	/* the reply where a verified certificate is demanded */
	const char *careless;	/* the log's result= */
	bool careless_plaintext;	/* without a policy it goes on a second, plain connection */
	bool careless_same;	/* or on the same connection */
} attacks[] = {
	{ "stripped", WORLD_SCRIPT(HELLO, TAKE), "451 4.7.4", "starttls-not-supported", false, true },
	{ "454", WORLD_SCRIPT(TO_STARTTLS, "S 454 4.7.0 Not now", TAKE), "451 4.7.4",
	    "starttls-not-supported", false, true },
	{ "502", WORLD_SCRIPT(TO_STARTTLS, "S 502 What?", TAKE), "451 4.7.4",
	    "starttls-not-supported", false, true },
	{ "250", WORLD_SCRIPT(TO_STARTTLS, "S 250 Yes?", TAKE), "451 4.7.4",
	    "starttls-not-supported", false, true },
	{ "alert", WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "G 70"), "451 4.7.5",
	    "validation-failure", true, false },
	{ "reset", WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "R"), "451 4.7.5",
	    "validation-failure", true, false },
	{ "closed", WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H"), "451 4.7.5",
	    "validation-failure", true, false },
	{ "garbage", WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "S no TLS", "Z"), "451 4.7.5",
	    "validation-failure", true, false },
	{ "injection", WORLD_SCRIPT(TO_STARTTLS, "B 220 go\r\n250 evil\r\n", "Z"), "451 4.7.5",
	    "validation-failure", true, false },
	{ "lost after the handshake", WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "T", "C EHLO", "R"),
	    "451 4.7.5", "validation-failure", true, false },
};

static void
test_attacks_where_tls_is_demanded(void **state)
{
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		world_init(&world, 1);
		world_enforce(&world, 0, true);
		world_deliver(&world, WORLD_SCRIPTS(attacks[i].script, never), NULL);
		assert_starts(world_reply(&world, 0), attacks[i].enforced);
		assert_has(world_reply(&world, 0), "mx1.example.net[127.0.0.1]");
		assert_has(world_reply(&world, 0), "mta-sts policy 20260101 of example.net");
		assert_int_equal(world.connections, 1);
		assert_null(strstr(world.heard, "MAIL FROM"));
		assert_false(world_was_content_heard(&world));
		world_free(&world);
	}
}

static void
test_attacks_where_nothing_is_demanded(void **state)
{
	const char *const *plain = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250 STARTTLS",
	    TAKE);
	struct world world;
	char result[64];
	size_t i;

	(void)state;
	for (i = 0; i < 2 * sizeof(attacks) / sizeof(attacks[0]); i++) {
		const struct attack *attack = &attacks[i / 2];

		world_init(&world, 1);
		if (i % 2 == 1)
			world_enforce(&world, 0, false);
		world_deliver_logged(&world, WORLD_SCRIPTS(attack->script, plain), NULL);
		assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.example.net");
		assert_int_equal(world.connections, attack->careless_plaintext ? 2 : 1);
		assert_true(attack->careless_plaintext || attack->careless_same);
		assert_true(world_was_content_heard(&world));
		snprintf(result, sizeof(result), " tls=none reused=no wish=none result=%s ",
		    attack->careless);
		assert_has(world.log.data, result);
		world_free(&world);
	}
}

static void
test_no_plaintext_when_told(void **state)
{
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.plan.plaintext_retry = false;
	world_deliver(&world, WORLD_SCRIPTS(attacks[4].script, never), NULL);
	assert_starts(world_reply(&world, 0), "451 4.7.5");
	assert_int_equal(world.connections, 1);
	world_free(&world);
}

static void
test_no_plaintext_after_a_time_out(void **state)
{
	const char *const *silent = WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "Z");
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct world world;
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		const char *reply = i == 1 ? "451 4.7.5" : "451 4.4.2";

		for (ms = WORLD_SHORT_MS; ; ms *= 8) {
			world_init(&world, 1);
			if (i == 1)
				world_enforce(&world, 0, true);
			world.conf.smtp.command_timeout = ms;
			world_deliver(&world, WORLD_SCRIPTS(silent, never), NULL);
			if (ms > WORLD_LONG_MS || world_went(&world, reply, 1))
				break;
			world_free(&world);
		}
		assert_starts(world_reply(&world, 0), reply);
		assert_int_equal(world.connections, 1);
		world_free(&world);
	}
}

static void
test_weak_tls(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO_TLS, TAKE);
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		world_init(&world, 1);
		world_enforce(&world, 0, i % 2 == 1);
		world.max_version = i < 2 ? 0x0301 : 0x0303;	/* TLS 1.0 or 1.2 */
		if (i >= 2)
			world.sigalgs = "ECDSA+SHA1";
		world_deliver(&world, WORLD_SCRIPTS(script), NULL);
		assert_starts(world_reply(&world, 0), i % 2 == 1 ? "451 4.7.5 " : "250 2.0.0 ");
		assert_int_equal(world.connections, 1);
		world_free(&world);
	}
}

/* The certificate is for mx1 alone. */
static void
test_the_next_host_where_the_first_is_not_proven(void **state)
{
	const char *const *refused = WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "T", "C QUIT");
	const char *const *good = WORLD_SCRIPT(HELLO_TLS, TAKE);
	struct plan_host first;
	struct world world;

	(void)state;
	world_init(&world, 2);
	world_enforce(&world, 0, true);
	world_enforce(&world, 1, true);
	first = world.hosts[0];
	world.hosts[0] = world.hosts[1];
	world.hosts[1] = first;
	world_deliver_logged(&world, WORLD_SCRIPTS(refused, good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.example.net");
	assert_has(world.heard, "1t QUIT\n2p EHLO");
	assert_has(world.log.data, "mx=mx2.example.net ip=127.0.0.1 tls=encrypted proto=TLSv1.3 "
	    "cipher=TLS_AES_256_GCM_SHA384 reused=no wish=none result=certificate-host-mismatch "
	    "dsn=4.7.5 reply=\"451 4.7.5 mx2.example.net[127.0.0.1]: ");
	world_free(&world);
}

static void
test_testing_is_delivered_and_told(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO_TLS, TAKE);
	struct world world;

	(void)state;
	world_init(&world, 2);
	world_enforce(&world, 1, false);
	world.hosts[0] = world.hosts[1];
	world.plan.host_count = world.plan.use_count = 1;
	world_deliver_logged(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx2.example.net");
	assert_has(world.log.data, "event=attempt id=t1 from=sender@example.org domain=example.net "
	    "policy=sts mode=testing policy-id=20260101 mx=mx2.example.net ip=127.0.0.1 tls=encrypted ");
	assert_has(world.log.data, "result=certificate-host-mismatch "
	    "reply=X509_V_ERR_HOSTNAME_MISMATCH ms=");
	world_free(&world);
}

/* CASES D14 */
static void
test_what_was_offered_in_plaintext_is_forgotten(void **state)
{
	const char *const *script = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250-PIPELINING",
	    "S 250-SIZE 1", "S 250 STARTTLS", "C STARTTLS", "S 220 go", "T", "C EHLO", "S 250 mx",
	    "C MAIL FROM:<sender@example.org>", "S 250 Ok", "C RCPT", "S 250 Ok", "C DATA", "S 354 Go",
	    "D", "S 250 Ok", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_has(world.heard, "1t MAIL FROM:<sender@example.org>\n");
	world_free(&world);

	script = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250-PIPELINING",
	    "S 250-SIZE 1", "S 250 STARTTLS", "C STARTTLS", "S 220 go", "T", "C EHLO", "S 502 What?",
	    "C HELO", "S 250 mx", "C MAIL", "Q", "S 250 Ok", "C RCPT", "Q", "S 250 Ok", "C DATA",
	    "S 354 Go", "D", "S 250 Ok", "C QUIT");
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_has(world.heard, "1t MAIL FROM:<sender@example.org>\n");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);
}

static void
test_helo(void **state)
{
	const char *const *old = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 502 What?",
	    "C HELO out.example.org", "S 250 mx", TAKE);
	const char *const *no_helo = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 502 What?", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(old), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	world_free(&world);

	world_init(&world, 1);
	world_enforce(&world, 0, true);
	world_deliver(&world, WORLD_SCRIPTS(no_helo), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.0 mx1.example.net[127.0.0.1] said: 502 What?");
	assert_null(strchr(world.heard, '!'));
	world_free(&world);
}

/* What happens at one stage: the reply when it is the only host, and whether another is tried. */
static const struct stage {
	const char *const *script;
	const char *reply;
	bool next_host;
} stages[] = {
	{ WORLD_SCRIPT("S 421 4.3.2 Busy"), "451 4.4.0 mx1.example.net[127.0.0.1] said: 421 4.3.2 Busy",
	    true },
	{ WORLD_SCRIPT("S 554 5.3.2 No", "C QUIT"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 354 What?"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S SSH-2.0-OpenSSH"), "451 4.5.0 mx1.example.net[127.0.0.1] said: SSH", true },
	{ WORLD_SCRIPT("X"), "451 4.4.2 mx1.example.net[127.0.0.1]: the connection was lost", true },
	{ WORLD_SCRIPT("R"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S 421 4.3.2 Bye"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S 451 4.3.2 Later", "C QUIT"), "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S 550 No", "C HELO", "S 550 No", "C QUIT"),
	    "451 4.4.0 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "S what?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "S 421 4.7.0 Bye"), "451 4.7.0 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "S what?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 451 4.3.0 Later", "C RCPT"), "451 4.3.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 421 4.3.2 Bye"), "451 4.3.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 354 What?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S what?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "R"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 550 5.7.1 Go away", "A", "A", "C QUIT"),
	    "550 5.7.1 mx1.example.net[127.0.0.1] said: Go away", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 421 4.3.2 Bye"), "451 4.3.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 999 What?"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 55"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "S 450 4.2.1 Grey", "C DATA", "S 554",
	    "C QUIT"), "450 4.2.1 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 421 4.3.2 Bye"), "451 4.3.2 ",
	    true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "X"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 451 4.3.0 Not now", "C QUIT"),
	    "451 4.3.0 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 554 5.3.0 No", "C QUIT"),
	    "554 5.3.0 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "U 1", "C DATA", "S 250 Ok"), "451 4.5.0 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "X"), "451 4.4.2 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "R"), "451 4.4.2 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S what?"), "451 4.5.0 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 354 Go on"), "451 4.5.0 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 421 4.3.2 Bye"), "451 4.3.2 ", false },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 550 Virus", "C QUIT"), "550 5.0.0 ", false },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250", "C RCPT", "L 550-5.1.1 and so on"), "451 4.5.0 ",
	    true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "W xxxxxxxxxxxxxxxx"), "451 4.5.0 ", true },
	{ WORLD_SCRIPT("L 220-more"), "451 4.5.0 ", true },
};

static void
test_every_stage(void **state)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
		world_init(&world, 1);
		world_deliver(&world, WORLD_SCRIPTS(stages[i].script), NULL);
		assert_starts(world_reply(&world, 0), stages[i].reply);
		assert_int_equal(world.connections, 1);
		world_free(&world);

		world_init(&world, 2);
		world_deliver(&world, WORLD_SCRIPTS(stages[i].script, good), NULL);
		assert_int_equal(world.connections, stages[i].next_host ? 2 : 1);
		assert_starts(world_reply(&world, 0), stages[i].next_host ?
		    "250 2.0.0 mx2.example.net[127.0.0.1] said: " : stages[i].reply);
		world_free(&world);
	}
}

static const struct stage silences[] = {
	{ WORLD_SCRIPT("Z"), "451 4.4.2 mx1.example.net[127.0.0.1]: timed out", true },
	{ WORLD_SCRIPT("S 220 mx", "C EHLO", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "T", "C EHLO", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "S 250-and", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, "C MAIL", "B 25", "Z"), "451 4.4.2 ", true },
	{ WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "Z"), "451 4.4.2 ", false },
};

static void
test_a_421_is_logged_as_it_is_told(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO, MAIL_TO_DATA, "D", "S 421 4.3.2 Bye");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver_logged(&world, WORLD_SCRIPTS(script), NULL);
	assert_has(world.log.data, " status=deferred dsn=4.3.2 reply=\"451 4.3.2 mx1.");
	/* Who reads the log from top to bottom sees the attempt before what came of it. */
	assert_true(strstr(world.log.data, "event=attempt") <
	    strstr(world.log.data, "event=delivery"));
	world_free(&world);
}

static void
check_silence(const struct stage *silence)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	const char *reply = silence->next_host ? "250 2.0.0 mx2." : silence->reply;
	unsigned connections = silence->next_host ? 2 : 1;
	struct world world;
	int64_t ms;

	for (ms = WORLD_SHORT_MS; ; ms *= 8) {
		world_init(&world, 2);
		world.conf.smtp.command_timeout = world.conf.smtp.final_timeout = ms;
		world_deliver(&world, WORLD_SCRIPTS(silence->script, good), NULL);
		if (ms > WORLD_LONG_MS || world_went(&world, reply, connections))
			break;
		world_free(&world);
	}
	assert_int_equal(world.connections, connections);
	assert_starts(world_reply(&world, 0), reply);
	world_free(&world);
}

static void
test_silence_at_every_stage(void **state)
{
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(silences) / sizeof(silences[0]); i++)
		check_silence(&silences[i]);
	world_init(&world, 1);
	world.conf.smtp.command_timeout = WORLD_SHORT_MS;
	world_deliver(&world, WORLD_SCRIPTS(silences[0].script), NULL);
	assert_starts(world_reply(&world, 0), silences[0].reply);
	world_free(&world);
}

/* Refused by policy is worth more words than a host that is away, in either order. */
static void
test_which_failure_is_told(void **state)
{
	const char *const *stripped = WORLD_SCRIPT(HELLO, "C QUIT");
	const char *const *busy = WORLD_SCRIPT("S 421 4.3.2 Busy");
	const char *const *later = WORLD_SCRIPT(HELLO, "C MAIL", "S 451 4.3.0 Later");
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world_init(&world, 2);
		world_enforce(&world, i, true);
		world_deliver(&world, i == 0 ? WORLD_SCRIPTS(stripped, busy) :
		    WORLD_SCRIPTS(busy, stripped), NULL);
		assert_starts(world_reply(&world, 0), "451 4.7.4 ");
		assert_int_equal(world.connections, 2);
		world_free(&world);
	}
	world_init(&world, 2);
	world_deliver(&world, WORLD_SCRIPTS(busy, later), NULL);
	assert_starts(world_reply(&world, 0), "451 4.3.0 mx2.");
	world_free(&world);
}

static void
test_addresses(void **state)
{
	const char *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct ip addresses[2];
	struct world world;

	(void)state;
	assert_int_equal(ip_parse("127.0.0.99", &addresses[0]), 0);
	addresses[1] = peer_ip();
	world_init(&world, 1);
	world.hosts[0].addresses = addresses;
	world.hosts[0].address_count = 2;
	world_deliver_logged(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.example.net[127.0.0.1]");
	assert_has(world.log.data, "mx=mx1.example.net ip=127.0.0.99 tls=none reused=no wish=none "
	    "dsn=4.4.1 reply=\"451 4.4.1 mx1.example.net[127.0.0.99]: cannot connect to port ");
	world_free(&world);

	world_init(&world, 1);
	world.hosts[0].addresses = addresses;
	world.conf.destination_count = 1;
	world.destination.has_source_ipv4 = true;
	assert_int_equal(ip_parse("192.0.2.99", &world.destination.source_ipv4), 0);
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.1 mx1.example.net[127.0.0.99]: cannot connect");
	assert_has(world_reply(&world, 0), " from 192.0.2.99: ");
	world_free(&world);
}

static void
test_a_destination_names_hostname_and_port(void **state)
{
	const char *const *good = WORLD_SCRIPT("S 220 mx", "C EHLO special.example", "S 250 mx", TAKE);
	static char hostname[] = "special.example";
	struct world world;

	(void)state;
	world_init(&world, 1);
	world.conf.destination_count = 1;
	world.destination.hostname = hostname;
	world.hosts[0].name = "";
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 [127.0.0.1] said: ");
	world_free(&world);

	/* The port of a relay is for the relay alone. */
	world_init(&world, 1);
	world.conf.destination_count = 1;
	world.destination.relay_port = 1;
	world_deliver(&world, WORLD_SCRIPTS(WORLD_SCRIPT(HELLO, TAKE)), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	world_free(&world);

	world_init(&world, 1);
	world.conf.destination_count = 1;
	world.destination.relay_port = 1;
	world.plan.relay = true;
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_has(world_reply(&world, 0), "cannot connect to port 1: ");
	world_free(&world);
}

static void
test_no_slot(void **state)
{
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct ip ip = peer_ip();
	struct world world;

	(void)state;
	world_init(&world, 1);
	slots_free(world.slots);
	world.slots = slots_new(1, 1);
	assert_true(slots_take(world.slots, &ip, "x", 0, deadline_in(1000), NULL, NULL));
	world.time_ms = 31000;
	world.conf.smtp.final_timeout = 30000;
	world_deliver(&world, WORLD_SCRIPTS(never), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.5 ");
	assert_in_range(world.took_ms, 0, 25000);
	slots_give(world.slots, &ip, "x");
	assert_int_equal(world.connections, 0);
	world_free(&world);
}

static void
test_time(void **state)
{
	const char *const *silent = WORLD_SCRIPT("Z"), *const *good = WORLD_SCRIPT(HELLO, TAKE);
	struct world world;

	(void)state;
	/* No address is begun with less than final-timeout left. */
	world_init(&world, 1);
	world.time_ms = 1000;
	world.conf.smtp.final_timeout = 1100;
	world_deliver(&world, WORLD_SCRIPTS(good), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	assert_int_equal(world.connections, 0);
	world_free(&world);

	/* Three silent hosts leave the fourth its share. */
	world_init(&world, 4);
	world.time_ms = 31600;
	world.conf.smtp.final_timeout = 30000;
	world_deliver(&world, WORLD_SCRIPTS(silent, silent, silent, good), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx4.");
	assert_in_range(world.took_ms, 600, 30000);
	world_free(&world);

	/* The only one may use what there is. */
	world_init(&world, 1);
	world.time_ms = 1600;
	world.conf.smtp.final_timeout = 1300;
	world_deliver(&world, WORLD_SCRIPTS(silent), NULL);
	assert_starts(world_reply(&world, 0), "451 4.4.2 ");
	assert_in_range(world.took_ms, 700, 20000);
	world_free(&world);
}

static void
test_plans_that_try_nobody(void **state)
{
	static const char *const two[] = { "a@example.net", "b@example.net", NULL };
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_enforce(&world, 0, true);
	world.plan.verdict = PLAN_DEFER;
	reply_set(&world.plan.reply, 451, "4.7.5", "no MX host matches");
	world.plan.use_count = 0;
	world.hosts[0].use = false;
	world.hosts[0].reason = "not listed by the policy";
	world.hosts[0].finding_source = SOURCE_STS;
	finding_set(&world.hosts[0].finding, RESULT_VALIDATION_FAILURE, "mtasts-policy-mx-mismatch");
	world_deliver_logged(&world, WORLD_SCRIPTS(never), two);
	assert_string_equal(world_reply(&world, 0), "451 4.7.5 no MX host matches");
	assert_string_equal(world_reply(&world, 1), "451 4.7.5 no MX host matches");
	assert_int_equal(world.connections, 0);
	assert_has(world.log.data, "event=attempt id=t1 from=sender@example.org domain=example.net "
	    "policy=sts mode=enforce policy-id=20260101 mx=mx1.example.net tls=none reused=no "
	    "wish=none result=validation-failure reply=\"not listed by the policy\" ms=");
	assert_has(world.log.data, " to=b@example.net domain=example.net policy=sts mode=enforce "
	    "policy-id=20260101 tls=none reused=no wish=none result=validation-failure "
	    "status=deferred dsn=4.7.5 "
	    "reply=\"451 4.7.5 no MX host matches\" ms=");
	world_free(&world);

	world_init(&world, 0);
	world.plan.verdict = PLAN_REFUSE;
	reply_set(&world.plan.reply, 556, "5.1.10", "null MX");
	world_deliver_logged(&world, WORLD_SCRIPTS(never), NULL);
	assert_string_equal(world_reply(&world, 0), "556 5.1.10 null MX");
	assert_has(world.log.data, " policy=none tls=none reused=no wish=none status=bounced dsn=5.1.10 ");
	world_free(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verified),
		cmocka_unit_test(test_plaintext_without_policy),
		cmocka_unit_test(test_attacks_where_tls_is_demanded),
		cmocka_unit_test(test_attacks_where_nothing_is_demanded),
		cmocka_unit_test(test_no_plaintext_when_told),
		cmocka_unit_test(test_no_plaintext_after_a_time_out),
		cmocka_unit_test(test_weak_tls),
		cmocka_unit_test(test_the_next_host_where_the_first_is_not_proven),
		cmocka_unit_test(test_testing_is_delivered_and_told),
		cmocka_unit_test(test_what_was_offered_in_plaintext_is_forgotten),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_every_stage),
		cmocka_unit_test(test_a_421_is_logged_as_it_is_told),
		cmocka_unit_test(test_silence_at_every_stage),
		cmocka_unit_test(test_which_failure_is_told),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_a_destination_names_hostname_and_port),
		cmocka_unit_test(test_no_slot),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_plans_that_try_nobody),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
