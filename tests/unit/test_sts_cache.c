/*
 * SPDX-FileCopyrightText: The stsgate authors
 * SPDX-License-Identifier: ISC
 */

/*
 * The answers of the policy cache (cases, groups A, E and F).
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/sts_world.h"

static void
test_fetched_once_and_kept(void **state)
{
	struct fixture *fixture = *state;
	const struct sts_facts *sts = get(fixture);

	assert_policy(sts, "one", STS_MODE_ENFORCE, false);
	assert_int_equal(sts->fetched, START);
	assert_int_equal(sts->expires, START + 10 * DAY);
	assert_int_equal(sts->policy->mx_count, 1);
	assert_string_equal(sts->policy->mx[0], "mx.example");
	assert_int_equal(sts->policy->body_length, strlen(ENFORCE));
	assert_memory_equal(sts->policy->body, ENFORCE, strlen(ENFORCE));
	assert_true(sts->fetch_tried);
	assert_string_equal(world.url, "https://mta-sts.example.com/.well-known/mta-sts.txt");
	pass(DAY);
	sts = get(fixture);
	assert_policy(sts, "one", STS_MODE_ENFORCE, true);
	assert_false(sts->fetch_tried);
	assert_int_equal(sts->finding.type, RESULT_OK);
	assert_int_equal(sts->expires, START + 10 * DAY);	/* F2: from the fetch */
	assert_int_equal(world.fetches, 1);
}

/* F1, A31, A36: whatever becomes of the TXT record, and over a restart. */
static void
test_policy_outlives_its_txt(void **state)
{
	struct fixture *fixture = *state;
	static const struct {
		enum dns_state state;
		bool exists;
		const char *txt;
	} cases[] = {
		{ DNS_FAILED, false, NULL },
		{ DNS_BOGUS, false, NULL },
		{ DNS_SECURE, false, NULL },
		{ DNS_INSECURE, true, NULL },
		{ DNS_INSECURE, true, "inbound" },
		{ DNS_INSECURE, true, "v=STSv1; garbage" },
	};

	get(fixture);
	restart(fixture);
	world.outcome = HTTP_UNREACHABLE;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world.txt_state = cases[i].state;
		world.exists = cases[i].exists;
		world.txt = cases[i].txt;
		assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
		assert_int_equal(get(fixture)->finding.type, RESULT_OK);
	}
	assert_int_equal(world.fetches, 1);
	pass(10 * DAY - 1);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
}

/* F7: over is over. */
static void
test_expired_is_not_used(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	pass(10 * DAY);
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_NONE);
	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	world.txt_state = DNS_BOGUS;
	assert_int_equal(get(fixture)->state, STS_TXT_BOGUS);
}

/* F8: not revived by a fetch that fails either; fetched again though the id is the same. */
static void
test_expired_and_the_same_id(void **state)
{
	struct fixture *fixture = *state;
	const struct sts_facts *sts;

	get(fixture);
	pass(10 * DAY);
	world.status = 404;
	sts = get(fixture);
	assert_int_equal(sts->state, STS_FETCH_FAILED);
	assert_finding(sts, RESULT_STS_POLICY_FETCH_ERROR, "http-404");
	sts_cache_forget(fixture->cache, "example.com");
	world.status = 200;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
}

static void
test_expired_and_fetched_again(void **state)
{
	struct fixture *fixture = *state;
	const struct sts_facts *sts;

	get(fixture);
	pass(11 * DAY);
	sts = get(fixture);
	assert_policy(sts, "one", STS_MODE_ENFORCE, false);
	assert_int_equal(sts->fetched, START + 11 * DAY);
	assert_int_equal(world.fetches, 2);
}

/* F3, F22 */
static void
test_new_id_replaces_at_once(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	pass(100);
	world.txt = "v=STSv1; id=two;";
	world.body = OTHER;
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, false);
	assert_policy(get(fixture), "two", STS_MODE_ENFORCE, true);
	assert_string_equal(get(fixture)->policy->mx[0], "other.example");
	assert_int_equal(get(fixture)->expires, START + 100 + 10 * DAY);
	world.txt = "v=STSv1; id=three;";
	world.body = NONE;
	assert_policy(get(fixture), "three", STS_MODE_NONE, false);
	assert_policy(get(fixture), "three", STS_MODE_NONE, true);
	restart(fixture);
	assert_policy(get(fixture), "three", STS_MODE_NONE, true);
	world.txt = NULL;	/* a policy that protects nothing needs no end */
	assert_int_equal(get(fixture)->state, STS_NONE);
	assert_int_equal(world.fetches, 3);
}

