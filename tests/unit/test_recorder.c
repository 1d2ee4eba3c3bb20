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
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/deadline.h"
#include "base/metrics.h"
#include "report/collector.h"
#include "report/forward.h"
#include "report/recorder.h"
#include "tests/unit/plan_facts.h"

#define RECORD	"v=TLSRPTv1;rua=mailto:a@x"
#define WAIT_MS	30000
#define SENDERS	8
#define BURST	1000
#define GOOD "{\"d\":\"ex.net\",\"pr\":\"" RECORD "\",\"policies\":[{\"policy-type\":9,\"f\":0}]}"

/* In place of policy/dns/resolver.c: the answer for the first label of the domain. */
static atomic_int wanted, asked;
static atomic_bool dead;	/* "late" has no answer yet */
static atomic_bool stopping;	/* and will have none: nothing is known, half a second later */

void
resolver_want(struct resolver *resolver, const char *name, enum dns_type type)
{
	(void)resolver;
	assert_int_equal(type, DNS_TXT);
	assert_memory_equal(name, "_smtp._tls.", 11);
	wanted++;
}

static void
answer(struct arena *arena, struct dns_question *question, struct deadline deadline)
{
	static const uint8_t text[] = "\x19" RECORD, other[] = "\x0bv=spf1 -all";
	const char *label = question->name + strlen("_smtp._tls.");
	struct dns_answer *made = &question->answer;

	*made = (struct dns_answer){ .state = DNS_INSECURE, .exists = true };
	asked++;
	if (strncmp(label, "late", 4) == 0 && dead) {
		while (!deadline_passed(deadline) && dead && !stopping)
			usleep(5000);
		if (stopping)
			usleep(500 * 1000);
		if (dead) {
			made->state = DNS_FAILED;
			return;
		}
	}
	if (strncmp(label, "servfail", 8) == 0)
		made->state = DNS_FAILED;
	else if (strncmp(label, "bogus", 5) == 0)
		made->state = DNS_BOGUS;
	made->records = arena_array(arena, 2, sizeof(made->records[0]));
	made->records[made->count++] = (struct dns_record){ other, sizeof(other) - 1 };
	if (strncmp(label, "none", 4) != 0)
		made->records[made->count++] = (struct dns_record){ text, sizeof(text) - 1 };
}

void
resolver_ask(struct resolver *resolver, struct arena *arena, struct dns_question *questions,
    size_t count, struct deadline deadline)
{
	(void)resolver;
	for (size_t i = 0; i < count; i++)
		answer(arena, &questions[i], deadline);
}

struct fixture {
	char directory[64];
	struct endpoint endpoint;
	int fd;
	struct forward *forward;
	struct recorder *recorder;
	struct arena *arena;
};

