/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * By whose rules is a message judged when the policy is asked after once more? DNS, policy cache
 * and hosts are made up; plans are made and judged as in the daemon.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tests/unit/asserts.h"
#include "tests/unit/deliver_world.h"
#include "tests/unit/gather_world.h"

#define RELAY	"mx1.example.net"

/* Sorted by name, as conf_load() leaves them: the recipients' domain is example.net. */
static struct conf_destination sections[] = {
	{ .name = (char[]){ "*.example.net" } },
	{ .name = (char[]){ "." } },
	{ .name = (char[]){ "example.net" }, .relay_host = (char[]){ RELAY } },
	{ .name = (char[]){ RELAY } },
};
#define RELAYS	2	/* of sections: the one with the relay */

static void
publish(void)
{
	struct made_up *address = add(RELAY, DNS_A, DNS_INSECURE);

	add_record(address, "\177\0\0\1", 4);
	(void)add("_mta-sts." RELAY, DNS_TXT, DNS_SECURE);
}

static struct sts_policy *
policy_of(enum sts_mode mode)
{
	struct sts_policy *policy = arena_alloc(arena, sizeof(*policy));

	policy->mode = mode;
	strcpy(policy->id, "one");
	policy->mx = arena_array(arena, 1, sizeof(char *));
	policy->mx[0] = arena_strdup(arena, RELAY);
	policy->mx_count = 1;
	return policy;
}

static void
begin(struct world *delivery, struct sts_facts before, struct sts_facts after)
{
	world_init(delivery, 0);
	delivery->conf.smtp.use_ipv4 = true;
	delivery->conf.dane.enforce = ENFORCE_OFF;
	delivery->conf.destinations = sections;
	delivery->conf.destination_count = sizeof(sections) / sizeof(sections[0]);
	world.sts = before;
	world.sts_anew = after;
	world.recheck_news = true;
	world.calls[0] = world.asked[0] = '\0';
}

/* The sections that hold for the relay's name, and the wish, say that no policy counts; that of
 * the recipients' domain says that it does. */
static void
test_the_relays_policy_counts_by_the_rules_of_the_next_hop(void **state)
{
	static const enum conf_tls lax[] = { TLS_MAY, TLS_AUDIT, TLS_ENCRYPT, TLS_POLICY };
	const char *const *script = WORLD_SCRIPT(HELLO, TAKE);

	(void)state;
	publish();
	for (size_t i = 0; i < sizeof(lax) / sizeof(lax[0]); i++) {
		for (size_t own = 0; own < 2; own++) {
			const struct sts_facts in_force = { .state = STS_VALID,
				.policy = policy_of(STS_MODE_ENFORCE),
				.from_cache = true };
			struct world delivery;

			begin(&delivery, in_force, in_force);
			for (size_t j = 0; j < delivery.conf.destination_count; j++)
				sections[j].tls = j == RELAYS ? TLS_POLICY : lax[i];
			delivery.conf.destination_count -= own;
			world_deliver(&delivery, WORLD_SCRIPTS(script), NULL);
			assert_string_equal(world.calls, "brwrfk");
			assert_starts(world_reply(&delivery, 0), "451 4.7.4 ");
			assert_false(world_was_content_heard(&delivery));
			assert_null(strstr(delivery.heard, "MAIL FROM"));
			assert_int_equal(delivery.connections, 2);
			world_free(&delivery);
		}
	}
}

/* The same before any host was met: the plan itself hangs on the record. */
static void
test_a_record_that_is_answered_at_last(void **state)
{
	const struct sts_facts bogus = { .state = STS_TXT_BOGUS };
	const char *const *script = WORLD_SCRIPT(HELLO, TAKE);
	struct world delivery;

	(void)state;
	publish();
	begin(&delivery, bogus,
	    (struct sts_facts){ .state = STS_VALID, .policy = policy_of(STS_MODE_ENFORCE) });
	for (size_t j = 0; j < delivery.conf.destination_count; j++)
		sections[j].tls = j == RELAYS ? TLS_POLICY : TLS_MAY;
	world_deliver(&delivery, WORLD_SCRIPTS(script), NULL);
	assert_string_equal(world.calls, "brwrfkk");
	assert_starts(world_reply(&delivery, 0), "451 4.7.4 ");
	assert_null(strstr(delivery.heard, "MAIL FROM"));
	world_free(&delivery);
}

/* The policy that is finally found demands nothing: the message is delivered. */
static void
test_a_policy_that_was_withdrawn(void **state)
{
	const char *const *script = WORLD_SCRIPT(HELLO, TAKE);
	struct world delivery;

	(void)state;
	publish();
	begin(&delivery,
	    (struct sts_facts){ .state = STS_VALID, .policy = policy_of(STS_MODE_ENFORCE) },
	    (struct sts_facts){ .state = STS_VALID, .policy = policy_of(STS_MODE_NONE) });
	for (size_t j = 0; j < delivery.conf.destination_count; j++)
		sections[j].tls = j == RELAYS ? TLS_POLICY : TLS_ENCRYPT;
	world_deliver(&delivery, WORLD_SCRIPTS(script), NULL);
	assert_string_equal(world.calls, "brwrfk");
	assert_starts(world_reply(&delivery, 0), "250 2.0.0 ");
	assert_int_equal(delivery.connections, 2);
	world_free(&delivery);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_the_relays_policy_counts_by_the_rules_of_the_next_hop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_record_that_is_answered_at_last, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_a_policy_that_was_withdrawn, setup, teardown),
	};

	return cmocka_run_group_tests(tests, world_begin, world_end);
}