/* F4, E11, F11, E12 */
static void
test_failed_fetch_keeps_the_old_policy(void **state)
{
	struct fixture *fixture = *state;

	get(fixture);
	world.txt = "v=STSv1; id=two;";
	world.outcome = HTTP_TLS;
	world.x509_error = 10;
	for (int i = 0; i < 3; i++) {
		const struct sts_facts *sts = get(fixture);

		assert_policy(sts, "one", STS_MODE_ENFORCE, true);
		assert_finding(sts, RESULT_STS_WEBPKI_INVALID, "X509_V_ERR_CERT_HAS_EXPIRED");
	}
	assert_int_equal(world.fetches, 2);
	world.txt = "v=STSv1; id=three;";
	world.outcome = HTTP_ANSWERED;
	world.body = "version: STSv2\n";
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
	assert_int_equal(get(fixture)->finding.type, RESULT_STS_POLICY_INVALID);
	assert_int_equal(world.fetches, 3);
	world.txt = "v=STSv1; id=four;";
	world.body = OTHER;
	assert_policy(get(fixture), "four", STS_MODE_ENFORCE, false);
	assert_int_equal(get(fixture)->finding.type, RESULT_OK);
}

/* Each way in which a fetch can fail, and what follows where nothing is cached: mail goes as
 * without a policy only by the domain's own fault. */
static void
test_failed_fetch_without_a_policy(void **state)
{
	static const struct {
		enum dns_state host;
		bool not_asked;
		enum http_outcome outcome;
		long status;
		const char *content_type, *reason;
		enum sts_state state;
		bool remembered;	/* not tried again for a while */
	} cases[] = {
		{ DNS_FAILED, false, HTTP_ANSWERED, 200, "text/plain", "policy-host-dns-failed",
		    STS_HOST_FAILED, false },
		{ DNS_FAILED, true, HTTP_ANSWERED, 200, "text/plain", NULL, STS_UNKNOWN, false },
		{ DNS_BOGUS, false, HTTP_ANSWERED, 200, "text/plain", "policy-host-dnssec-bogus",
		    STS_HOST_BOGUS, false },
		{ DNS_SECURE, false, HTTP_UNREACHABLE, 0, "", "policy-host-unreachable",
		    STS_FETCH_FAILED, true },
		{ DNS_SECURE, false, HTTP_TIMEOUT, 0, "", "policy-fetch-timeout", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_TLS, 0, "", "tls-handshake-failed", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_TOO_LARGE, 0, "", "policy-too-large", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_REFUSED_ADDRESS, 0, "", "private-address",
		    STS_FETCH_FAILED, true },
		{ DNS_SECURE, false, HTTP_GARBLED, 0, "", "http-garbled", STS_FETCH_FAILED, true },
		{ DNS_SECURE, false, HTTP_LOCAL, 0, "", NULL, STS_UNKNOWN, false },
		{ DNS_SECURE, false, HTTP_ANSWERED, 301, "text/plain", "http-301", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_ANSWERED, 204, "text/plain", "http-204", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_ANSWERED, 206, "text/plain", "http-206", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_ANSWERED, 500, "text/plain", "http-500", STS_FETCH_FAILED,
		    true },
		{ DNS_SECURE, false, HTTP_ANSWERED, 200, "text/html", "wrong-content-type",
		    STS_FETCH_FAILED, true },
		{ DNS_SECURE, false, HTTP_ANSWERED, 200, "text/plainer", "wrong-content-type",
		    STS_FETCH_FAILED, true },
		{ DNS_SECURE, false, HTTP_ANSWERED, 200, "", "wrong-content-type", STS_FETCH_FAILED,
		    true },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *id = arena_printf(fixture->arena, "%zu", i);
		const struct sts_facts *sts = NULL;

		world.txt = arena_printf(fixture->arena, "v=STSv1; id=%s;", id);
		for (int again = 0; again < 2; again++) {	/* in back-off: the same finding */
			world.host_state = cases[i].host;
			world.host_not_asked = cases[i].not_asked;
			world.outcome = cases[i].outcome;
			world.status = cases[i].status;
			world.content_type = cases[i].content_type;
			sts = get(fixture);
			assert_int_equal(sts->state, cases[i].state);
			if (cases[i].reason != NULL)
				assert_finding(sts, RESULT_STS_POLICY_FETCH_ERROR, cases[i].reason);
			else	/* which no report is to blame on the domain */
				assert_int_equal(sts->finding.type, RESULT_OK);
		}
		world.fetches = 0;
		world.host_state = DNS_SECURE;
		world.outcome = HTTP_ANSWERED;
		world.status = 200;
		world.content_type = "text/plain";
		world.body = ONCE;
		if (cases[i].remembered) {
			assert_int_equal(get(fixture)->state, STS_FETCH_FAILED);
			assert_int_equal(world.fetches, 0);
		} else {
			assert_policy(get(fixture), id, STS_MODE_ENFORCE, false);
		}
	}
}