static int
setup(void **state)
{
	struct fixture *fixture = xcalloc(1, sizeof(*fixture));
	const char *why = "";
	char path[128];

	strcpy(fixture->directory, "/tmp/test_recorder.XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(path, sizeof(path), "unix:%s/socket", fixture->directory);
	assert_int_equal(endpoint_parse(path, &fixture->endpoint, &why), 0);
	fixture->fd = endpoint_receive(&fixture->endpoint, 0600, (gid_t)-1);
	assert_true(fixture->fd >= 0);
	fixture->forward = forward_new(&fixture->endpoint);
	assert_non_null(fixture->forward);
	fixture->recorder = recorder_new(NULL, NULL, fixture->forward);
	assert_non_null(fixture->recorder);
	fixture->arena = arena_new();
	dead = stopping = false;
	*state = fixture;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *fixture = *state;

	recorder_free(fixture->recorder);
	forward_free(fixture->forward);
	if (fixture->fd >= 0)
		close(fixture->fd);
	unlink(endpoint_path(&fixture->endpoint));
	rmdir(fixture->directory);
	arena_free(fixture->arena);
	free(fixture);
	return 0;
}

/* A session without TLS at a host of this domain. */
static void
record(struct fixture *fixture, const char *domain)
{
	const struct test_facts test = { .domain = domain,
		.mx_state = DNS_INSECURE,
		.sts = STS_NONE,
		.hosts = { { "mx.example.com", 10, "192.0.2.1", DNS_INSECURE } } };
	struct facts *facts = test_facts_make(fixture->arena, &test);
	struct plan *plan = test_plan_from(fixture->arena, &test, facts);
	struct reported_session attempt = { .host = &plan->hosts[0],
		.proof = { .tls = PROOF_NOT_OFFERED } };
	struct outcomes_of of = {
		.plan = plan, .facts = facts, .attempts = &attempt, .attempt_count = 1
	};

	recorder_begin(fixture->recorder, domain);
	recorder_record(fixture->recorder, &of);
}

/* What came, or "" when nothing is there. */
static const char *
received(struct fixture *fixture)
{
	char text[4096];
	ssize_t length = recv(fixture->fd, text, sizeof(text), MSG_DONTWAIT);

	return length < 0 ? "" : arena_strndup(fixture->arena, text, (size_t)length);
}

static int64_t
await(enum metric metric, const char *value, int64_t count)
{
	struct deadline deadline = deadline_in(WAIT_MS);

	while (metrics_get(metric, value, NULL) < count && !deadline_passed(deadline))
		usleep(2000);
	return metrics_get(metric, value, NULL);
}

/* 26: no sessions are counted without a record. */
static void
who_wants_reports_is_told(void **state)
{
	struct fixture *fixture = *state;

	wanted = 0;
	record(fixture, "a.example");
	assert_int_equal(wanted, 1);
	assert_non_null(strstr(received(fixture), "\"d\": \"a.example\",\"pr\": \"" RECORD "\""));
	record(fixture, "none.example");
	record(fixture, "servfail.example");
	record(fixture, "bogus.example");
	assert_string_equal(received(fixture), "");
}

static void
off_is_nothing(void **state)
{
	struct fixture off = **(struct fixture **)state;

	off.recorder = NULL;
	wanted = asked = 0;
	record(&off, "a.example");
	assert_int_equal(wanted + asked, 0);
}

static void
nobody_waits_for_a_late_record(void **state)
{
	struct fixture *fixture = *state;
	int64_t before = metrics_get(METRIC_TLSRPT_FORWARDED, "sent", NULL), began;

	dead = true;
	began = clock_monotonic_ms();
	record(fixture, "late.example");
	assert_in_range(clock_monotonic_ms() - began, 0, 3000);
	record(fixture, "a.example");
	assert_non_null(strstr(received(fixture), "\"a.example\""));
	dead = false;
	assert_int_equal(await(METRIC_TLSRPT_FORWARDED, "sent", before + 2), before + 2);
	assert_non_null(strstr(received(fixture), "\"late.example\""));
}

static void
what_waits_at_the_end_is_lost_and_counted(void **state)
{
	struct fixture *fixture = *state;
	int64_t before = metrics_get(METRIC_TLSRPT_LOST, "dns", NULL);

	dead = true;
	asked = 0;
	record(fixture, "late.example");
	while (asked < 2)	/* by the thread that has patience */
		usleep(5000);
	for (size_t i = 0; i < 3; i++)
		record(fixture, "late.example");
	stopping = true;
	recorder_free(fixture->recorder);
	fixture->recorder = NULL;
	/* The first has had its answer, that nothing is known. */
	assert_int_equal(metrics_get(METRIC_TLSRPT_LOST, "dns", NULL) - before, 3);
	assert_string_equal(received(fixture), "");
}

/* 13 */
static void
a_collector_that_cannot_take_it_is_a_loss(void **state)
{
	struct fixture *fixture = *state;
	struct outcome outcome = { .policy = { .type = OUTCOME_NO_POLICY, .domain = "a.example" } };
	struct session_outcome session = { "a.example", RECORD, 1, &outcome, 1 };
	int64_t lost = metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL);
	int64_t sent = metrics_get(METRIC_TLSRPT_FORWARDED, "sent", NULL);
	char *large = xmalloc(4 << 20);

	/* EAGAIN: the kernel holds only so many. */
	for (size_t i = 0; i < 1000; i++)
		forward_send(fixture->forward, &session);
	assert_true(metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL) > lost);
	assert_int_equal(metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL) - lost +
		metrics_get(METRIC_TLSRPT_FORWARDED, "sent", NULL) - sent,
	    1000);
	/* EMSGSIZE */
	memset(large, 'a', (4 << 20) - 1);
	large[(4 << 20) - 1] = '\0';
	session.record = large;
	lost = metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL);
	forward_send(fixture->forward, &session);
	assert_int_equal(metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL), lost + 1);
	free(large);
	session.record = RECORD;
	/* ECONNREFUSED, ENOENT */
	close(fixture->fd);
	fixture->fd = -1;
	forward_send(fixture->forward, &session);
	unlink(endpoint_path(&fixture->endpoint));
	forward_send(fixture->forward, &session);
	assert_int_equal(metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL), lost + 3);
	forward_send(NULL, &session);
}

