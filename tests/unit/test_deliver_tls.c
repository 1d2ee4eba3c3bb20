/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/* What is delivered in TLS, in plaintext, or not at all, honest hosts and others. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/asserts.h"
#include "tests/unit/deliver_world.h"

#define NO_MORE	"S 220 never reached"

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
	assert_string_equal(world.heard,
	    "1p EHLO out.example.org\n1p STARTTLS\n"
	    "1t EHLO out.example.org\n1t MAIL FROM:<sender@example.org>\n"
	    "1t RCPT TO:<someone@example.net>\n1t DATA\n1t >Subject: test\n1t >\n1t >hello\n1t >.\n"
	    "1t QUIT\n");
	assert_string_equal(peer_sni(world.peer), "mx1.example.net");
	assert_has(world.log.data,
	    "event=delivery id=t1 from=sender@example.org "
	    "to=someone@example.net domain=example.net policy=sts mode=enforce policy-id=20260101 "
	    "mx=mx1.example.net ip=127.0.0.1 tls=verified proto=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 "
	    "reused=no wish=none result=ok status=sent dsn=2.0.0 reply=\"250 2.0.0 "
	    "mx1.example.net[127.0.0.1] said: 250 2.0.0 Ok: queued as 1\" ms=");
	assert_has(world.log.data,
	    "event=attempt id=t1 from=sender@example.org "
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
	assert_has(world.log.data,
	    "event=attempt id=t1 from=<> domain=example.net policy=none mx=mx1.example.net ip=127.0.0.1 tls=none reused=no "
	    "wish=none result=starttls-not-supported ms=");
	assert_has(world.log.data, " result=starttls-not-supported status=sent dsn=2.0.0 ");
	world_free(&world);
}

/* Actions of an attacker or a broken host between greeting and EHLO in TLS. mx2 is honest. */
static const struct attack {
	const char *name;
	const char *const *script;
	const char *enforced;	/* the reply where a verified certificate is demanded */
	const char *careless;	/* the log's result= */
	bool careless_plaintext;	/* without a policy it goes on a second, plain connection */
	bool careless_same;	/* or on the same connection */
} attacks[] = {
	{ "stripped", WORLD_SCRIPT(HELLO, TAKE), "451 4.7.4", "starttls-not-supported", false,
	    true },
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
	{ "closed", WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H"), "451 4.7.5", "validation-failure",
	    true, false },
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

/* A host that does not know its own name does TLS without it, rather than plaintext. */
static void
test_a_host_that_takes_no_server_name(void **state)
{
	const char *const *refused = WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "G 112");
	const char *const *good = WORLD_SCRIPT(HELLO_TLS, TAKE);
	struct world world;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		world_init(&world, 1);
		if (i == 1)
			world_enforce(&world, 0, false);
		world_deliver_logged(&world, WORLD_SCRIPTS(refused, good), NULL);
		assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.example.net");
		assert_int_equal(world.connections, 2);
		assert_has(world.heard, "2t MAIL FROM");
		assert_null(strstr(world.heard, "p MAIL FROM"));
		assert_string_equal(peer_sni(world.peer), "");
		assert_has(world.log.data,
		    "the TLS handshake failed (tls-remote-alert-112); "
		    "retried without the server name (SNI)");
		/* A failure under testing is reported the first time. */
		if (i == 1)
			assert_has(world.log.data, "result=validation-failure");
		else
			assert_null(strstr(world.log.data, "result=validation-failure"));
		world_free(&world);
	}
	world_init(&world, 1);
	world_enforce(&world, 0, true);
	world_deliver(&world, WORLD_SCRIPTS(refused, good), NULL);
	assert_starts(world_reply(&world, 0), "451 4.7.5");
	assert_int_equal(world.connections, 1);
	world_free(&world);
}

static void
test_three_connections_at_most(void **state)
{
	const char *const *refused = WORLD_SCRIPT(TO_STARTTLS, "S 220 go", "H", "G 112");
	const char *const *plain = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250 STARTTLS",
	    TAKE);
	const char *const *never = WORLD_SCRIPT(NO_MORE);
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(refused, refused, plain, never), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 mx1.example.net");
	assert_int_equal(world.connections, 3);
	assert_has(world.heard, "3p MAIL FROM");
	world_free(&world);
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

		for (ms = WORLD_SHORT_MS;; ms *= 8) {
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
	assert_has(world.heard, "1t QUIT\n");	/* which is not waited for */
	assert_has(world.heard, "2p EHLO");
	assert_has(world.log.data,
	    "mx=mx2.example.net ip=127.0.0.1 tls=encrypted proto=TLSv1.3 "
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
	assert_has(world.log.data,
	    "event=attempt id=t1 from=sender@example.org domain=example.net "
	    "policy=sts mode=testing policy-id=20260101 mx=mx2.example.net ip=127.0.0.1 tls=encrypted ");
	assert_has(world.log.data,
	    "result=certificate-host-mismatch "
	    "reply=X509_V_ERR_HOSTNAME_MISMATCH ms=");
	world_free(&world);
}

/* CASES D14 */
static void
test_what_was_offered_in_plaintext_is_forgotten(void **state)
{
	const char *const *script = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx",
	    "S 250-PIPELINING", "S 250-SIZE 1", "S 250 STARTTLS", "C STARTTLS", "S 220 go", "T",
	    "C EHLO", "S 250 mx", "C MAIL FROM:<sender@example.org>", "S 250 Ok", "C RCPT",
	    "S 250 Ok", "C DATA", "S 354 Go", "D", "S 250 Ok", "C QUIT");
	struct world world;

	(void)state;
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_has(world.heard, "1t MAIL FROM:<sender@example.org>\n");
	world_free(&world);

	script = WORLD_SCRIPT("S 220 mx", "C EHLO", "S 250-mx", "S 250-PIPELINING", "S 250-SIZE 1",
	    "S 250 STARTTLS", "C STARTTLS", "S 220 go", "T", "C EHLO", "S 502 What?", "C HELO",
	    "S 250 mx", "C MAIL", "Q", "S 250 Ok", "C RCPT", "Q", "S 250 Ok", "C DATA", "S 354 Go",
	    "D", "S 250 Ok", "C QUIT");
	world_init(&world, 1);
	world_deliver(&world, WORLD_SCRIPTS(script), NULL);
	assert_starts(world_reply(&world, 0), "250 2.0.0 ");
	assert_has(world.heard, "1t MAIL FROM:<sender@example.org>\n");
	assert_null(strchr(world.heard, '!'));
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
		cmocka_unit_test(test_a_host_that_takes_no_server_name),
		cmocka_unit_test(test_three_connections_at_most),
		cmocka_unit_test(test_no_plaintext_when_told),
		cmocka_unit_test(test_no_plaintext_after_a_time_out),
		cmocka_unit_test(test_weak_tls),
		cmocka_unit_test(test_the_next_host_where_the_first_is_not_proven),
		cmocka_unit_test(test_testing_is_delivered_and_told),
		cmocka_unit_test(test_what_was_offered_in_plaintext_is_forgotten),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