/* The policy host's addresses are unknown: 451 until an hour after the first failure, over
 * restarts. Neither an answer for TXT nor one that our own trouble kept us from ends that, or
 * begins it. */
static void
test_the_grace_of_a_policy_host_without_addresses(void **state)
{
	struct fixture *fixture = *state;

	world.host_state = DNS_FAILED;
	world.host_not_asked = true;
	assert_int_equal(get(fixture)->state, STS_UNKNOWN);
	pass(4000);
	assert_int_equal(get(fixture)->state, STS_UNKNOWN);
	world.host_not_asked = false;
	assert_int_equal(get(fixture)->state, STS_HOST_FAILED);
	pass(3000);
	world.txt_state = DNS_FAILED;	/* failures of its own, with a grace of its own */
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	world.txt_state = DNS_INSECURE;
	restart(fixture);
	assert_int_equal(get(fixture)->state, STS_HOST_FAILED);
	pass(599);
	assert_int_equal(get(fixture)->state, STS_HOST_FAILED);
	pass(1);
	assert_int_equal(get(fixture)->state, STS_FETCH_FAILED);
	world.host_state = DNS_BOGUS;
	assert_int_equal(get(fixture)->state, STS_HOST_BOGUS);
	world.host_state = DNS_SECURE;	/* an answer, whatever the host then says */
	world.outcome = HTTP_UNREACHABLE;
	assert_int_equal(get(fixture)->state, STS_FETCH_FAILED);
	world.txt = "v=STSv1; id=two;";
	world.host_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_HOST_FAILED);
}

/* With a policy in force none of this matters but for the words. */
static void
test_failed_addresses_with_a_policy_in_force(void **state)
{
	struct fixture *fixture = *state;

	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
	world.txt = "v=STSv1; id=two;";
	for (int i = 0; i < 3; i++) {
		world.host_state = i == 1 ? DNS_BOGUS : DNS_FAILED;
		world.host_not_asked = i == 2;
		assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
		pass(400);
	}
}

static void
test_media_types(void **state)
{
	static const char *const types[] = { "text/plain", "Text/PLAIN",
		"text/plain; charset=utf-8", "text/plain;charset=us-ascii", "text/plain ;x=y" };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		world.content_type = types[i];
		world.txt = arena_printf(fixture->arena, "v=STSv1; id=%zu;", i);
		assert_policy(get(fixture), arena_printf(fixture->arena, "%zu", i),
		    STS_MODE_ENFORCE, false);
	}
}

/* B15 */
static void
test_max_age_zero_is_used_once(void **state)
{
	struct fixture *fixture = *state;

	world.body = ONCE;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
	assert_int_equal(world.fetches, 2);
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_NONE);
}

/* F17-F19: nothing found is not remembered by us. */
static void
test_absent_then_published(void **state)
{
	struct fixture *fixture = *state;

	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_NONE);
	world.txt = "v=STSv1; id=one;";
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, false);
}

static void
test_malformed_txt_is_none(void **state)
{
	struct fixture *fixture = *state;

	world.txt = "v=STSv1; id=not-alphanumeric;";
	assert_int_equal(get(fixture)->state, STS_NONE);
	assert_int_equal(world.fetches, 0);
}

static void
test_a_name_too_long_has_no_policy(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts;
	char name[251];

	memset(name, 'a', sizeof(name) - 1);
	name[60] = name[120] = name[180] = '.';
	name[250] = '\0';
	sts_cache_get(fixture->cache, fixture->arena, name, deadline_in(1000), &sts);
	assert_int_equal(sts.state, STS_NONE);
	assert_int_equal(world.questions, 0);
}

/* A30: 451 until an hour after the first failure, over restarts; again after an answer. */
static void
test_cold_failure_grace(void **state)
{
	struct fixture *fixture = *state;

	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(3000);
	restart(fixture);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(599);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(1);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
	pass(DAY - 100);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
	world.txt_state = DNS_BOGUS;	/* no answer that ends it, and never one to deliver on */
	assert_int_equal(get(fixture)->state, STS_TXT_BOGUS);
	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
	world.txt_state = DNS_INSECURE;
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_NONE);
	world.txt_state = DNS_FAILED;
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
	pass(3600);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
	pass(14 * DAY - 1);	/* without a failure */
	restart(fixture);
	assert_int_equal(get(fixture)->state, STS_TXT_GIVEN_UP);
	pass(14 * DAY);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
}