static void
tell(const struct fixture *fixture, int fd, const char *text, size_t length)
{
	while (sendto(fd, text, length, 0, (const struct sockaddr *)&fixture->endpoint.address,
		   fixture->endpoint.length) < 0)
		usleep(1000);
}

/* Never returns. One octet on `lost` for each that the collector could not take at once. */
static void
send_some(const struct fixture *fixture, int lost)
{
	struct outcome outcome = { .policy = { .type = OUTCOME_NO_POLICY, .domain = "a.example" } };
	const struct session_outcome session = { "a.example", RECORD, 1, &outcome, 1 };
	int64_t before = metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL), count;

	for (size_t i = 0; i < BURST / SENDERS; i++)
		forward_send(fixture->forward, &session);
	count = metrics_get(METRIC_TLSRPT_FORWARDED, "lost", NULL) - before;
	while (count-- > 0)
		if (write(lost, "x", 1) != 1)
			_exit(1);
	_exit(0);
}

static int64_t
count_octets(int fd)
{
	char octets[BURST];
	int64_t count = 0;
	ssize_t length;

	while ((length = read(fd, octets, sizeof(octets))) > 0)
		count += length;
	return count;
}

/* 16: all of them are counted, here or as lost where they were sent. */
static void
a_burst_of_processes(void **state)
{
	struct fixture *fixture = *state;
	int64_t before = metrics_get(METRIC_TLSRPT_DATAGRAMS, "taken", NULL), lost;
	struct recorder *recorder;
	struct collector *collector;
	pid_t pids[SENDERS];
	int ends[2], status;

	assert_int_equal(pipe(ends), 0);
	for (size_t i = 0; i < SENDERS; i++) {
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0)
			send_some(fixture, ends[1]);
	}
	close(ends[1]);
	recorder = recorder_new(NULL, NULL, NULL);
	collector = collector_new(fixture->fd, recorder);
	fixture->fd = -1;
	assert_non_null(collector);
	lost = count_octets(ends[0]);
	close(ends[0]);
	for (size_t i = 0; i < SENDERS; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	collector_free(collector);
	recorder_free(recorder);
	assert_int_equal(metrics_get(METRIC_TLSRPT_DATAGRAMS, "taken", NULL) - before,
	    BURST - lost);
	assert_true(lost < BURST);
}