/* A message now and then: who was given up once is not waited for again. */
static void
test_given_up_is_remembered(void **state)
{
	static const struct {
		int hours;
		enum sts_state expected;
	} looks[] = {
		{ 0, STS_TXT_FAILED },
		{ 2, STS_TXT_GIVEN_UP },
		{ 28, STS_TXT_GIVEN_UP },
		{ 30, STS_TXT_GIVEN_UP },
		{ 30 + 13 * 24, STS_TXT_GIVEN_UP },
		{ 30 + 27 * 24, STS_TXT_FAILED },
		{ 30 + 27 * 24 + 25, STS_TXT_FAILED },
	};
	struct fixture *fixture = *state;
	int hour = 0;

	world.txt_state = DNS_FAILED;
	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
		pass((looks[i].hours - hour) * 3600LL);
		hour = looks[i].hours;
		sts_cache_purge(fixture->cache);
		restart(fixture);
		assert_int_equal(get(fixture)->state, looks[i].expected);
	}
}

static void
test_impatience_is_no_failure(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts;

	world.txt_state = DNS_FAILED;
	sts_cache_get(fixture->cache, fixture->arena, "example.com", deadline_in(0), &sts);
	assert_int_equal(sts.state, STS_TXT_FAILED);
	pass(3700);
	assert_int_equal(get(fixture)->state, STS_TXT_FAILED);
}

/* Is there news? */
static bool
recheck(struct fixture *fixture, struct sts_facts *sts)
{
	struct sts_inquiry *inquiry = sts_cache_recheck(fixture->cache, fixture->arena,
	    "example.com", deadline_in(1000), sts);

	if (inquiry != NULL)
		sts_cache_finish(fixture->cache, inquiry, deadline_in(1000), sts);
	return inquiry != NULL;
}

/* F21 */
static void
test_recheck(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts = *get(fixture);

	assert_false(recheck(fixture, &sts));
	assert_int_equal(world.afresh, 1);
	world.txt_afresh = "v=STSv1; id=two;";
	world.body = OTHER;
	assert_false(recheck(fixture, &sts));	/* too soon */
	assert_int_equal(world.afresh, 1);
	assert_int_equal(world.fetches, 1);
	fixture->conf.sts.retry_interval = 0;
	sts_cache_reload(fixture->cache, &fixture->conf);
	assert_true(recheck(fixture, &sts));
	assert_policy(&sts, "two", STS_MODE_ENFORCE, false);
	assert_string_equal(sts.policy->mx[0], "other.example");
}

static void
test_recheck_after_a_failure(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts;

	world.txt_state = DNS_FAILED;
	sts = *get(fixture);
	assert_int_equal(sts.state, STS_TXT_FAILED);
	fixture->conf.sts.retry_interval = 0;
	sts_cache_reload(fixture->cache, &fixture->conf);
	assert_false(recheck(fixture, &sts));
	world.txt_state = DNS_SECURE;
	world.txt = NULL;
	assert_true(recheck(fixture, &sts));
	assert_int_equal(sts.state, STS_NONE);
}

static int
refresh(struct fixture *fixture, struct sts_facts *sts)
{
	return sts_cache_refresh_end(fixture->cache,
	    sts_cache_refresh_begin(fixture->cache, fixture->arena, "example.com"),
	    deadline_in(5000), sts);
}

static void
test_refresh_by_hand(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts;

	get(fixture);
	world.body = OTHER;	/* F9: the same id, another text */
	assert_int_equal(refresh(fixture, &sts), 0);
	assert_policy(&sts, "one", STS_MODE_ENFORCE, false);
	assert_string_equal(get(fixture)->policy->mx[0], "other.example");
	world.status = 500;
	for (int i = 0; i < 2; i++) {	/* no back-off */
		assert_int_equal(refresh(fixture, &sts), -1);
		assert_policy(&sts, "one", STS_MODE_ENFORCE, true);
		assert_finding(&sts, RESULT_STS_POLICY_FETCH_ERROR, "http-500");
	}
	assert_int_equal(world.fetches, 4);
	world.txt = NULL;	/* a vanished TXT keeps the id */
	world.status = 200;
	assert_int_equal(refresh(fixture, &sts), 0);
	assert_policy(&sts, "one", STS_MODE_ENFORCE, false);
}