/* 6 */
static void
a_collector_counts_and_survives(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = recorder_new(NULL, NULL, NULL);
	struct collector *collector = collector_new(fixture->fd, recorder);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	char *large = xcalloc(1, 200 * 1000);
	int64_t before = metrics_get(METRIC_TLSRPT_DATAGRAMS, "taken", NULL);

	fixture->fd = -1;
	assert_non_null(collector);
	tell(fixture, fd, "", 0);
	tell(fixture, fd, large, 200 * 1000);
	tell(fixture, fd, "[]", 2);
	for (size_t i = 0; i < 500; i++)
		tell(fixture, fd, GOOD, sizeof(GOOD) - 1);
	assert_int_equal(await(METRIC_TLSRPT_DATAGRAMS, "taken", before + 500), before + 500);
	assert_int_equal(metrics_get(METRIC_TLSRPT_DATAGRAMS, "invalid", NULL), 3);
	/* What is there at the end is counted before it. */
	for (size_t i = 0; i < 5; i++)
		tell(fixture, fd, GOOD, sizeof(GOOD) - 1);
	collector_free(collector);
	recorder_free(recorder);
	assert_int_equal(metrics_get(METRIC_TLSRPT_DATAGRAMS, "taken", NULL), before + 505);
	assert_int_equal(metrics_get(METRIC_TLSRPT_DATAGRAMS, "full", NULL), 0);
	close(fd);
	free(large);
}

/* Any local user may send any datagram about a domain. */
static void
what_is_told_counts_by_the_record_that_is_found_here(void **state)
{
	static const char *const domains[] = { "none.example", "bogus.example", "servfail.example",
		"late.example", "a.example" };
	struct fixture *fixture = *state;
	int64_t taken = metrics_get(METRIC_TLSRPT_DATAGRAMS, "taken", NULL);
	int64_t unwanted = metrics_get(METRIC_TLSRPT_DATAGRAMS, "unwanted", NULL);
	char path[128], text[300];
	const char *why, *heard;
	struct endpoint socket_of;
	struct collector *collector;
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), length;

	(void)snprintf(path, sizeof(path), "unix:%s/told", fixture->directory);
	assert_int_equal(endpoint_parse(path, &socket_of, &why), 0);
	collector = collector_new(endpoint_receive(&socket_of, 0600, (gid_t)-1), fixture->recorder);
	assert_non_null(collector);
	dead = true;
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
		length = snprintf(text, sizeof(text),
		    "{\"d\":\"%s\",\"pr\":\"v=TLSRPTv1;"
		    "rua=mailto:victim@v.example\",\"policies\":[{\"policy-type\":9,\"f\":0}]}",
		    domains[i]);
		assert_int_equal(sendto(fd, text, (size_t)length, 0,
				     (const struct sockaddr *)&socket_of.address, socket_of.length),
		    length);
	}
	assert_int_equal(await(METRIC_TLSRPT_DATAGRAMS, "taken", taken + 1), taken + 1);
	heard = received(fixture);
	assert_non_null(strstr(heard, "\"d\": \"a.example\",\"pr\": \"" RECORD "\""));
	dead = false;	/* its record comes later */
	assert_int_equal(await(METRIC_TLSRPT_DATAGRAMS, "taken", taken + 2), taken + 2);
	heard = received(fixture);
	assert_non_null(strstr(heard, "\"d\": \"late.example\",\"pr\": \"" RECORD "\""));
	collector_free(collector);
	assert_int_equal(metrics_get(METRIC_TLSRPT_DATAGRAMS, "unwanted", NULL), unwanted + 3);
	assert_string_equal(received(fixture), "");
	unlink(endpoint_path(&socket_of));
	close(fd);
}

static void
a_socket_left_over_is_taken_and_one_in_use_is_not(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(endpoint_receive(&fixture->endpoint, 0600, (gid_t)-1), -1);
	close(fixture->fd);
	fixture->fd = endpoint_receive(&fixture->endpoint, 0600, (gid_t)-1);
	assert_true(fixture->fd >= 0);
}

int
main(void)
{
#define TEST(name)	cmocka_unit_test_setup_teardown(name, setup, teardown)
	static const struct CMUnitTest tests[] = {
		TEST(who_wants_reports_is_told),
		TEST(off_is_nothing),
		TEST(nobody_waits_for_a_late_record),
		TEST(what_waits_at_the_end_is_lost_and_counted),
		TEST(a_collector_that_cannot_take_it_is_a_loss),
		TEST(a_burst_of_processes),
		TEST(a_collector_counts_and_survives),
		TEST(what_is_told_counts_by_the_record_that_is_found_here),
		TEST(a_socket_left_over_is_taken_and_one_in_use_is_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