static void
test_refresh_of_nothing(void **state)
{
	struct fixture *fixture = *state;
	struct sts_facts sts;

	world.txt = NULL;
	assert_int_equal(refresh(fixture, &sts), -1);
	assert_int_equal(sts.state, STS_NONE);
	assert_true(sts.why[0] != '\0');
	assert_int_equal(world.fetches, 0);
	world.txt_state = DNS_FAILED;
	assert_int_equal(refresh(fixture, &sts), -1);
	assert_int_equal(sts.state, STS_UNKNOWN);
}

/* F18 */
static void
test_peek_and_forget(void **state)
{
	struct fixture *fixture = *state;
	struct sts_entry entry;

	assert_int_equal(sts_cache_peek(fixture->cache, fixture->arena, "example.com", &entry),
	    STORE_ABSENT);
	assert_int_equal(sts_cache_forget(fixture->cache, "example.com"), STORE_ABSENT);
	get(fixture);
	world.txt = "v=STSv1; id=two;";
	world.status = 403;
	get(fixture);
	assert_int_equal(sts_cache_peek(fixture->cache, fixture->arena, "example.com", &entry),
	    STORE_OK);
	assert_string_equal(entry.domain, "example.com");
	assert_string_equal(entry.policy.id, "one");
	assert_int_equal(entry.fetched, START);
	assert_in_range(entry.refresh, START + DAY / 2, START + DAY);
	assert_int_equal(entry.used, START);
	assert_string_equal(entry.last_error, "sts-policy-fetch-error: http-403");
	assert_int_equal(sts_cache_forget(fixture->cache, "example.com"), STORE_OK);
	assert_int_equal(sts_cache_peek(fixture->cache, fixture->arena, "example.com", &entry),
	    STORE_ABSENT);
	world.txt = NULL;
	assert_int_equal(get(fixture)->state, STS_NONE);
}

struct listed {
	char names[200];
	int left;
};

static bool
list_one(void *context, const struct sts_entry *entry)
{
	struct listed *listed = context;

	strcat(listed->names, entry->domain);
	strcat(listed->names, " ");
	return --listed->left > 0;
}

static void
test_list(void **state)
{
	static const char *const names[] = { "c.example", "a.example", "d.example", "b.example" };
	struct fixture *fixture = *state;
	struct listed listed = { .left = 10 };
	struct sts_facts sts;

	for (size_t i = 0; i < 4; i++) {
		world.body = i == 2 ? ONCE : ENFORCE;
		sts_cache_get(fixture->cache, fixture->arena, names[i], deadline_in(5000), &sts);
	}
	assert_int_equal(sts_cache_list(fixture->cache, "", list_one, &listed), STORE_OK);
	assert_string_equal(listed.names, "a.example b.example c.example ");
	listed = (struct listed){ .left = 1 };
	assert_int_equal(sts_cache_list(fixture->cache, "a.example", list_one, &listed), STORE_OK);
	assert_string_equal(listed.names, "b.example ");
}

/* Kept on disk before it is used. */
static void
test_survives_kill(void **state)
{
	struct fixture *fixture = *state;
	int status;
	pid_t child;

	free_cache(fixture->cache);
	store_close(fixture->store);
	child = fork();
	if (child == 0) {
		open_cache(fixture);
		get(fixture);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	open_cache(fixture);
	world.txt_state = DNS_FAILED;
	assert_policy(get(fixture), "one", STS_MODE_ENFORCE, true);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(test_fetched_once_and_kept),
		TEST(test_policy_outlives_its_txt),
		TEST(test_expired_is_not_used),
		TEST(test_expired_and_the_same_id),
		TEST(test_expired_and_fetched_again),
		TEST(test_new_id_replaces_at_once),
		TEST(test_failed_fetch_keeps_the_old_policy),
		TEST(test_failed_fetch_without_a_policy),
		TEST(test_the_grace_of_a_policy_host_without_addresses),
		TEST(test_failed_addresses_with_a_policy_in_force),
		TEST(test_media_types),
		TEST(test_max_age_zero_is_used_once),
		TEST(test_absent_then_published),
		TEST(test_malformed_txt_is_none),
		TEST(test_a_name_too_long_has_no_policy),
		TEST(test_cold_failure_grace),
		TEST(test_given_up_is_remembered),
		TEST(test_impatience_is_no_failure),
		TEST(test_recheck),
		TEST(test_recheck_after_a_failure),
		TEST(test_refresh_by_hand),
		TEST(test_refresh_of_nothing),
		TEST(test_peek_and_forget),
		TEST(test_list),
		TEST(test_survives_kill),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
